"""The inbox: every event of Stripe's is kept once, in the same transaction as its effect.

Rows are locked in this order, here and where an account is deleted: event, customer, payment,
purchase, balance.
"""

import datetime as dt
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from openrembg.server.billing import checkouts, subscriptions
from openrembg.server.billing.customers import locked_customer
from openrembg.server.billing.events import (
    Event,
    InvoiceTold,
    ReversalTold,
    SessionTold,
    SubscriptionTold,
    Unreadable,
    customer_of,
    fact_of,
    payment_of,
)
from openrembg.server.billing.models import BillingPeriod, Checkout, Payment, StripeEvent
from openrembg.server.billing.waiting import DELETED, NO_PERIOD, NO_PLAN, NOBODY, PURCHASE
from openrembg.server.errors import AccountGone
from openrembg.server.quota import ledger

logger = logging.getLogger("openrembg.billing")


@dataclass(frozen=True, slots=True)
class Touched:
    """What an event concerns. note: what an operator has to know of it, in English.

    is_read: whether it told what events of its type tell.
    """

    user_ids: set[int] = field(default_factory=set)
    purchases: list[Checkout] = field(default_factory=list)
    note: str = ""
    is_read: bool = True


def receive(event: Event, text: str, now: dt.datetime) -> bool:
    """Keep an event and let it take effect; return False for one that was here before.

    Of an event that comes after its account was deleted, only the name is kept.
    """
    is_forgotten = _is_forgotten(event)
    facts = {
        "type": event.type,
        "created": event.created,
        "received_at": now,
        "customer_id": customer_of(event),
        "payload": "" if is_forgotten else text,
    }
    with ledger.together():
        kept, is_new = StripeEvent.objects.get_or_create(event_id=event.id, defaults=facts)
        if not is_new:
            return False
        touched = Touched(note=_about_deleted(event)) if is_forgotten else merge(event)
        take_effect(touched, now)
        if touched.note:
            kept.note = touched.note
            kept.save(update_fields=("note",))
    if touched.note:
        about = {"event": event.id, "type": event.type, "note": touched.note}
        logger.warning("A Stripe event needs an operator", extra={"fields": about})
    return True


def merge(event: Event) -> Touched:
    """Merge what an event tells into the rows, and return whom it concerns; no account changes."""
    try:
        fact = fact_of(event)
    except Unreadable as error:
        return Touched(note=f"This {event.type} cannot be read. {error}", is_read=False)
    match fact:
        case SubscriptionTold():
            customer = locked_customer(fact.customer_id)
            period = subscriptions.merge_subscription(fact, event.key)
            return Touched(_only(customer.user_id), note=_about_period(period))
        case InvoiceTold():
            customer = locked_customer(fact.customer_id)
            subscriptions.merge_invoice(fact, event.key)
            return Touched(_only(customer.user_id))
        case SessionTold():
            return _of(checkouts.merge_session(fact, event.created))
        case ReversalTold():
            return _of(checkouts.merge_reversal(fact))
    return Touched()


def take_effect(touched: Touched, now: dt.datetime) -> bool:
    """Settle the purchases and reconcile the accounts; return whether an account changed.

    An account that is being deleted is left alone.
    """
    settled = [_settle(purchase) for purchase in touched.purchases]
    reconciled = [_reconcile(user_id, now) for user_id in sorted(touched.user_ids)]
    return any(settled) or any(reconciled)


def _settle(purchase: Checkout) -> bool:
    try:
        return checkouts.settle(purchase)
    except AccountGone:
        return False


def _reconcile(user_id: int, now: dt.datetime) -> bool:
    try:
        return subscriptions.reconcile(user_id, now)
    except AccountGone:
        return False


def _is_forgotten(event: Event) -> bool:
    """Whether an event is about somebody whose account has been deleted."""
    customer_id, payment = customer_of(event), payment_of(event)
    blank = StripeEvent.objects.filter(customer_id=customer_id, payload="")
    if customer_id and blank.exists():
        return True
    return bool(payment) and Payment.objects.filter(pk=payment, is_forgotten=True).exists()


def _about_deleted(event: Event) -> str:
    """Return what an operator has to do about somebody who pays and has no account any more."""
    try:
        fact = fact_of(event)
    except Unreadable:
        return ""
    match fact:
        case SubscriptionTold() if fact.status not in subscriptions.OVER:
            return f"{DELETED} has the subscription {fact.subscription_id}: cancel it."
        case SessionTold() if fact.is_paid and fact.mode == "payment":
            return f"{DELETED} paid for {fact.session_id}: refund it."
    return ""


def _of(purchases: list[Checkout]) -> Touched:
    users = (_only(purchase.user_id) for purchase in purchases)
    return Touched(set().union(*users), purchases, _about_purchases(purchases))


def _only(user_id: int | None) -> set[int]:
    return set() if user_id is None else {user_id}


def _about_period(period: BillingPeriod | None) -> str:
    if period is None:
        return NO_PERIOD
    if period.plan_id is None:
        return f"{NO_PLAN}{' or '.join(period.prices.split()) or '(none)'}."
    return ""


def _about_purchases(purchases: Iterable[Checkout]) -> str:
    for purchase in purchases:
        if purchase.mode == "payment" and purchase.credits is None:
            return f"{PURCHASE}{purchase.pk} does not say how many credits it brings."
        if purchase.user_id is None:
            return f"{NOBODY}{purchase.pk} is."
    return ""
