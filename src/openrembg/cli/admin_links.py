"""`openrembg admin link-customer`, `unlink-customer`, `complete-purchase`: whose something is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from openrembg.cli.admin_arguments import line, whole
from openrembg.cli.admin_database import Email, find_user, opened
from openrembg.cli.terminal import say, stop

CustomerId = Annotated[
    str, typer.Argument(metavar="CUSTOMER_ID", help="A customer of Stripe's, cus_….")
]
# What the ledger says of credits that an operator gave a purchase.
NOTE: Final = "operator"


def link_customer(customer_id: CustomerId, email: Email) -> None:
    """Say whom a customer of Stripe's is: all that has waited takes effect."""
    with opened():
        from openrembg.server.billing.linking import link

        user, name = find_user(email), _id(customer_id, "customer")
        with _sentences():
            link(name, user.pk)
        say(f"The customer {name} is {user.email}, who has the plan {_plan(user.pk)} now.")


def unlink_customer(customer_id: CustomerId) -> None:
    """Let a customer of Stripe's be nobody's again; credits that were bought stay."""
    with opened():
        from openrembg.server.accounts.models import User
        from openrembg.server.billing.linking import unlink

        name = _id(customer_id, "customer")
        with _sentences():
            user = User.objects.get(pk=unlink(name))
        say(f"The customer {name} is not {user.email} any more, and waits for a user.")
        say(f"{user.email} has the plan {_plan(user.pk)} now, and all credits that were bought.")


def complete_purchase(
    session_id: Annotated[
        str, typer.Argument(metavar="SESSION_ID", help="A Checkout session of Stripe's, cs_….")
    ],
    email: Email,
    credits_: Annotated[
        str, typer.Argument(metavar="CREDITS", help="How many prepaid credits it brings.")
    ],
) -> None:
    """Say whose a purchase is that waits, and how many credits it brings."""
    number = whole(credits_, "CREDITS", 1)
    with opened():
        from openrembg.server.billing.linking import complete
        from openrembg.server.billing.models import Checkout

        user, name = find_user(email), _id(session_id, "session")
        with _sentences():
            complete(name, user.pk, number, note=NOTE)
        say(f"The purchase {name} brings {user.email} {number} prepaid credits.")
        if not Checkout.objects.get(pk=name).is_paid:
            say("It is not paid yet; they come with the payment.")


def _id(text: str, what: str) -> str:
    from openrembg.server.billing.models import MAX_ID

    return line(text, f"name of the {what}", MAX_ID)


@contextmanager
def _sentences() -> Iterator[None]:
    """Leave with what is wrong, when something cannot be done."""
    from openrembg.server.billing.linking import CannotLink

    try:
        yield
    except CannotLink as error:
        stop(str(error))


def _plan(user_id: int) -> str:
    from openrembg.server.quota.models import Balance

    return Balance.objects.select_related("plan").get(pk=user_id).plan.label
