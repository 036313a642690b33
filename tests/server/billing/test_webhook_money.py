"""Prepaid credits come with money, once, and go with it."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from webhook_client import (
    NOW,
    THIRD,
    Buyer,
    buyer,
    cut,
    deliver,
    plan_of,
    plans,
    prepaid,
    state,
    told,
    whole,
    window,
)

from fakes.stripe_events import SHAPES, Event, Shape
from openrembg.server.billing.models import StripeEvent
from openrembg.server.quota.ledger import top_up
from openrembg.server.quota.models import LedgerEntry

pytestmark = pytest.mark.usefixtures("database", "webhooks")

Furnish = Callable[..., object]


@pytest.fixture
def ada() -> Iterator[Buyer]:
    """A user of whom Stripe knows nothing; at the end, every account is whole."""
    plans()
    yield buyer(linked=False)
    whole()


def entries(one: Buyer) -> list[tuple[str, int]]:
    """Return what the ledger says of prepaid credits."""
    found = LedgerEntry.objects.filter(user_id=one.id).exclude(prepaid=0).order_by("number")
    return [(entry.event, entry.prepaid) for entry in found]


def paid_later(one: Buyer, *, created: int = THIRD + 60) -> Event:
    """Return the event that says that the money for a pack has come."""
    facts = {"payment_intent": one.named("pi"), "reference": str(one.id), "credits_": "100"}
    return one.stripe.checkout_paid_later(one.named("cs"), created=created, **facts)


def test_a_paid_session_brings_its_credits_in_both_shapes(shape: Shape) -> None:
    ada = buyer(shape, linked=False)
    told(ada.bought("1000"))
    assert prepaid(ada) == 1000
    assert (plan_of(ada), window(ada)[2]) == ("Free", False)


@pytest.mark.parametrize("credits_", ["1", "0100", 100, "1000000000000"])
def test_numbers_of_credits_may_be_text_or_numbers(ada: Buyer, credits_: object) -> None:
    told(ada.bought(credits_))
    assert prepaid(ada) == int(str(credits_))


def test_the_same_event_twice_brings_credits_once(ada: Buyer) -> None:
    event = ada.bought()
    told(event, event)
    assert entries(ada) == [("top_up", 100)]


def test_another_event_of_the_same_session_brings_none(ada: Buyer) -> None:
    told(ada.bought(), ada.bought(created=THIRD + 5), paid_later(ada))
    assert entries(ada) == [("top_up", 100)]


def test_an_event_whose_body_changed_is_the_event_that_was_here(ada: Buyer) -> None:
    event = ada.bought()
    told(event)
    event["data"]["object"]["id"] = "cs_another"
    told(event)
    assert entries(ada) == [("top_up", 100)]


def test_two_sessions_bring_both(ada: Buyer) -> None:
    told(ada.bought("10"))
    facts = {"reference": str(ada.id), "credits_": "20", "payment_intent": "pi_other"}
    told(ada.stripe.checkout_completed("cs_other", created=THIRD, **facts))
    assert prepaid(ada) == 30


def test_an_unpaid_session_waits_for_its_money(ada: Buyer) -> None:
    told(ada.bought(payment_status="unpaid"))
    assert prepaid(ada) == 0
    told(paid_later(ada))
    assert prepaid(ada) == 100


def test_a_session_that_cost_nothing_brings_its_credits(ada: Buyer) -> None:
    told(ada.bought(payment_status="no_payment_required", amount=0, payment_intent=None))
    assert prepaid(ada) == 100


def test_a_session_of_a_subscription_brings_no_prepaid_credits(ada: Buyer) -> None:
    event = ada.linked()
    event["data"]["object"]["metadata"] = {"openrembg_credits": "100"}
    told(event)
    assert prepaid(ada) == 0


@pytest.mark.parametrize("mode", ["setup", "", "else"])
def test_a_session_of_another_mode_brings_none(ada: Buyer, mode: str) -> None:
    told(ada.bought(mode=mode))
    assert prepaid(ada) == 0


def test_a_session_without_credits_waits_for_the_operator(ada: Buyer) -> None:
    event = ada.bought(None)
    told(event)
    assert prepaid(ada) == 0
    assert "credits" in StripeEvent.objects.get(event_id=event["id"]).note


def test_a_whole_refund_takes_all(ada: Buyer) -> None:
    told(ada.bought(), ada.refunded(900))
    assert entries(ada) == [("top_up", 100), ("take_back", -100)]


def test_a_partial_refund_takes_its_share_rounded_down(ada: Buyer) -> None:
    told(ada.bought(), ada.refunded(100))
    assert prepaid(ada) == 100 - 11
    told(ada.refunded(101, created=THIRD + 9))
    assert prepaid(ada) == 100 - 11
    told(ada.refunded(899, created=THIRD + 99))
    assert prepaid(ada) == 1


def test_refunds_in_any_order_and_before_the_purchase_end_alike() -> None:
    for number, order in enumerate(itertools.permutations(range(4))):
        one = buyer(SHAPES[number % 2], linked=False)
        refunds = [one.refunded(cents, created=THIRD + cents) for cents in (200, 500, 650)]
        events = [one.bought(), *refunds]
        told(*(events[place] for place in order))
        assert prepaid(one) == 100 - 72, order
        assert sum(change for _, change in entries(one)) == 28
    whole()


def test_a_refund_before_the_purchase_is_not_forgotten(ada: Buyer) -> None:
    told(ada.refunded(450))
    assert entries(ada) == []
    told(ada.bought())
    assert entries(ada) == [("top_up", 100), ("take_back", -50)]


def test_a_refund_of_more_than_is_left_never_goes_below_nothing(ada: Buyer) -> None:
    told(ada.stripe.subscription_created(ada.sub(), created=THIRD), ada.linked())
    told(ada.bought("4"))
    for source in ("included", "included", "included", "prepaid", "prepaid", "prepaid"):
        assert cut(ada)["X-Credits-Source"] == source
    told(ada.refunded(900))
    assert prepaid(ada) == 0
    assert entries(ada)[-1] == ("take_back", -1)
    # What could not be taken then is not taken from what is bought now.
    top_up(ada.id, 10)
    told(ada.refunded(900, created=THIRD + 99))
    assert prepaid(ada) == 10


def test_a_refund_of_nothing_left_is_no_error(ada: Buyer) -> None:
    told(ada.linked(), ada.stripe.subscription_created(ada.sub(), created=THIRD), ada.bought("1"))
    for _ in range(4):
        cut(ada)
    told(ada.refunded(900))
    assert prepaid(ada) == 0


def test_a_refund_of_more_than_was_paid_takes_no_more_than_was_bought(ada: Buyer) -> None:
    top_up(ada.id, 50)
    told(ada.bought(), ada.refunded(900), ada.refunded(5000, created=THIRD + 5), ada.disputed())
    assert prepaid(ada) == 50


def test_a_dispute_takes_back_like_a_refund(ada: Buyer) -> None:
    told(ada.bought(), ada.disputed(900))
    assert entries(ada) == [("top_up", 100), ("take_back", -100)]


def test_a_dispute_about_what_a_refund_left(ada: Buyer) -> None:
    told(ada.bought(), ada.disputed(600), ada.refunded(300))
    assert prepaid(ada) == 0


def test_a_refund_of_an_unpaid_session_waits_with_it(ada: Buyer) -> None:
    told(ada.bought(payment_status="unpaid"), ada.refunded(450))
    assert entries(ada) == []
    told(paid_later(ada))
    assert prepaid(ada) == 50


def test_money_of_something_else_changes_nothing(ada: Buyer) -> None:
    told(ada.bought())
    before = state(ada)
    told(
        ada.stripe.charge_refunded("ch_x", created=THIRD, payment_intent="pi_x", refunded=900),
        ada.stripe.charge_refunded("ch_y", created=THIRD, payment_intent=None, refunded=900),
        ada.stripe.dispute_created("dp_x", created=THIRD, payment_intent="pi_x"),
        ada.stripe.dispute_created("dp_y", created=THIRD, payment_intent=None),
    )
    assert state(ada) == before


def test_a_refund_of_a_subscriptions_invoice_takes_no_prepaid_credits(ada: Buyer) -> None:
    told(ada.linked(), ada.stripe.subscription_created(ada.sub(), created=THIRD))
    told(ada.bought())
    told(
        ada.stripe.charge_refunded(
            "ch_inv", created=THIRD, payment_intent="pi_inv", refunded=900, customer=ada.customer
        )
    )
    assert (prepaid(ada), plan_of(ada)) == (100, "Basic")


def test_names_as_long_as_stripe_allows_are_no_hindrance(ada: Buyer) -> None:
    payment = "pi_" + "x" * 252
    long = "cs_" + "x" * 252
    facts = {"reference": str(ada.id), "credits_": "100", "payment_intent": payment}
    told(ada.stripe.checkout_completed(long, created=THIRD, **facts))
    refund = ada.stripe.charge_refunded(
        "ch_" + "x" * 252, created=THIRD, payment_intent=payment, refunded=450
    )
    assert deliver(refund).status_code == 200
    assert prepaid(ada) == 50


def test_the_last_credit_is_not_taken_from_a_picture_that_is_being_made(ada: Buyer) -> None:
    import datetime as dt

    from openrembg.server.quota import spending

    told(ada.linked(), ada.stripe.subscription_created(ada.sub(), created=THIRD), ada.bought("2"))
    for _ in range(3):
        cut(ada)
    hold = spending.reserve(ada.who.by_key, NOW, dt.timedelta(minutes=1))
    assert hold.source == "prepaid"
    told(ada.refunded(900))
    assert prepaid(ada) == 1
    spending.charge(hold, NOW)
    assert prepaid(ada) == 0
