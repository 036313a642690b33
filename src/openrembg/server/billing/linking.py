"""Whose something is, said later: by an operator, or because somebody confirmed an address."""

import datetime as dt

from django.utils import timezone
from django.utils.translation import gettext as _

from openrembg.server.accounts.models import User
from openrembg.server.billing import checkouts
from openrembg.server.billing.customers import locked_customer
from openrembg.server.billing.events import MAX_CREDITS
from openrembg.server.billing.inbox import Touched, take_effect
from openrembg.server.billing.models import Checkout, Customer
from openrembg.server.quota import ledger


class CannotLink(ValueError):
    """What an operator wants cannot be done. One sentence for them."""


def link(customer_id: str, user_id: int, now: dt.datetime | None = None) -> None:
    """Say whom a customer is, and let the user have what has waited. Raises CannotLink."""
    with ledger.together():
        customer = _known(customer_id)
        if customer.user_id not in (None, user_id):
            said = _("The customer %(customer)s is somebody else already.")
            raise CannotLink(said % {"customer": customer_id})
        if not User.objects.filter(pk=user_id).exists():
            raise CannotLink(_("There is no such user."))
        waited = checkouts.adopt(customer, user_id)
        take_effect(Touched({user_id}, waited), now or timezone.now())


def unlink(customer_id: str, now: dt.datetime | None = None) -> int:
    """Let a customer be nobody again, and return the user that it was. Raises CannotLink.

    Its subscriptions count for the user no more; credits that were bought stay.
    """
    with ledger.together():
        customer = _known(customer_id)
        user_id = customer.user_id
        if user_id is None:
            said = _("The customer %(customer)s is nobody here.")
            raise CannotLink(said % {"customer": customer_id})
        customer.user_id = None
        customer.save(update_fields=("user",))
        _set_free(customer_id, user_id)
        take_effect(Touched({user_id}), now or timezone.now())
        return user_id


def complete(
    session_id: str,
    user_id: int,
    credits_: int,
    *,
    note: str = "",
    now: dt.datetime | None = None,
) -> None:
    """Say whose a purchase is that waits, and how many credits it brings. Raises CannotLink.

    note: for the ledger, for instance who says so.
    """
    if not 1 <= credits_ <= MAX_CREDITS:
        raise CannotLink(_("A purchase brings 1 to %(most)d credits.") % {"most": MAX_CREDITS})
    with ledger.together():
        checkout = _locked(session_id)
        if checkout is None or checkout.mode != "payment":
            said = _("There is no purchase %(session)s.")
            raise CannotLink(said % {"session": session_id})
        if checkout.user_id not in (None, user_id):
            raise CannotLink(_("The purchase is somebody else’s already."))
        if checkout.credits not in (None, credits_):
            raise CannotLink(_("The purchase itself says how many credits it brings."))
        checkout.user_id, checkout.credits = user_id, credits_
        checkout.save(update_fields=("user", "credits"))
        checkouts.settle(checkout, note or checkouts.NOTE)
        take_effect(Touched({user_id}), now or timezone.now())


def claim(session_id: str, now: dt.datetime) -> int | None:
    """Look once more whose a purchase is, and settle it; return the user whose account changed."""
    with ledger.together():
        checkout = _locked(session_id)
        if checkout is None:
            return None
        customer = Customer.objects.filter(pk=checkout.customer_id).first()
        if checkout.user_id is None:
            checkout.user_id = checkouts.buyer(checkout, customer)
            checkout.save(update_fields=("user",))
        if checkout.user_id is None:
            return None
        settled = [checkout]
        if customer is not None and customer.user_id is None and checkouts.tells_buyer(checkout):
            settled += checkouts.adopt(customer, checkout.user_id)
        has_changed = take_effect(Touched({checkout.user_id}, settled), now)
        return checkout.user_id if has_changed else None


def claim_all(email: str, now: dt.datetime | None = None) -> None:
    """Look once more whose the purchases are that wait for an address to be confirmed."""
    waiting = Checkout.objects.filter(email=email.lower(), user=None)
    for session_id in waiting.order_by("pk").values_list("pk", flat=True):
        claim(session_id, now or timezone.now())


def _known(customer_id: str) -> Customer:
    """Return a customer, locked. Raises CannotLink for one of whom Stripe has not told."""
    customer = Customer.objects.select_for_update().filter(pk=customer_id).first()
    if customer is None:
        said = _("Stripe has told of no customer %(customer)s.")
        raise CannotLink(said % {"customer": customer_id})
    return customer


def _set_free(customer_id: str, user_id: int) -> None:
    """Take from a user what a customer bought and was theirs by the link alone, but no credits."""
    mine = Checkout.objects.select_for_update().filter(customer_id=customer_id, user=user_id)
    credited = {"mode": "payment", "is_paid": True, "credits__gt": 0}
    for checkout in mine.exclude(**credited).order_by("pk"):
        if not checkouts.tells_buyer(checkout):
            checkout.user_id = None
            checkout.save(update_fields=("user",))


def _locked(session_id: str) -> Checkout | None:
    """Return a purchase, locked with its customer and its payment."""
    seen = Checkout.objects.filter(pk=session_id).first()
    if seen is None:
        return None
    if seen.customer_id:
        locked_customer(seen.customer_id)
    checkouts.lock_payment(seen.payment_intent)
    return Checkout.objects.select_for_update().filter(pk=session_id).first()
