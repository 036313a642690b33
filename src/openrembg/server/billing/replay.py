"""Everything that Stripe told, once more and from zero: the rows are made anew from the inbox.

It repairs what an older release misread, what a price was not yet known for, and rows that were
lost. Purchases that are in the ledger are not made again. Servers may go on meanwhile: a customer's
rows are replaced in one transaction.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet

from openrembg.server.billing import waiting
from openrembg.server.billing.events import read_event
from openrembg.server.billing.inbox import Touched, merge, take_effect
from openrembg.server.billing.linking import claim
from openrembg.server.billing.models import (
    BillingPeriod,
    Checkout,
    Customer,
    StripeEvent,
    Subscription,
)
from openrembg.server.errors import NotAnEvent
from openrembg.server.quota import ledger
from openrembg.server.quota.models import Balance
from openrembg.server.quota.windows import unix

AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found. forgotten: events of deleted accounts. unreadable: those that no
    release reads so far. changed: accounts that are now another than before.
    """

    events: int
    forgotten: int
    unreadable: tuple[str, ...]
    accounts: int
    changed: int
    waiting_customers: int
    unknown_prices: tuple[str, ...]
    waiting_purchases: int


def replay(now: dt.datetime) -> Replayed:
    """Make the rows of all that Stripe told anew, then every account what they say."""
    unreadable = [event_id for customer_id in _customers() for event_id in _renew(customer_id)]
    sessions = list(Checkout.objects.order_by("pk").values_list("pk", flat=True))
    changed = {claim(session_id, now) for session_id in sessions} - {None}
    users = _users()
    changed |= {user_id for user_id in users if take_effect(Touched({user_id}), now)}
    events = StripeEvent.objects.all()
    return Replayed(
        events=events.count(),
        forgotten=events.filter(payload="").count(),
        unreadable=tuple(unreadable),
        accounts=len(users),
        changed=len(changed),
        waiting_customers=waiting.customers().count(),
        unknown_prices=unknown_prices(now),
        waiting_purchases=waiting.purchases().count(),
    )


def unknown_prices(now: dt.datetime) -> tuple[str, ...]:
    """Return the prices of periods that have not ended and that no plan has."""
    periods = BillingPeriod.objects.filter(plan=None, end__gt=unix(now))
    texts = periods.order_by().values_list("prices", flat=True).distinct()
    return tuple(sorted({price for text in texts for price in text.split()}))


def _customers() -> list[str]:
    """Return the customers that events tell of; the empty text for the events without one."""
    told = StripeEvent.objects.exclude(payload="").order_by("customer_id")
    return list(told.values_list("customer_id", flat=True).distinct())


def _renew(customer_id: str) -> list[str]:
    """Make a customer's rows anew, and return the events that could not be read."""
    events = StripeEvent.objects.filter(customer_id=customer_id).exclude(payload="")
    if not customer_id:
        return [event_id for kept in _ordered(events) for event_id in _merge_alone(kept)]
    with ledger.together():
        list(Customer.objects.select_for_update().filter(pk=customer_id))
        before = _periods(customer_id)
        Subscription.objects.filter(customer=customer_id).delete()
        unreadable = [event_id for kept in _ordered(events) for event_id in _merge(kept)]
        _keep_plans(customer_id, before)
        return unreadable


def _periods(customer_id: str) -> dict[tuple[str, int], BillingPeriod]:
    rows = BillingPeriod.objects.filter(subscription__customer=customer_id)
    return {(row.subscription_id, row.start): row for row in rows}


def _keep_plans(customer_id: str, before: Mapping[tuple[str, int], BillingPeriod]) -> None:
    """Let periods include what they did: a plan may have got other credits or prices since."""
    for key, row in _periods(customer_id).items():
        was = before.get(key)
        if was is None:
            continue
        if was.plan_id is not None and was.prices == row.prices:
            row.plan_id, row.credits = was.plan_id, was.credits
        if was.known_plan_id is not None and was.known_told == row.known_told:
            row.known_plan_id, row.known_credits = was.known_plan_id, was.known_credits
        row.save()


def _ordered(events: QuerySet[StripeEvent]) -> Iterator[StripeEvent]:
    """Yield events as they came; no query stays open meanwhile."""
    last = 0
    while chunk := list(events.filter(pk__gt=last).order_by("pk")[:AT_ONCE]):
        yield from chunk
        last = chunk[-1].pk


def _merge_alone(kept: StripeEvent) -> list[str]:
    with ledger.together():
        return _merge(kept)


def _merge(kept: StripeEvent) -> list[str]:
    """Merge an event, keep the note that it gets now, and return it if it cannot be read."""
    try:
        touched = merge(read_event(kept.payload))
    except NotAnEvent:
        touched = Touched(note="It is no event.", is_read=False)
    if touched.note != kept.note:
        kept.note = touched.note
        kept.save(update_fields=("note",))
    return [] if touched.is_read else [kept.event_id]


def _users() -> list[int]:
    """Return everybody of whom Stripe has told, or who has a billing period."""
    linked = Customer.objects.exclude(user=None).values_list("user_id", flat=True)
    counted = Balance.objects.exclude(period_start=None).values_list("pk", flat=True)
    return sorted({*linked, *counted})
