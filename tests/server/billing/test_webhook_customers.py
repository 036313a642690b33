"""Whose a customer of Stripe's is, and what waits until that, or a price, is known."""

from collections.abc import Callable, Iterator

import pytest
from allauth.account.models import EmailAddress
from webhook_client import (
    FIRST,
    FOURTH,
    NOW,
    SECOND,
    THIRD,
    Buyer,
    buyer,
    cut,
    cycle,
    cycles,
    deliver,
    plan,
    plan_of,
    plans,
    prepaid,
    refused,
    sold_at,
    state,
    told,
    verify,
    whole,
    window,
)

from fakes.stripe_events import Event, Shape
from openrembg.server.accounts.models import User
from openrembg.server.billing.models import Customer, StripeEvent
from openrembg.server.billing.replay import replay
from openrembg.server.billing.subscriptions import reprice
from people import person

pytestmark = pytest.mark.usefixtures("database", "webhooks")

Furnish = Callable[..., object]


@pytest.fixture
def ada(shape: Shape) -> Iterator[Buyer]:
    """A verified user of whom Stripe knows nothing; at the end, every account is whole."""
    plans()
    yield buyer(shape, linked=False)
    whole()


def subscribed(one: Buyer) -> Event:
    """Return the event of a new subscription."""
    return one.stripe.subscription_created(one.sub(), created=THIRD)


def session(one: Buyer, email: str | None, reference: str | None = None) -> Event:
    """Return a session that does not say whose it is but by a mail address."""
    return one.stripe.checkout_completed(
        one.named("cs"),
        created=THIRD,
        mode="subscription",
        customer=one.customer,
        subscription=one.named("sub"),
        email=email,
        reference=reference,
    )


def waits(one: Buyer) -> bool:
    """Whether the customer is nobody's, and the user's account is as it was."""
    customer = Customer.objects.filter(pk=one.customer).first()
    return (customer is None or customer.user is None) and plan_of(one) == "Free"


def has_basic(one: Buyer) -> bool:
    """Whether what Stripe told of the subscription has reached the account."""
    return (plan_of(one), window(one)) == ("Basic", (THIRD, FOURTH, True))


def test_events_of_an_unknown_customer_wait(ada: Buyer) -> None:
    told(
        ada.stripe.subscription_created(ada.sub(SECOND), created=SECOND),
        ada.stripe.invoice_paid(ada.sub(SECOND), created=SECOND + 5),
        ada.stripe.subscription_updated(ada.sub(THIRD), created=THIRD),
    )
    assert waits(ada)
    told(ada.linked())
    assert has_basic(ada)
    assert cycle(ada, periodStartUnix=SECOND)["stripeBillingSynced"] is True


def test_the_session_names_our_user(ada: Buyer) -> None:
    told(ada.linked(), subscribed(ada))
    assert has_basic(ada)
    assert cut(ada)["X-Credits-Source"] == "included"


def test_the_name_of_our_user_comes_before_the_mail_address(ada: Buyer) -> None:
    bob = person("bob@example.com")
    told(session(ada, "bob@example.com", str(ada.id)), subscribed(ada))
    assert has_basic(ada)
    assert bob.balance().plan.label == "Free"


def test_the_mail_address_of_a_verified_user_links(ada: Buyer) -> None:
    told(subscribed(ada), session(ada, ada.who.user.email))
    assert has_basic(ada)


def test_capitals_and_blanks_in_an_address_do_not_matter(ada: Buyer) -> None:
    told(subscribed(ada), session(ada, f" {ada.who.user.email.upper()} "))
    assert has_basic(ada)


@pytest.mark.parametrize("reference", ["", "0", "-1", "999999", "abc", "1e3", "9" * 40, "١", " 1"])
def test_a_reference_that_is_no_user_of_ours_leaves_it_to_the_address(
    ada: Buyer, reference: str
) -> None:
    told(subscribed(ada), session(ada, ada.who.user.email, reference))
    assert has_basic(ada)


@pytest.mark.parametrize("email", [None, "", "nobody@example.com", "not an address", "x" * 300])
def test_an_address_of_nobody_links_nobody(ada: Buyer, email: str | None) -> None:
    told(subscribed(ada), session(ada, email))
    assert waits(ada)


@pytest.mark.parametrize("first", ["session", "subscription"])
def test_an_unverified_user_gets_it_when_they_verify(first: str) -> None:
    plans()
    ada = buyer(linked=False, verified=False)
    events = [session(ada, ada.who.user.email), subscribed(ada)]
    told(*(events if first == "session" else reversed(events)))
    assert waits(ada)
    verify(ada)
    assert has_basic(ada)
    whole()


def test_a_pack_of_an_unverified_user_waits_for_them_too() -> None:
    ada = buyer(linked=False, verified=False)
    told(ada.bought("30", reference=None, email=ada.who.user.email), ada.refunded(300))
    assert prepaid(ada) == 0
    verify(ada)
    assert prepaid(ada) == 20
    whole()


def test_an_address_that_another_user_claims_without_proof_is_not_theirs(ada: Buyer) -> None:
    mallory = buyer(linked=False)
    wanted = "carol@example.com"
    EmailAddress.objects.create(user=mallory.who.user, email=wanted, verified=False, primary=False)
    told(subscribed(ada), session(ada, wanted))
    assert waits(ada)
    assert plan_of(mallory) == "Free"


def test_a_link_stays_whatever_comes_later(ada: Buyer) -> None:
    told(ada.linked(), subscribed(ada))
    bob = buyer(linked=False)
    later = session(ada, bob.who.user.email, str(bob.id))
    later["data"]["object"]["id"] = "cs_later"
    told(later)
    assert has_basic(ada)
    assert plan_of(bob) == "Free"


def test_two_customers_may_be_one_user(ada: Buyer) -> None:
    other = Buyer(ada.who, ada.mark + "y", ada.stripe)
    told(ada.linked(), subscribed(ada), other.linked())
    pro = other.stripe.subscription_created(other.sub(price="price_pro"), created=THIRD)
    told(pro)
    assert plan_of(ada) == "Pro"
    told(other.stripe.subscription_deleted(other.sub(price="price_pro"), created=THIRD + 60))
    assert has_basic(ada)


def test_a_price_of_no_plan_opens_the_window_and_leaves_the_plan(ada: Buyer) -> None:
    told(ada.linked())
    event = ada.stripe.subscription_created(ada.sub(price="price_new"), created=THIRD)
    told(event)
    assert (plan_of(ada), window(ada)) == ("Free", (THIRD, FOURTH, True))
    assert cycle(ada)["includedCredits"] == 50
    assert "price_new" in StripeEvent.objects.get(event_id=event["id"]).note
    cut(ada)
    plan("New", 2, "price_new")
    reprice("price_new", NOW)
    assert plan_of(ada) == "New"
    shown = cycle(ada)
    assert (shown["includedCredits"], shown["usedIncludedCredits"]) == (2, 1)
    cut(ada)
    refused(ada)
    assert cycles(ada) == [(THIRD, FOURTH, 2)]


def test_a_plan_that_gets_the_price_serves_the_next_event_as_well(ada: Buyer) -> None:
    told(ada.linked(), ada.stripe.subscription_created(ada.sub(price="price_new"), created=THIRD))
    sold_at("Pro", "price_new")
    told(ada.stripe.subscription_updated(ada.sub(price="price_new"), created=THIRD + 5))
    reprice("price_new", NOW)
    assert plan_of(ada) == "Pro"


def test_another_price_for_a_plan_leaves_those_who_pay_the_old_one(ada: Buyer) -> None:
    told(ada.linked(), subscribed(ada))
    sold_at("Basic", "price_basic_2")
    told(ada.stripe.invoice_paid(ada.sub(), created=THIRD + 60))
    assert has_basic(ada)


def test_nobody_is_told_to_be_who_has_gone(ada: Buyer) -> None:
    gone = str(ada.id)
    told(ada.linked())
    User.objects.filter(pk=ada.id).delete()
    again = buyer(linked=False)
    for event in (
        subscribed(ada),
        again.stripe.checkout_completed(
            "cs_gone", created=FIRST, reference=gone, credits_="5", payment_intent="pi_gone"
        ),
        ada.refunded(900),
    ):
        assert deliver(event).status_code == 200
    replay(NOW)
    assert state(again)["usage"]["prepaidCredits"] == 0
