"""Whom a customer of Stripe's is here. Until somebody is known to be it, its events wait.

A link is made once and stays: by the Checkout session that names our user, else by the mail
address that the buyer wrote there, when a user has confirmed it; or by an operator.
"""

import re
from typing import Final

from openrembg.server.accounts.models import User
from openrembg.server.billing.models import Customer

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


def locked_customer(customer_id: str) -> Customer:
    """Return a customer, which is added if it is new, locked until the transaction ends."""
    customer, _ = Customer.objects.select_for_update().get_or_create(pk=customer_id)
    return customer


def lock_customers(user_id: int) -> list[str]:
    """Lock all customers that a user is, as whoever then locks the balance has to."""
    mine = Customer.objects.select_for_update().filter(user=user_id).order_by("pk")
    return [customer.pk for customer in mine]


def user_named(reference: str) -> int | None:
    """Return the user whom a Checkout session of ours names."""
    is_ours = _NUMBER.fullmatch(reference) and User.objects.filter(pk=int(reference)).exists()
    return int(reference) if is_ours else None


def user_at(email: str) -> int | None:
    """Return the user who has confirmed a mail address."""
    if not email:
        return None
    confirmed = User.objects.filter(emailaddress__email__iexact=email, emailaddress__verified=True)
    return confirmed.order_by("pk").values_list("pk", flat=True).first()
