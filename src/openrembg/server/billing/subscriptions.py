"""Subscriptions: what Stripe tells of them is merged, and the account made to fit.

Merging keeps the newest of each thing by its event's key, so that events may come in any order and
any number of times. An account is then compared with what its subscriptions are *now*, and the
differences go into the ledger: after an event, after a price was given to a plan, and when a period
has ended. Whoever merges holds the customer's row locked; whoever reconciles, the user's balance.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db.models import Q

from openrembg.server.billing.customers import locked_customer
from openrembg.server.billing.events import InvoiceTold, SubscriptionTold
from openrembg.server.billing.intervals import following
from openrembg.server.billing.models import BillingPeriod, Plan, Subscription
from openrembg.server.quota import ledger
from openrembg.server.quota.models import Window
from openrembg.server.quota.windows import Period, unix

ACTIVE: Final = frozenset(("active", "trialing"))
# A paid invoice makes these active before the subscription's own event comes.
AWAITS_PAYMENT: Final = frozenset(("", "incomplete", "past_due", "unpaid"))
NEVER_BEGAN: Final = frozenset(("", "incomplete", "incomplete_expired"))
# What an invoice tells of a period gives way to what the subscription itself tells.
_BY_INVOICE: Final = "0"
_BY_SUBSCRIPTION: Final = "1"


@dataclass(frozen=True, slots=True)
class Live:
    """A subscription that counts now. next_end: as in a Balance."""

    subscription: Subscription
    current: BillingPeriod
    next_end: int | None

    @property
    def rank(self) -> tuple[int, int, str]:
        """What orders several that one user has: credits, end, name."""
        credits_ = -1 if self.current.credits is None else self.current.credits
        return credits_, self.current.end, self.subscription.pk


def merge_subscription(told: SubscriptionTold, key: str) -> BillingPeriod | None:
    """Keep what an event tells of a subscription, and return its period as it is known now."""
    subscription = _subscription(told.subscription_id, told.customer_id)
    if key >= subscription.told:
        subscription.told = key
        subscription.status = told.status
        subscription.ends_at = told.ends_at
        subscription.interval = told.interval.unit if told.interval else ""
        subscription.interval_count = told.interval.count if told.interval else 1
        subscription.save()
    if told.period is None:
        return None
    return _merge_period(subscription, told.period, told.prices, _BY_SUBSCRIPTION + key)


def merge_invoice(told: InvoiceTold, key: str) -> BillingPeriod | None:
    """Keep what an event tells of a subscription's invoice, and return the period it is for."""
    subscription = _subscription(told.subscription_id, told.customer_id)
    field = "paid" if told.is_paid else "failed"
    if key > getattr(subscription, field):
        setattr(subscription, field, key)
        subscription.save()
    if told.period is None:
        return None
    return _merge_period(subscription, told.period, told.prices, _BY_INVOICE + key)


def status_of(subscription: Subscription) -> str:
    """Return Stripe's word for a subscription, with what newer invoices add to it."""
    status = subscription.status
    if subscription.paid > subscription.told and status in AWAITS_PAYMENT:
        status = "active"
    if subscription.failed > max(subscription.told, subscription.paid) and status == "active":
        status = "past_due"
    return status


def live_subscription(user_id: int, now: dt.datetime) -> Live | None:
    """Return the subscription of a user that counts now; of several, that with most credits."""
    return _best(_periods(user_id), unix(now))


def reconcile(user_id: int, now: dt.datetime) -> bool:
    """Make a user's account what their subscriptions are now; return whether anything changed.

    Raises AccountGone for a user who is gone.
    """
    with ledger.changing(user_id) as balance:
        entries = balance.entries
        periods = _resolved(_periods(user_id))
        has_written = _write_windows(user_id, periods)
        live = _best(periods, unix(now))
        if live is None:
            return ledger.leave(user_id, at=now) or has_written
        current = live.current
        term = ledger.Term(current.plan, Period(current.start, current.end), live.next_end)
        ledger.follow(user_id, term, note=f"Stripe: {live.subscription.pk}", at=now)
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
    if known is not None and key < known.told:
        return known
    row = known or BillingPeriod(subscription=subscription, start=period.start, prices="?")
    had, row.prices = row.prices, " ".join(prices)
    row.end, row.told = period.end, key
    if had != row.prices:
        _resolve(row)
    row.save()
    return row


def _resolve(period: BillingPeriod) -> bool:
    """Give a period the plan that has its price; return whether that is another one."""
    names = period.prices.split()
    having = Q(prices__in=names) | Q(stripe_price_id__in=names)
    plan = Plan.objects.filter(having).order_by("-credits", "pk").first()
    had = period.plan_id
    period.plan, period.credits = plan, None if plan is None else plan.credits
    return had != period.plan_id


def _periods(user_id: int) -> list[BillingPeriod]:
    mine = BillingPeriod.objects.filter(subscription__customer__user=user_id)
    return list(mine.select_related("subscription", "plan").order_by("start", "told", "pk"))


def _resolved(periods: list[BillingPeriod]) -> list[BillingPeriod]:
    """Look again for the plans of those that had none: a price may have got one meanwhile."""
    for period in periods:
        if period.plan_id is None and _resolve(period):
            period.save(update_fields=("plan", "credits"))
    return periods


def _best(periods: Iterable[BillingPeriod], second: int) -> Live | None:
    # In their order, so that the last of each subscription's periods stays: it only moves forward.
    current = {period.subscription_id: period for period in periods}
    found = (_live(period, second) for period in current.values())
    return max(filter(None, found), key=lambda live: live.rank, default=None)


def _live(current: BillingPeriod, second: int) -> Live | None:
    subscription = current.subscription
    status, ends_at = status_of(subscription), subscription.ends_at
    if status == "past_due":
        return Live(subscription, current, None) if second < current.end else None
    if status not in ACTIVE:
        return None
    if ends_at is not None and ends_at <= current.end:
        return Live(subscription, current, None) if second < ends_at else None
    period = Period(current.start, current.end)
    next_end = following(period, subscription.interval, subscription.interval_count)
    return Live(subscription, current, next_end)


def _write_windows(user_id: int, periods: Iterable[BillingPeriod]) -> bool:
    """Let the user's windows be what the periods say; return whether one was not."""
    wanted = {
        period.start: (period.end, period.credits, True)
        for period in periods
        if status_of(period.subscription) not in NEVER_BEGAN
    }
    known = Window.objects.filter(user=user_id, kind="cycle", start__in=wanted)
    written = {row.start: (row.end, row.credits, row.synced) for row in known}
    differing = {start: told for start, told in wanted.items() if written.get(start) != told}
    for start, (end, credits_, _) in differing.items():
        ledger.write_window(user_id, Period(start, end), credits_)
    return bool(differing)
