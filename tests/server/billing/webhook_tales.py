"""What may happen to a buyer, as the events that Stripe sends of it."""

from collections.abc import Callable
from typing import Any

from webhook_client import FIRST, SECOND, THIRD, Buyer

from fakes.stripe_events import MONTH_S, Event

Tale = Callable[[Buyer], list[Event]]


def renewals(one: Buyer) -> list[Event]:
    """Two renewals, the second an upgrade."""
    first, second, third = one.sub(FIRST), one.sub(SECOND), one.sub(THIRD, price="price_pro")
    return [
        one.stripe.subscription_created(first, created=FIRST),
        one.stripe.subscription_updated(second, created=SECOND),
        one.stripe.invoice_paid(second, created=SECOND + 3600),
        one.stripe.subscription_updated(third, created=THIRD),
        one.stripe.invoice_paid(third, created=THIRD + 3600),
    ]


def money(one: Buyer) -> list[Event]:
    """A pack that was paid for later, two refunds of a part, and a dispute about the rest."""
    later = {"payment_intent": one.named("pi"), "reference": str(one.id), "credits_": "100"}
    return [
        one.bought(created=THIRD, payment_status="unpaid"),
        one.stripe.checkout_paid_later(one.named("cs"), created=THIRD + 60, **later),
        one.refunded(90, created=THIRD + 120),
        one.refunded(300, created=THIRD + 180),
        one.disputed(200, created=THIRD + 240),
    ]


def troubles(one: Buyer) -> list[Event]:
    """A renewal that could not be paid, was paid, and was told to end."""
    stripe, second, third = one.stripe, one.sub(SECOND), one.sub(THIRD)
    return [
        stripe.subscription_created(second, created=SECOND),
        stripe.invoice_payment_failed(third, created=THIRD + 60),
        stripe.subscription_updated(third, created=THIRD + 60, status="past_due"),
        stripe.invoice_paid(third, created=THIRD + 120),
        stripe.subscription_updated(third, created=THIRD + 180, cancel_at_period_end=True),
    ]


def history(one: Buyer) -> list[Event]:
    """Fourteen events of three periods: of all that may happen to an account, something."""
    stripe, first, second, third = one.stripe, one.sub(FIRST), one.sub(SECOND), one.sub(THIRD)
    pro: dict[str, Any] = {"price": "price_pro"}
    unused = stripe.proration(first, "price_basic", -450, at=FIRST + MONTH_S // 2)
    remaining = stripe.proration(first, "price_pro", 900, at=FIRST + MONTH_S // 2)
    return [
        one.linked(created=FIRST - 60),
        stripe.subscription_created(first, created=FIRST, status="incomplete"),
        stripe.invoice_paid(first, created=FIRST, reason="subscription_create"),
        stripe.subscription_updated(first, created=FIRST + MONTH_S // 2, **pro),
        stripe.invoice_paid(
            first,
            created=FIRST + MONTH_S // 2 + 5,
            prorated=(unused, remaining),
            renews=False,
            reason="subscription_update",
        ),
        stripe.subscription_updated(second, created=SECOND, **pro),
        stripe.invoice_payment_failed(second, created=SECOND + 3600),
        stripe.subscription_updated(second, created=SECOND + 3600, status="past_due", **pro),
        stripe.invoice_paid(second, created=SECOND + 7200),
        one.bought("40", created=SECOND + 8000),
        one.refunded(450, created=SECOND + 9000),
        stripe.subscription_updated(third, created=THIRD),
        stripe.invoice_payment_succeeded(third, created=THIRD + 3600),
        stripe.subscription_deleted(third, created=THIRD + 7200),
    ]
