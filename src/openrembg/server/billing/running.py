"""What goes on at Stripe for a user: subscriptions that may still cost something."""

import datetime as dt
from typing import Final

from openrembg.server.billing.models import Checkout, Customer, Subscription
from openrembg.server.billing.subscriptions import OVER, status_of
from openrembg.server.quota.windows import unix

# Nobody has paid for these, and nobody may ever do.
NOT_BEGUN: Final = frozenset(("", "incomplete"))


def running(user_id: int, now: dt.datetime) -> list[Subscription]:
    """Return a user's subscriptions that have not ended, paid or not."""
    mine = Subscription.objects.filter(customer__user=user_id).order_by("pk")
    return [subscription for subscription in mine if not _is_over(subscription, unix(now))]


def begun(user_id: int, now: dt.datetime) -> list[Subscription]:
    """Return those that are changed at Stripe: a second one would be paid beside them."""
    return [one for one in running(user_id, now) if status_of(one) not in NOT_BEGUN]


def customer_of(user_id: int, now: dt.datetime, subscription_id: str = "") -> str | None:
    """Return who a user is at Stripe; of several, whoever has a subscription, or the last.

    subscription_id: if it is one of the user's, that one's. Whoever subscribes in two tabs for the
    first time is two customers.
    """
    known = sorted(Customer.objects.filter(user=user_id).values_list("pk", flat=True))
    if not known:
        return None
    subscriptions = running(user_id, now)
    if subscriptions:
        named = (one for one in subscriptions if one.pk == subscription_id)
        return next(named, subscriptions[0]).customer_id
    bought = Checkout.objects.filter(user=user_id, customer_id__in=known).order_by("-created")
    last = bought.values_list("customer_id", flat=True).first()
    return last or known[-1]


def _is_over(subscription: Subscription, second: int) -> bool:
    if status_of(subscription) in OVER:
        return True
    return subscription.ends_at is not None and subscription.ends_at <= second
