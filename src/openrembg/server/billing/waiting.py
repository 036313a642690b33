"""What waits for the operator: customers of nobody, prices of no plan, purchases of nothing."""

from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from openrembg.server.billing.models import (
    BillingPeriod,
    Checkout,
    Customer,
    StripeEvent,
    Subscription,
)

# Whoever has such a subscription gets nothing for it.
_OVER: Final = ("canceled", "incomplete_expired")


def customers() -> QuerySet[Customer]:
    """Return those of whom events came and whose user is not known."""
    return Customer.objects.filter(user=None)


def subscriptions() -> QuerySet[Subscription]:
    """Return those that go on at a price that no plan has: that of their newest period."""
    later = BillingPeriod.objects.filter(
        subscription=OuterRef("subscription"), start__gt=OuterRef("start")
    )
    unknown = BillingPeriod.objects.filter(~Exists(later), plan=None)
    going_on = Subscription.objects.exclude(status__in=_OVER)
    return going_on.filter(pk__in=unknown.values("subscription"))


def purchases() -> QuerySet[Checkout]:
    """Return paid purchases of nobody, and those that do not say how many credits they are."""
    paid = Checkout.objects.filter(mode="payment", is_paid=True)
    return paid.filter(Q(user=None) | Q(credits=None))


def noted_events() -> QuerySet[StripeEvent]:
    """Return events with a note for the operator."""
    return StripeEvent.objects.exclude(note="")
