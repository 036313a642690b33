"""The events that tests send are what Stripe's own library takes for Stripe's."""

import json
import time

import pytest
import stripe

from fakes.stripe_events import BASIL, OLD, SHAPES, Shape, Stripe, Subscribed, signed

AT = 1_767_960_000
SUB = Subscribed("sub_1", "cus_1", AT, AT + 100)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_library_reads_a_signed_event(shape: Shape) -> None:
    event = Stripe(shape).subscription_updated(SUB, created=AT)
    body, header = signed(event, ("whsec_old", "whsec_new"), int(time.time()))
    for secret in ("whsec_old", "whsec_new"):
        read = stripe.Webhook.construct_event(body, header, secret)
        assert (read.id, read.type) == (event["id"], "customer.subscription.updated")
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, header, "whsec_other")


def test_periods_stand_where_each_version_has_them() -> None:
    old, new = (Stripe(shape).subscription(SUB) for shape in (OLD, BASIL))
    assert (old["current_period_start"], old["current_period_end"]) == (AT, AT + 100)
    assert "current_period_end" not in old["items"]["data"][0]
    assert "current_period_end" not in new
    assert new["items"]["data"][0]["current_period_end"] == AT + 100


def test_invoices_name_their_subscription_where_each_version_has_it() -> None:
    old, new = (Stripe(shape).invoice(SUB, created=AT, status="paid") for shape in (OLD, BASIL))
    assert old["subscription"] == "sub_1"
    assert "subscription" not in new
    assert new["parent"]["subscription_details"]["subscription"] == "sub_1"
    assert old["lines"]["data"][0]["price"]["id"] == "price_basic"
    assert new["lines"]["data"][0]["pricing"]["price_details"]["price"] == "price_basic"
    # Not the period that was paid for, but the one before: the lines have the new one.
    assert new["period_end"] == AT


def test_an_update_says_what_it_changed() -> None:
    before = Subscribed("sub_1", "cus_1", AT, AT + 100, status="trialing")
    event = Stripe(OLD).subscription_updated(SUB, created=AT, before=before)
    assert event["data"]["previous_attributes"] == {"status": "trialing"}


def test_events_have_ids_of_their_own_and_are_json() -> None:
    events = [Stripe().customer_created("cus_1", created=AT) for _ in range(3)]
    assert len({event["id"] for event in events}) == 3
    assert json.loads(json.dumps(events)) == events
