"""Which of a subscription's periods counts, and what it brings, where that is not plain."""

import datetime as dt
import itertools
from collections.abc import Callable, Iterator

import pytest
import time_machine
from django.utils import timezone
from webhook_client import (
    FIRST,
    FOURTH,
    SECOND,
    SECRET,
    THIRD,
    Buyer,
    buyer,
    cycle,
    plan,
    plan_of,
    plans,
    state,
    told,
    whole,
    window,
)

from fakes.stripe_events import DAY_S, MONTH_S, Event, Item
from openrembg.server.billing.models import Plan
from openrembg.server.billing.replay import replay

pytestmark = pytest.mark.usefixtures("database")

YEAR = THIRD - 40 * DAY_S


@pytest.fixture(autouse=True)
def clock(furnish: Callable[..., object]) -> Iterator[time_machine.Traveller]:
    furnish(stripe_webhook_secret=SECRET)
    plans()
    with time_machine.travel(THIRD + DAY_S, tick=False) as traveller:
        yield traveller
    whole()


def two_items(one: Buyer, month: int) -> Event:
    """A year of Long, and beside it a month of Basic that renews."""
    items = (
        Item("price_long", start=YEAR, end=YEAR + 365 * DAY_S, interval="year"),
        Item("price_basic", start=month, end=month + MONTH_S),
    )
    return one.stripe.subscription_updated(one.sub(items=items), created=month)


def test_the_renewal_of_the_shorter_item_leaves_the_longer_period() -> None:
    plan("Long", 60, "price_long")
    monthly = (SECOND, THIRD)
    for order in itertools.permutations(range(4)):
        ada = buyer()
        events = [two_items(ada, start) for start in monthly]
        events += [ada.stripe.invoice_paid(ada.sub(start), created=start + 60) for start in monthly]
        told(*(events[n] for n in order))
        assert (plan_of(ada), cycle(ada)["periodStartUnix"]) == ("Long", YEAR)
        assert cycle(ada)["periodEndUnix"] == YEAR + 365 * DAY_S


def changes(one: Buyer) -> list[Event]:
    """Basic; then something that no plan has the price of; then that again for a new period."""
    return [
        one.stripe.subscription_created(one.sub(SECOND), created=SECOND),
        one.stripe.subscription_updated(one.sub(SECOND, price="price_odd"), created=SECOND + 90),
        one.stripe.subscription_updated(one.sub(THIRD, price="price_odd"), created=THIRD),
    ]


def test_a_price_of_no_plan_leaves_the_plan_in_every_order() -> None:
    states = []
    for order in itertools.permutations(range(3)):
        ada = buyer()
        events = [{**event, "id": f"evt_{n}{ada.mark}"} for n, event in enumerate(changes(ada))]
        told(*(events[n] for n in order))
        assert plan_of(ada) == "Basic"
        assert window(ada) == (THIRD, FOURTH, True)
        states.append(state(ada))
    assert all(one["usage"] == states[0]["usage"] for one in states)
    assert replay(timezone.now()).changed == 0


def test_a_plan_is_known_again_once_its_price_is(clock: time_machine.Traveller) -> None:
    ada = buyer()
    told(*changes(ada))
    Plan.objects.filter(label="Pro").update(stripe_price_id="price_odd")
    told(ada.stripe.invoice_paid(ada.sub(THIRD, price="price_odd"), created=THIRD + 60))
    assert plan_of(ada) == "Pro"


def test_a_period_that_is_still_to_come_does_not_count_yet(
    clock: time_machine.Traveller,
) -> None:
    ada = buyer()
    told(
        ada.stripe.subscription_created(ada.sub(THIRD), created=THIRD),
        ada.stripe.invoice_paid(ada.sub(FOURTH, price="price_pro"), created=THIRD + 60),
    )
    assert (plan_of(ada), window(ada)) == ("Basic", (THIRD, FOURTH, True))
    clock.move_to(dt.datetime.fromtimestamp(FOURTH + 5, dt.UTC))
    told(ada.stripe.customer_created(ada.customer, created=FOURTH))
    assert window(ada)[0] == FOURTH
    replay(timezone.now())
    assert (plan_of(ada), window(ada)) == ("Pro", (FOURTH, FOURTH + MONTH_S, True))


@pytest.mark.parametrize("after_s", [DAY_S // 2, DAY_S + 5])
def test_an_end_amid_the_period_is_told_by_its_own_event(
    clock: time_machine.Traveller, after_s: int
) -> None:
    ada = buyer()
    ending = ada.stripe.subscription_updated(ada.sub(), created=THIRD)
    ending["data"]["object"]["cancel_at"] = THIRD + after_s
    told(ending)
    clock.move_to(dt.datetime.fromtimestamp(THIRD + 2 * DAY_S, dt.UTC))
    assert replay(timezone.now()).changed == 0
    assert (plan_of(ada), window(ada)) == ("Basic", (THIRD, FOURTH, True))
    told(ada.stripe.subscription_deleted(ada.sub(), created=THIRD + after_s))
    assert plan_of(ada) == "Free"


def test_a_late_payment_of_a_former_period_makes_nothing_good() -> None:
    ada = buyer()
    told(
        ada.stripe.subscription_updated(ada.sub(THIRD, status="past_due"), created=THIRD + 60),
        ada.stripe.invoice_paid(ada.sub(FIRST), created=THIRD + 90),
    )
    assert ada.who.balance().next_end is None
    told(ada.stripe.invoice_paid(ada.sub(THIRD), created=THIRD + 120))
    assert ada.who.balance().next_end is not None
