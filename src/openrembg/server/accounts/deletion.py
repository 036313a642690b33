"""The end of an account: all of it at once, but for the numbers of the ledger.

Subscriptions are cancelled at Stripe first, outside the transaction: an account that is gone would
go on paying.
"""

from collections.abc import Collection
from typing import Final

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.db import IntegrityError, OperationalError
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from openrembg.server.accounts.models import User
from openrembg.server.billing.customers import lock_customers
from openrembg.server.billing.models import Checkout, Payment, StripeEvent, Subscription
from openrembg.server.billing.running import running
from openrembg.server.billing.stripe_api import StripeFailed, cancel_subscription
from openrembg.server.quota.ledger import everything_locked, together

# Requests that run meanwhile may add a row, or hold one, in just this moment.
TRIES: Final = 5


class NotDeleted(Exception):
    """An account that is still there, all of it; the text is a sentence for people."""


class _StillRunning(Exception):
    """A subscription began while others were cancelled."""


def delete_account(user: User, *, tell: bool = True) -> None:
    """Delete a user with addresses, keys, tokens, second factors, balance, usage and purchases.

    Sessions elsewhere end with it, for they name a user who is not there any more. The ledger
    keeps its entries, whose user number then stands for nobody. tell: send a last mail, once it is
    done. Raises NotDeleted when a subscription cannot be cancelled, and AccountGone for a user who
    is gone already.
    """
    for _try in range(TRIES - 1):
        try:
            _delete(user, _cancelled(user), tell=tell)
        except (IntegrityError, OperationalError, _StillRunning):
            continue
        return
    _delete(user, _cancelled(user), tell=tell)


def _cancelled(user: User) -> set[str]:
    """Cancel what runs at Stripe, and return which subscriptions that were. Raises NotDeleted."""
    found = running(user.pk, timezone.now())
    if found and settings.OPENREMBG.stripe_secret_key is None:
        raise NotDeleted(_no_key(found[0]))
    for subscription in found:
        try:
            cancel_subscription(subscription.pk)
        except StripeFailed as failure:
            raise NotDeleted(_not_cancelled(subscription, str(failure))) from failure
    return {subscription.pk for subscription in found}


def _delete(user: User, cancelled: Collection[str], *, tell: bool) -> None:
    with together():
        # In the order of an event, which locks both before a balance.
        customers = lock_customers(user.pk)
        list(Checkout.objects.select_for_update().filter(user=user).order_by("pk"))
        if any(one.pk not in cancelled for one in running(user.pk, timezone.now())):
            raise _StillRunning
        with everything_locked(user.pk):
            if tell:
                # Written while there is somebody whose language is known, and sent on commit.
                about = {"user": user}
                get_adapter().send_notification_mail("account/email/account_deleted", user, about)
            _blank_events(user, customers)
            # A copy, so that a second try still knows whom.
            User.objects.get(pk=user.pk).delete()


def _blank_events(user: User, customers: Collection[str]) -> None:
    """Forget what Stripe's events say of a user; that they came is still known."""
    StripeEvent.objects.filter(customer_id__in=customers).update(payload="")
    bought = Checkout.objects.filter(user=user)
    payments = bought.exclude(payment_intent="").values_list("payment_intent", flat=True)
    Payment.objects.filter(pk__in=list(payments)).update(is_forgotten=True)
    # A dispute names a payment and no customer.
    for checkout in bought:
        names = [name for name in (checkout.pk, checkout.payment_intent) if name]
        about = Q()
        for name in names:
            about |= Q(payload__contains=f'"{name}"')
        StripeEvent.objects.filter(about, customer_id="").update(payload="")


def _no_key(subscription: Subscription) -> str:
    return _(
        "Nothing was deleted: the subscription %(subscription)s goes on, and this server has no "
        "key to cancel it. Whoever runs this server can cancel it at Stripe."
    ) % {"subscription": subscription.pk}


def _not_cancelled(subscription: Subscription, reason: str) -> str:
    return _(
        "Nothing was deleted, because the subscription %(subscription)s could not be cancelled. "
        "%(reason)s"
    ) % {"subscription": subscription.pk, "reason": reason}
