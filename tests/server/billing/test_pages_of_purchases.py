"""The pages after Checkout: what became of a purchase, and whose it is."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from shop import PAGE, browser_of, opened, pack_id, pay, plan_id, press, shown, tell

from fakes.stripe_server import FakeStripe
from openrembg.server.billing.models import Checkout, Plan, PlanPrice
from openrembg.server.billing.purchases import purchase
from people import Person, person

pytestmark = pytest.mark.usefixtures("database")

SUCCESS = f"{PAGE}success"
WAITING = "We are waiting for our payment provider"


@pytest.fixture
def shop(database: object, furnish: Any) -> Iterator[FakeStripe]:
    """A Stripe of ours, which sells two plans and a pack."""
    with FakeStripe() as running:
        opened(running, furnish)
        yield running


@pytest.fixture
def ada(database: object) -> Person:
    """A user without anything."""
    return person()


def bought(shop: FakeStripe, who: Person, **how: Any) -> str:
    """Buy a pack, of which nothing has been told yet; return the session's name."""
    answer = press(browser_of(who), f"packs/{pack_id()}/buy")
    return pay(shop, answer.headers["Location"], **how)


def subscribed(shop: FakeStripe, who: Person) -> str:
    """Subscribe, of which nothing has been told yet; return the session's name."""
    answer = press(browser_of(who), f"plans/{plan_id('Basic-1000')}/buy")
    return pay(shop, answer.headers["Location"])


def page(who: Person, session: str, *, state: bool = False) -> str:
    """Return what the page says of a session, or the part of it that is asked for again."""
    address = f"{SUCCESS}{'/state' if state else ''}"
    return shown(browser_of(who).get(address, {"session_id": session}))


def test_it_waits_until_stripe_has_told(shop: FakeStripe, ada: Person) -> None:
    session = bought(shop, ada)
    text = browser_of(ada).get(SUCCESS, {"session_id": session}).content.decode()
    assert "purchase.js" in text
    assert f'<a href="{SUCCESS}?session_id={session}">Look again</a>' in text
    assert WAITING in page(ada, session, state=True)
    tell(shop)
    for state in (False, True):
        assert "Your prepaid credits are there: 100." in page(ada, session, state=state)
    text = browser_of(ada).get(SUCCESS, {"session_id": session}).content.decode()
    assert "purchase.js" not in text
    assert "<html" not in page(ada, session, state=True)


def test_a_plan_is_there_when_the_subscription_is(shop: FakeStripe, ada: Person) -> None:
    session = subscribed(shop, ada)
    events, shop.untold = shop.untold, []
    # The session comes first: it links the customer, and tells of no period yet.
    shop.untold = [events[2]]
    tell(shop)
    assert WAITING in page(ada, session)
    shop.untold = events[:2]
    tell(shop)
    assert "Your plan is now Basic-1000 ." in page(ada, session)


def test_a_bank_that_takes_its_time_is_said(shop: FakeStripe, ada: Person) -> None:
    session = bought(shop, ada, now=False)
    tell(shop)
    assert "Your bank needs some time" in page(ada, session)
    shop.happened(shop.account.money_arrived(shop.account.sessions[session]))
    tell(shop)
    assert "Your prepaid credits are there: 100." in page(ada, session)


def test_a_payment_without_credits_waits_for_the_operator(shop: FakeStripe, ada: Person) -> None:
    session = bought(shop, ada)
    Checkout.objects.create(
        session_id="cs_x", mode="payment", user=ada.user, created=1, is_paid=True
    )
    assert "has been told" in page(ada, "cs_x")
    assert WAITING in page(ada, session)


def test_a_plan_that_nobody_knows_waits_for_the_operator(shop: FakeStripe, ada: Person) -> None:
    session = subscribed(shop, ada)
    Plan.objects.update(stripe_price_id=None)
    PlanPrice.objects.all().delete()
    tell(shop)
    assert "has been told" in page(ada, session)


def test_a_subscription_that_has_ended_since_is_said(shop: FakeStripe, ada: Person) -> None:
    session = subscribed(shop, ada)
    tell(shop)
    _, events = shop.account.cancel(shop.account.sessions[session].subscription)
    shop.happened(events)
    tell(shop)
    assert "This subscription has ended." in page(ada, session)


def test_a_plan_beside_a_larger_one_is_named_as_it_was_bought(
    shop: FakeStripe, ada: Person
) -> None:
    tabs = [
        press(browser_of(ada), f"plans/{plan_id(label)}/buy").headers["Location"]
        for label in ("Pro-5000", "Basic-1000")
    ]
    large, small = (pay(shop, tab) for tab in tabs)
    tell(shop)
    assert "Your plan is now Pro-5000 ." in page(ada, large)
    text = page(ada, small)
    assert "You have subscribed to Basic-1000 ." in text
    assert "cancel one of the two" in text
    _, events = shop.account.cancel(shop.account.sessions[small].subscription)
    shop.happened(events)
    tell(shop)
    assert "This subscription has ended." in page(ada, small)
    assert "Your plan is now Pro-5000 ." in page(ada, large)


def test_another_s_session_is_as_unknown_as_none(shop: FakeStripe, ada: Person) -> None:
    paid, plan = bought(shop, ada), subscribed(shop, ada)
    tell(shop)
    eve = person("eve@example.com")
    for state in (False, True):
        nothing = page(eve, "cs_test_nobody_s", state=state)
        assert WAITING in nothing
        assert page(eve, paid, state=state) == page(eve, plan, state=state) == nothing


@pytest.mark.parametrize(
    "session",
    ["", "x", "cs_", "cs_\0", "cs_" + "a" * 300, "cs_test_'--", "cs_é", "../cs_1", "cs_<b>"],
)
def test_what_is_no_session_is_none(shop: FakeStripe, ada: Person, session: str) -> None:
    for state in (False, True):
        assert "There is no such purchase." in page(ada, session, state=state)
    assert "There is no such purchase." in shown(browser_of(ada).get(SUCCESS))


def test_nothing_was_bought_is_said(shop: FakeStripe, ada: Person) -> None:
    assert "nothing is charged" in shown(browser_of(ada).get(f"{PAGE}cancelled"))


def test_the_pages_are_read_and_never_sent(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    for name in ("success", "success/state", "cancelled", ""):
        assert browser.post(f"{PAGE}{name}").status_code in (403, 405)


def test_a_purchase_of_nothing_known_may_change_soon(shop: FakeStripe, ada: Person) -> None:
    now = dt.datetime.now(dt.UTC)
    assert purchase(ada.user.pk, "cs_1", now).may_change_soon
    assert not purchase(ada.user.pk, "nonsense", now).may_change_soon
