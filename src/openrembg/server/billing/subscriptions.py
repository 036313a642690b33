"""Subscriptions: what Stripe tells of them is merged, and the account made to fit.

Merging keeps the newest of each thing by its event's key, so that events may come in any order and
any number of times. An account is then compared with what its subscriptions are *now*, and the
differences go into the ledger: after an event, after a price was given to a plan, and when a period
has ended. Whoever merges holds the customer's row locked; whoever reconciles, the user's balance.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from django.db.models import Q

from openrembg.server.billing.customers import locked_customer
from openrembg.server.billing.events import InvoiceTold, SubscriptionTold
from openrembg.server.billing.intervals import following
from openrembg.server.billing.models import BillingPeriod, Plan, Subscription
from openrembg.server.quota import ledger
from openrembg.server.quota.models import MAX_REFERENCE, Window
from openrembg.server.quota.windows import Period, unix

ACTIVE: Final = frozenset(("active", "trialing"))
# A paid invoice makes these active before the subscription's own event comes.
AWAITS_PAYMENT: Final = frozenset(("", "incomplete", "past_due", "unpaid"))
OVER: Final = frozenset(("canceled", "incomplete_expired"))
NEVER_BEGAN: Final = frozenset(("", "incomplete", "incomplete_expired"))
# Stripe's clock may be ahead of ours.
SKEW_S: Final = 60
# What an invoice tells of a period gives way to what the subscription itself tells.
_BY_INVOICE: Final = "0"
_BY_SUBSCRIPTION: Final = "1"


@dataclass(frozen=True, slots=True)
class Granted:
    """What a period brings; nothing while no price of the subscription was ever a plan's."""

    plan: Plan | None = None
    credits: int | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """A subscription that counts now. next_end: as in a Balance."""

    subscription: Subscription
    current: BillingPeriod
    granted: Granted
    next_end: int | None

    @property
    def plan(self) -> Plan | None:
        """The plan that it brings; None when no plan has ever had one of its prices."""
        return self.granted.plan

    @property
    def rank(self) -> tuple[int, int, str]:
        """What orders several that one user has: credits, end, name."""
        credits_ = -1 if self.granted.credits is None else self.granted.credits
        return credits_, self.current.end, self.subscription.pk


def merge_subscription(told: SubscriptionTold, key: str) -> BillingPeriod | None:
    """Keep what an event tells of a subscription, and return its period as it is known now."""
    subscription = _subscription(told.subscription_id, told.customer_id)
    if key >= subscription.told:
        subscription.told = key
        subscription.told_start = told.period.start if told.period else 0
        subscription.status = told.status
        subscription.ends_at = told.ends_at
        subscription.interval = told.interval.unit if told.interval else ""
        subscription.interval_count = told.interval.count if told.interval else 1
        subscription.save()
    if told.period is None:
        return None
    return _merge_period(subscription, told.period, told.prices, _BY_SUBSCRIPTION + key)


def merge_invoice(told: InvoiceTold, key: str) -> BillingPeriod | None:
    """Keep what an event tells of a subscription's invoice, and return the period it is for.

    One that is for no whole period tells nothing: the subscription's own event does.
    """
    subscription = _subscription(told.subscription_id, told.customer_id)
    if told.period is None:
        return None
    field, paid = "paid" if told.is_paid else "failed", _of_period(told.period.start, key)
    if paid > getattr(subscription, field):
        setattr(subscription, field, paid)
        subscription.save()
    return _merge_period(subscription, told.period, told.prices, _BY_INVOICE + key)


def status_of(subscription: Subscription) -> str:
    """Return Stripe's word for a subscription, with what newer invoices add to it.

    The late payment of a former period makes nothing good.
    """
    status, told = subscription.status, subscription.told
    since = _of_period(subscription.told_start, "")
    paid, failed = subscription.paid, subscription.failed
    if paid > since and _key(paid) > told and status in AWAITS_PAYMENT:
        status = "active"
    if failed > max(since, paid) and _key(failed) > told and status == "active":
        status = "past_due"
    return status


def _of_period(start: int, key: str) -> str:
    """Return what orders invoices: the period that they are for, then the event."""
    return f"{start:010d}.{key}"


def _key(invoice: str) -> str:
    return invoice.partition(".")[2]


def live_subscription(user_id: int, now: dt.datetime) -> Live | None:
    """Return the subscription of a user that counts now; of several, that with most credits."""
    periods = _periods(user_id)
    return _best(periods, _granted(periods), unix(now))


def live_subscriptions(user_id: int, now: dt.datetime) -> set[str]:
    """Return the names of a user's subscriptions that are paid for now, though one alone counts."""
    periods = _periods(user_id)
    return {live.subscription.pk for live in _all_live(periods, _granted(periods), unix(now))}


def granted_plans(user_id: int, now: dt.datetime) -> dict[str, Plan | None]:
    """Return which plan each subscription of a user brings now, or brought when it ended.

    Without those of which no period was told.
    """
    periods = _periods(user_id)
    granted = _granted(periods)
    current = _each_current(periods, unix(now))
    return {period.subscription_id: granted[period.pk].plan for period in current}


def reconcile(user_id: int, now: dt.datetime) -> bool:
    """Make a user's account what their subscriptions are now; return whether anything changed.

    Raises AccountGone for a user who is gone.
    """
    with ledger.changing(user_id) as balance:
        entries = balance.entries
        periods = _resolved(_periods(user_id))
        granted = _granted(periods)
        has_written = _write_windows(user_id, periods, granted)
        live = _best(periods, granted, unix(now))
        if live is None:
            return ledger.leave(user_id, at=now) or has_written
        current = live.current
        term = ledger.Term(live.plan, Period(current.start, current.end), live.next_end)
        ledger.follow(user_id, term, note=f"Stripe: {live.subscription.pk}"[:MAX_REFERENCE], at=now)
        balance.refresh_from_db(fields=("entries",))
        return has_written or balance.entries != entries


def reprice(price_id: str, now: dt.datetime) -> int:
    """Look again which plan a price belongs to, and return how many accounts that changed.

    Periods that have ended keep the plan that they had; those that had none get one.
    """
    having = BillingPeriod.objects.filter(prices__contains=price_id).order_by()
    customers = having.values_list("subscription__customer", flat=True).distinct()
    return sum(_reprice(customer_id, price_id, now) for customer_id in list(customers))


def _reprice(customer_id: str, price_id: str, now: dt.datetime) -> bool:
    with ledger.together():
        customer = locked_customer(customer_id)
        having = BillingPeriod.objects.filter(
            subscription__customer=customer, prices__contains=price_id
        )
        for period in having:
            is_open = period.plan_id is None or period.end > unix(now)
            if price_id in period.prices.split() and is_open and _resolve(period):
                period.save(update_fields=("plan", "credits"))
        return customer.user_id is not None and reconcile(customer.user_id, now)


def _subscription(subscription_id: str, customer_id: str) -> Subscription:
    defaults = {"customer_id": customer_id}
    found, _ = Subscription.objects.get_or_create(pk=subscription_id, defaults=defaults)
    return found


def _merge_period(
    subscription: Subscription, period: Period, prices: tuple[str, ...], key: str
) -> BillingPeriod:
    known = subscription.periods.filter(start=period.start).first()
    row = known or BillingPeriod(subscription=subscription, start=period.start, prices="?")
    if key < row.told:
        _note_known(row, *_plan_of(" ".join(prices)), key)
        row.save()
        return row
    had, row.prices = row.prices, " ".join(prices)
    row.end, row.told = period.end, key
    if had != row.prices:
        _resolve(row)
    _note_known(row, row.plan, row.credits, key)
    row.save()
    return row


def _note_known(row: BillingPeriod, plan: Plan | None, credits_: int | None, key: str) -> None:
    """Remember the newest plan that a price of the period was, for a price that is none."""
    if plan is not None and key >= row.known_told:
        row.known_plan, row.known_credits, row.known_told = plan, credits_, key


def _resolve(period: BillingPeriod) -> bool:
    """Give a period the plan that has its price; return whether that is another one."""
    had = period.plan_id
    period.plan, period.credits = _plan_of(period.prices)
    return had != period.plan_id


def _plan_of(prices: str) -> tuple[Plan | None, int | None]:
    """Return the plan that has one of some prices, of several the largest, and its credits."""
    names = prices.split()
    having = Q(prices__in=names) | Q(stripe_price_id__in=names)
    plan = Plan.objects.filter(having).order_by("-credits", "pk").first()
    return (None, None) if plan is None else (plan, plan.credits)


def _periods(user_id: int) -> list[BillingPeriod]:
    """Return all periods of a user, in their order; each with its subscription and its plans.

    Those are few, and are read once each.
    """
    mine = Subscription.objects.filter(customer__user=user_id).in_bulk()
    rows = BillingPeriod.objects.filter(subscription__in=mine).order_by("start", "told", "pk")
    plans = Plan.objects.in_bulk()
    for period in rows:
        period.subscription = mine[period.subscription_id]
        period.plan = plans.get(period.plan_id)
        period.known_plan = plans.get(period.known_plan_id)
    return list(rows)


def _resolved(periods: list[BillingPeriod]) -> list[BillingPeriod]:
    """Look again for the plans of those that had none: a price may have got one meanwhile."""
    for period in periods:
        if period.plan_id is None and _resolve(period):
            period.save(update_fields=("plan", "credits"))
    return periods


def _granted(periods: Iterable[BillingPeriod]) -> dict[int, Granted]:
    """Return what each period brings: its plan, else what its subscription was before."""
    found: dict[int, Granted] = {}
    last: dict[str, Granted] = {}
    for period in periods:
        granted = last.get(period.subscription_id, Granted())
        if period.plan is not None:
            granted = Granted(period.plan, period.credits)
        elif period.known_plan is not None:
            granted = Granted(period.known_plan, period.known_credits)
        found[period.pk] = last[period.subscription_id] = granted
    return found


def _best(
    periods: Iterable[BillingPeriod], granted: Mapping[int, Granted], second: int
) -> Live | None:
    return max(_all_live(periods, granted, second), key=lambda live: live.rank, default=None)


def _all_live(
    periods: Iterable[BillingPeriod], granted: Mapping[int, Granted], second: int
) -> list[Live]:
    current = _each_current(periods, second)
    found = (_live(period, granted[period.pk], second) for period in current)
    return [live for live in found if live is not None]


def _each_current(periods: Iterable[BillingPeriod], second: int) -> list[BillingPeriod]:
    """Return the period of each subscription that counts."""
    grouped: dict[str, list[BillingPeriod]] = {}
    for period in periods:
        grouped.setdefault(period.subscription_id, []).append(period)
    return [_current(mine, second) for mine in grouped.values()]


def _current(periods: list[BillingPeriod], second: int) -> BillingPeriod:
    """Return the period of a subscription that counts, of those in their order: the last to begin.

    An invoice may be for one item of several, so its period has to go on for longer too.
    """
    begun = [period for period in periods if period.start <= second + SKEW_S] or periods[:1]
    told = [period for period in begun if period.told.startswith(_BY_SUBSCRIPTION)]
    if not told:
        return begun[-1]
    return [told[-1], *(period for period in begun if _follows(period, told[-1]))][-1]


def _follows(period: BillingPeriod, other: BillingPeriod) -> bool:
    return period.start > other.start and period.end > other.end


def _live(current: BillingPeriod, granted: Granted, second: int) -> Live | None:
    subscription = current.subscription
    status, ends_at = status_of(subscription), subscription.ends_at
    goes_on = status in ACTIVE and (ends_at is None or ends_at > current.end)
    if goes_on:
        period = Period(current.start, current.end)
        next_end = following(period, subscription.interval, subscription.interval_count)
        return Live(subscription, current, granted, next_end)
    # An earlier end than the period's is told by an event of its own.
    lasts = status in ACTIVE or status == "past_due"
    return Live(subscription, current, granted, None) if lasts and second < current.end else None


def _write_windows(
    user_id: int, periods: Iterable[BillingPeriod], granted: Mapping[int, Granted]
) -> bool:
    """Let the user's windows be what the periods say; return whether one was not."""
    wanted = {
        period.start: (period.end, granted[period.pk].credits, True)
        for period in periods
        if status_of(period.subscription) not in NEVER_BEGAN
    }
    known = Window.objects.filter(user=user_id, kind="cycle")
    facts = known.values_list("start", "end", "credits", "synced")
    written = {start: (end, credits_, synced) for start, end, credits_, synced in facts}
    differing = {start: told for start, told in wanted.items() if written.get(start) != told}
    for start, (end, credits_, _) in differing.items():
        ledger.write_window(user_id, Period(start, end), credits_)
    return bool(differing)
