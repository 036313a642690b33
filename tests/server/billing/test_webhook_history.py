"""What becomes of an account while its subscription lives, is in trouble, and ends."""

from collections.abc import Callable, Iterator
from typing import Any

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
    cut,
    cycle,
    cycles,
    plan,
    plan_of,
    plans,
    prepaid,
    refused,
    told,
    usage,
    whole,
    window,
)

from fakes.stripe_events import DAY_S, MONTH_S, Item, Shape, Stripe, Subscribed
from openrembg.server.quota.ledger import set_plan, top_up
from openrembg.server.quota.windows import month_of

pytestmark = pytest.mark.usefixtures("database")

Furnish = Callable[..., object]
Clock = time_machine.Traveller
MONTHLY = "You've reached your monthly limit. Consider purchasing more credits."
PRO: dict[str, Any] = {"price": "price_pro"}


@pytest.fixture(autouse=True)
def clock(furnish: Furnish) -> Iterator[Clock]:
    furnish(stripe_webhook_secret=SECRET)
    with time_machine.travel(THIRD + DAY_S, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ada(shape: Shape) -> Iterator[Buyer]:
    """A linked customer; at the end, every account is whole."""
    plans()
    yield buyer(shape)
    whole()


def subscribe(one: Buyer, **more: object) -> None:
    """Let the third period have begun."""
    told(one.stripe.subscription_created(one.sub(), created=THIRD, **more))


def calendar_month() -> tuple[int, int, bool]:
    """Return what membership-usage says without a billing period."""
    month = month_of(timezone.now())
    return month.start, month.end - 1, False


def free(one: Buyer) -> None:
    """Fail unless the account is on Free in the calendar month."""
    assert plan_of(one) == "Free"
    assert usage(one)["membership"] == "Free"
    assert window(one) == calendar_month()


def test_a_subscription_opens_the_window_that_is_enforced(ada: Buyer) -> None:
    subscribe(ada)
    assert usage(ada)["membership"] == "Basic"
    assert window(ada) == (THIRD, FOURTH, True)
    for used in range(3):
        assert cycle(ada)["usedIncludedCredits"] == used
        assert cut(ada)["X-Credits-Charged"] == "1"
    assert refused(ada) == MONTHLY
    shown = cycle(ada)
    assert (shown["apiUsage"], shown["remainingIncludedCredits"]) == (3, 0)
    assert cycles(ada) == [(THIRD, FOURTH, 3)]


def test_a_renewal_begins_a_new_window_and_the_past_one_is_listed(ada: Buyer, clock: Clock) -> None:
    subscribe(ada)
    cut(ada)
    clock.move_to(FOURTH + 5)
    told(ada.stripe.subscription_updated(ada.sub(FOURTH), created=FOURTH + 1))
    told(ada.stripe.invoice_paid(ada.sub(FOURTH), created=FOURTH + 3600))
    assert window(ada) == (FOURTH, FOURTH + MONTH_S, True)
    cut(ada)
    cut(ada)
    assert cycles(ada) == [(FOURTH, FOURTH + MONTH_S, 2), (THIRD, FOURTH - 1, 1)]
    past = cycle(ada, periodStartUnix=THIRD)
    assert (past["apiUsage"], past["includedCredits"], past["stripeBillingSynced"]) == (1, 3, True)


def test_an_invoice_alone_renews(ada: Buyer, clock: Clock) -> None:
    subscribe(ada)
    clock.move_to(FOURTH + 5)
    told(ada.stripe.invoice_payment_succeeded(ada.sub(FOURTH), created=FOURTH + 2))
    assert window(ada) == (FOURTH, FOURTH + MONTH_S, True)


def test_an_older_event_changes_nothing(ada: Buyer) -> None:
    subscribe(ada)
    told(ada.stripe.subscription_updated(ada.sub(SECOND, **PRO), created=SECOND))
    told(ada.stripe.subscription_updated(ada.sub(**PRO), created=THIRD - 1, status="unpaid"))
    assert (plan_of(ada), window(ada)) == ("Basic", (THIRD, FOURTH, True))


def test_an_upgrade_counts_at_once_and_what_was_used_stays_used(ada: Buyer) -> None:
    subscribe(ada)
    for _ in range(3):
        cut(ada)
    refused(ada)
    at = THIRD + DAY_S
    unused = ada.stripe.proration(ada.sub(), "price_basic", -450, at=at)
    remaining = ada.stripe.proration(ada.sub(), "price_pro", 900, at=at)
    told(
        ada.stripe.subscription_updated(ada.sub(**PRO), created=at, before=ada.sub()),
        ada.stripe.invoice_paid(
            ada.sub(**PRO),
            created=at + 1,
            prorated=(unused, remaining),
            renews=False,
            reason="subscription_update",
        ),
    )
    # The lines about a part of the period are no period.
    assert window(ada) == (THIRD, FOURTH, True)
    shown = cycle(ada)
    assert (shown["includedCredits"], shown["usedIncludedCredits"]) == (5, 3)
    cut(ada)
    cut(ada)
    refused(ada)
    assert cycles(ada) == [(THIRD, FOURTH, 5)]


def test_prorations_of_the_flexible_billing_mode_are_no_period(ada: Buyer) -> None:
    stripe, at = Stripe(ada.stripe.shape, flexible=True), THIRD + DAY_S
    lines = [
        stripe.proration(ada.sub(), "price_basic", -450, at=at),
        stripe.proration(ada.sub(), "price_pro", 900, at=at),
    ]
    told(
        stripe.subscription_created(ada.sub(), created=THIRD),
        stripe.subscription_updated(ada.sub(**PRO), created=at),
        stripe.invoice_paid(ada.sub(**PRO), created=at, prorated=lines, renews=False),
    )
    assert (plan_of(ada), window(ada)) == ("Pro", (THIRD, FOURTH, True))


def test_names_as_long_as_can_be_are_no_hindrance() -> None:
    plans()
    ada = buyer(linked=False)
    long = Subscribed("sub_" + "x" * 251, "cus_" + "x" * 251, THIRD, FOURTH)
    link = ada.linked()
    link["data"]["object"]["customer"] = long.customer
    link["id"] = "evt_" + "x" * 251
    created = ada.stripe.subscription_created(long, created=THIRD)
    created["id"] = "evt_" + "y" * 251
    told(link, created, ada.stripe.invoice_paid(long, created=THIRD))
    assert (plan_of(ada), window(ada)) == ("Basic", (THIRD, FOURTH, True))
    told(ada.stripe.subscription_deleted(long, created=THIRD + 5))
    free(ada)
    whole()


def test_prorations_on_the_next_invoice_are_no_period(ada: Buyer, clock: Clock) -> None:
    subscribe(ada)
    at = THIRD + DAY_S
    told(ada.stripe.subscription_updated(ada.sub(**PRO), created=at))
    clock.move_to(FOURTH + 9)
    lines = [
        ada.stripe.proration(ada.sub(), "price_basic", -450, at=at),
        ada.stripe.proration(ada.sub(), "price_pro", 900, at=at),
    ]
    told(ada.stripe.invoice_paid(ada.sub(FOURTH, **PRO), created=FOURTH + 2, prorated=lines))
    assert window(ada) == (FOURTH, FOURTH + MONTH_S, True)
    assert usage(ada)["membership"] == "Pro"
    assert cycle(ada, periodStartUnix=at)["stripeBillingSynced"] is False


def test_a_downgrade_may_leave_less_than_was_used(ada: Buyer) -> None:
    subscribe(ada, **PRO)
    for _ in range(4):
        cut(ada)
    told(ada.stripe.subscription_updated(ada.sub(), created=THIRD + 60))
    shown = cycle(ada)
    assert (shown["includedCredits"], shown["usedIncludedCredits"]) == (3, 4)
    assert shown["remainingIncludedCredits"] == 0
    assert refused(ada) == MONTHLY


def test_a_cancellation_at_the_end_never_changes_the_end(ada: Buyer, clock: Clock) -> None:
    subscribe(ada)
    told(ada.stripe.subscription_updated(ada.sub(), created=THIRD + 60, cancel_at_period_end=True))
    assert (plan_of(ada), window(ada)) == ("Basic", (THIRD, FOURTH, True))
    cut(ada)
    clock.move_to(FOURTH - 1)
    assert (plan_of(ada), window(ada)) == ("Basic", (THIRD, FOURTH, True))
    cut(ada)
    # Its end has come, and nobody told yet: what was paid for is over.
    clock.move_to(FOURTH)
    cut(ada)
    free(ada)
    told(ada.stripe.subscription_deleted(ada.sub(), created=FOURTH))
    free(ada)
    assert cycles(ada) == [(THIRD, FOURTH, 2)]


def test_a_cancellation_at_a_moment_amid_a_period_does_not_change_the_end(
    ada: Buyer, clock: Clock
) -> None:
    subscribe(ada)
    amid = THIRD + 10 * DAY_S
    told(ada.stripe.subscription_updated(ada.sub(), created=THIRD + 60, cancel_at=amid))
    assert window(ada) == (THIRD, FOURTH, True)
    clock.move_to(amid)
    told(ada.stripe.subscription_deleted(ada.sub(), created=amid))
    free(ada)


def test_a_cancellation_may_be_withdrawn(ada: Buyer, clock: Clock) -> None:
    subscribe(ada)
    told(
        ada.stripe.subscription_updated(ada.sub(), created=THIRD + 60, cancel_at_period_end=True),
        ada.stripe.subscription_updated(ada.sub(), created=THIRD + 90),
    )
    clock.move_to(FOURTH + 1)
    assert (plan_of(ada), window(ada)) == ("Basic", (FOURTH, FOURTH + MONTH_S, True))


def test_a_later_end_than_the_period_renews_until_then(ada: Buyer, clock: Clock) -> None:
    subscribe(ada)
    later = FOURTH + 10 * DAY_S
    told(ada.stripe.subscription_updated(ada.sub(), created=THIRD + 60, cancel_at=later))
    clock.move_to(FOURTH + 1)
    assert plan_of(ada) == "Basic"
    assert window(ada)[0] == FOURTH


def test_a_deletion_is_free_in_the_calendar_month_at_once(ada: Buyer) -> None:
    subscribe(ada)
    cut(ada)
    told(ada.stripe.subscription_deleted(ada.sub(), created=THIRD + 60))
    free(ada)
    # The picture was made in this month as well.
    assert cycle(ada)["usedIncludedCredits"] == 1
    assert cycles(ada) == [(THIRD, FOURTH, 1)]
    assert cycle(ada, periodStartUnix=THIRD)["stripeBillingSynced"] is True


def test_a_new_subscription_after_the_end_of_another(ada: Buyer) -> None:
    subscribe(ada)
    cut(ada)
    told(ada.stripe.subscription_deleted(ada.sub(), created=THIRD + 60))
    again = ada.sub(THIRD + 3600, **PRO)
    other = type(again)(ada.named("sub_other"), ada.customer, again.start, again.end, again.price)
    told(ada.stripe.subscription_created(other, created=THIRD + 3600))
    assert (plan_of(ada), window(ada)) == ("Pro", (again.start, again.end, True))
    # The deletion of the first, told once more, does not end the second.
    told(ada.stripe.subscription_deleted(ada.sub(), created=THIRD + 7200))
    assert (plan_of(ada), window(ada)) == ("Pro", (again.start, again.end, True))
    assert cut(ada)["X-Credits-Source"] == "included"


def test_past_due_keeps_the_period_until_it_ends_and_payment_makes_it_good(
    ada: Buyer, clock: Clock
) -> None:
    told(ada.stripe.subscription_created(ada.sub(SECOND), created=SECOND))
    third = ada.sub(THIRD)
    told(
        ada.stripe.invoice_payment_failed(third, created=THIRD + 3600),
        ada.stripe.subscription_updated(third, created=THIRD + 3600, status="past_due"),
    )
    assert (plan_of(ada), window(ada)) == ("Basic", (THIRD, FOURTH, True))
    cut(ada)
    told(
        ada.stripe.invoice_paid(third, created=THIRD + 7200),
        ada.stripe.subscription_updated(third, created=THIRD + 7200),
    )
    assert (plan_of(ada), window(ada)) == ("Basic", (THIRD, FOURTH, True))
    clock.move_to(FOURTH + 60)
    assert (plan_of(ada), window(ada)) == ("Basic", (FOURTH, FOURTH + MONTH_S, True))


@pytest.mark.parametrize("how", ["status", "invoice"])
def test_past_due_and_never_paid_is_free_when_the_period_ends(
    ada: Buyer, clock: Clock, how: str
) -> None:
    subscribe(ada)
    if how == "status":
        told(ada.stripe.subscription_updated(ada.sub(), created=THIRD + 60, status="past_due"))
    else:
        told(ada.stripe.invoice_payment_failed(ada.sub(), created=THIRD + 60))
    clock.move_to(FOURTH - 1)
    assert (plan_of(ada), window(ada)) == ("Basic", (THIRD, FOURTH, True))
    clock.move_to(FOURTH)
    assert window(ada) == calendar_month()
    assert usage(ada)["membership"] == "Free"
    assert cut(ada)["X-Credits-Charged"] == "1"
    free(ada)
    told(ada.stripe.invoice_paid(ada.sub(FOURTH), created=FOURTH + 3600))
    assert (plan_of(ada), window(ada)) == ("Basic", (FOURTH, FOURTH + MONTH_S, True))


def test_a_late_payment_for_an_older_period_does_not_pay_the_present_one(
    ada: Buyer, clock: Clock
) -> None:
    told(ada.stripe.subscription_created(ada.sub(SECOND), created=SECOND))
    third = ada.sub(THIRD)
    told(
        ada.stripe.invoice_payment_failed(third, created=THIRD + 3600),
        ada.stripe.subscription_updated(third, created=THIRD + 3600, status="past_due"),
        ada.stripe.invoice_paid(ada.sub(SECOND), created=THIRD + 7200),
    )
    assert (plan_of(ada), window(ada)) == ("Basic", (THIRD, FOURTH, True))
    clock.move_to(FOURTH)
    assert window(ada) == calendar_month()
    free(ada)


@pytest.mark.parametrize("status", ["unpaid", "canceled", "incomplete_expired", "paused"])
def test_a_status_that_gives_nothing_is_free(ada: Buyer, status: str) -> None:
    subscribe(ada)
    told(ada.stripe.subscription_updated(ada.sub(), created=THIRD + 60, status=status))
    free(ada)


def test_a_subscription_that_was_never_paid_gives_nothing(ada: Buyer) -> None:
    subscribe(ada, status="incomplete")
    free(ada)
    told(ada.stripe.subscription_updated(ada.sub(), created=THIRD + 60, status="active"))
    assert (plan_of(ada), window(ada)) == ("Basic", (THIRD, FOURTH, True))


def test_a_trial_is_a_period(ada: Buyer, clock: Clock) -> None:
    ends = THIRD + 7 * DAY_S
    trial = ada.sub(THIRD, ends, status="trialing", trial_end=ends)
    told(ada.stripe.subscription_created(trial, created=THIRD))
    assert (plan_of(ada), window(ada)) == ("Basic", (THIRD, ends, True))
    clock.move_to(ends + 60)
    paid = ada.sub(ends, trial_end=ends)
    told(ada.stripe.subscription_updated(paid, created=ends, before=trial))
    assert window(ada) == (ends, ends + MONTH_S, True)


def test_of_several_items_the_latest_end_counts() -> None:
    plans()
    ada = buyer()
    items = (Item("price_basic", end=FOURTH), Item("price_pro", end=FOURTH + 5 * DAY_S))
    told(ada.stripe.subscription_created(ada.sub(items=items), created=THIRD))
    assert window(ada) == (THIRD, FOURTH + 5 * DAY_S, True)
    assert plan_of(ada) == "Pro"


def test_events_three_days_late_find_the_usage_where_it_belongs(ada: Buyer, clock: Clock) -> None:
    subscribe(ada)
    cut(ada)
    clock.move_to(FOURTH + 60)
    assert (plan_of(ada), window(ada)) == ("Basic", (FOURTH, FOURTH + MONTH_S, True))
    assert cut(ada)["X-Credits-Source"] == "included"
    assert cut(ada)["X-Credits-Source"] == "included"
    clock.move_to(FOURTH + 3 * DAY_S)
    assert cycle(ada)["usedIncludedCredits"] == 2
    # The interval is a month of the calendar; ours ends when Stripe says so.
    renewed = ada.sub(FOURTH, FOURTH + 31 * DAY_S)
    told(
        ada.stripe.invoice_paid(renewed, created=FOURTH + 3600),
        ada.stripe.subscription_updated(renewed, created=FOURTH),
    )
    assert window(ada) == (FOURTH, FOURTH + 31 * DAY_S, True)
    assert cycle(ada)["usedIncludedCredits"] == 2
    cut(ada)
    assert refused(ada) == MONTHLY
    assert cycles(ada) == [(FOURTH, FOURTH + 31 * DAY_S, 3), (THIRD, FOURTH - 1, 1)]


def test_a_provisional_window_is_listed_before_stripe_tells_of_it(ada: Buyer, clock: Clock) -> None:
    subscribe(ada)
    cut(ada)
    clock.move_to(FOURTH + 60)
    for _ in range(3):
        cut(ada)
    assert refused(ada) == MONTHLY
    listed = cycles(ada)
    assert [(start, used) for start, _, used in listed] == [(FOURTH, 3), (THIRD, 1)]
    assert listed[0][1] == window(ada)[1]


def test_news_that_never_comes_ends_in_the_calendar_month(ada: Buyer, clock: Clock) -> None:
    subscribe(ada)
    clock.move_to(FOURTH + 60)
    cut(ada)
    provisional_end = window(ada)[1]
    clock.move_to(provisional_end)
    assert (plan_of(ada), window(ada)) == ("Basic", calendar_month())
    assert cut(ada)["X-Credits-Charged"] == "1"
    assert (plan_of(ada), window(ada)) == ("Basic", calendar_month())
    told(ada.stripe.subscription_updated(ada.sub(provisional_end), created=provisional_end))
    assert window(ada) == (provisional_end, provisional_end + MONTH_S, True)


def test_a_renewal_that_is_told_before_it_begins_waits_for_its_start(
    ada: Buyer, clock: Clock
) -> None:
    subscribe(ada)
    cut(ada)
    clock.move_to(FOURTH - 2)
    # Their clock is a little ahead of ours.
    told(ada.stripe.subscription_updated(ada.sub(FOURTH), created=FOURTH))
    cut(ada)
    clock.move_to(FOURTH)
    assert window(ada) == (FOURTH, FOURTH + MONTH_S, True)
    assert cycle(ada)["usedIncludedCredits"] in (0, 1)
    for _ in range(cycle(ada)["remainingIncludedCredits"]):
        cut(ada)
    refused(ada)


def test_prepaid_credits_outlive_the_subscription(ada: Buyer) -> None:
    top_up(ada.id, 2)
    subscribe(ada)
    for source in ("included", "included", "included", "prepaid"):
        assert cut(ada)["X-Credits-Source"] == source
    told(ada.stripe.subscription_deleted(ada.sub(), created=THIRD + 60))
    assert (plan_of(ada), prepaid(ada)) == ("Free", 1)
    # Three of Free's fifty went already: they were of this month.
    assert cut(ada)["X-Credits-Source"] == "included"


def test_the_operators_plan_stays_where_stripe_has_no_say(ada: Buyer) -> None:
    granted = plan("Friends", 7)
    set_plan(ada.id, granted)
    told(ada.stripe.subscription_created(ada.sub(), created=THIRD, status="incomplete"))
    told(ada.stripe.subscription_deleted(ada.sub(), created=THIRD + 60))
    assert (plan_of(ada), window(ada)) == ("Friends", calendar_month())


def test_a_changed_plan_keeps_the_credits_of_past_periods(ada: Buyer, clock: Clock) -> None:
    told(ada.stripe.subscription_created(ada.sub(SECOND), created=SECOND))
    told(ada.stripe.subscription_updated(ada.sub(**PRO), created=THIRD))
    assert cycle(ada, periodStartUnix=SECOND)["includedCredits"] == 3
    assert cycle(ada)["includedCredits"] == 5
    assert FIRST not in {start for start, _, _ in cycles(ada)}
