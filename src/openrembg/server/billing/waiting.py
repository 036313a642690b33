"""What waits for the operator: customers of nobody, prices of no plan, purchases of nothing."""

from typing import Any, Final

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import StrIndex

from openrembg.server.billing.models import (
    BillingPeriod,
    Checkout,
    Customer,
    StripeEvent,
    Subscription,
)
from openrembg.server.billing.subscriptions import OVER

# How the inbox's notes begin; what other notes tell of waits until a replay reads the event anew.
NO_PLAN: Final = "No plan has the price "
NO_PERIOD: Final = "The subscription has no period."
PURCHASE: Final = "The purchase "
NOBODY: Final = "It is not known whose the purchase "
DELETED: Final = "A deleted account"


def customers() -> QuerySet[Customer]:
    """Return those of whom events came and whose user is not known."""
    return Customer.objects.filter(user=None)


def subscriptions() -> QuerySet[Subscription]:
    """Return those that go on at a price that no plan has: that of their newest period."""
    return _going_on().filter(pk__in=_unknown().values("subscription"))


def purchases() -> QuerySet[Checkout]:
    """Return paid purchases of nobody, and those that do not say how many credits they are."""
    paid = Checkout.objects.filter(mode="payment", is_paid=True)
    return paid.filter(Q(user=None) | Q(credits=None))


def noted_events() -> QuerySet[StripeEvent]:
    """Return events with a note for the operator, while there is something to be done about it.

    A note stays for ever; what it tells of may be settled, forgotten, or over.
    """
    noted = StripeEvent.objects.exclude(note="")
    is_kept = ~Q(payload="") | Q(note__startswith=DELETED)
    is_of_subscription = Q(note__startswith=NO_PLAN) | Q(note__startswith=NO_PERIOD)
    is_of_purchase = Q(note__startswith=PURCHASE) | Q(note__startswith=NOBODY)
    without = Q(periods=None) | Q(pk__in=_unknown().values("subscription"))
    is_settled = (is_of_subscription & ~_told_of(_going_on().filter(without))) | (
        is_of_purchase & ~_told_of(purchases())
    )
    return noted.filter(is_kept).exclude(is_settled)


def _going_on() -> QuerySet[Subscription]:
    return Subscription.objects.exclude(status__in=OVER)


def _unknown() -> QuerySet[BillingPeriod]:
    """Return the newest periods of subscriptions, those whose price no plan has."""
    later = BillingPeriod.objects.filter(
        subscription=OuterRef("subscription"), start__gt=OuterRef("start")
    )
    return BillingPeriod.objects.filter(~Exists(later), plan=None)


def _told_of(rows: QuerySet[Any]) -> Exists:
    """Return the condition that an event names one of the rows."""
    return Exists(rows.annotate(at=StrIndex(OuterRef("payload"), F("pk"))).filter(at__gt=0))
