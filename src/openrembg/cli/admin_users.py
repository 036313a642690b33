"""`openrembg admin create-user`, `delete-user`, `make-staff`: who has an account."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from openrembg.cli.admin_arguments import line, whole
from openrembg.cli.admin_database import Email, find_user, opened
from openrembg.cli.admin_plans import find_plan
from openrembg.cli.terminal import USAGE, say, shown, stop

if TYPE_CHECKING:
    from openrembg.server.accounts.models import User
    from openrembg.server.billing.models import Plan

STDIN = "-"
MAX_PASSWORD = 4096


def create_user(
    email: Email,
    password: Annotated[
        str | None,
        typer.Option(
            "--password",
            metavar="P",
            help="Their password; - reads it from standard input. "
            "Without one, they set it through a mail.",
        ),
    ] = None,
    verified: Annotated[
        bool, typer.Option("--verified", help="Take the address as theirs, without a mail.")
    ] = False,
    label: Annotated[
        str | None, typer.Option("--plan", metavar="LABEL", help="Their plan. Default: Free.")
    ] = None,
    prepaid: Annotated[
        str | None, typer.Option("--prepaid", metavar="N", help="Prepaid credits to begin with.")
    ] = None,
) -> None:
    """Make an account."""
    credits_ = None if prepaid is None else whole(prepaid, "--prepaid", 0)
    if password == STDIN:
        password = _read_password()
    with opened():
        address = _checked_address(email)
        if password is not None:
            _check_password(address, password)
        plan = None if label is None else find_plan(label)
        user = _create(address, password, verified=verified, plan=plan, prepaid=credits_)
        say(f"{user.email} is user {user.pk}.")
        if password is None:
            say("There is no password yet; 'Forgot your password?' on the log-in page sets one.")


def make_staff(
    email: Email,
    off: Annotated[bool, typer.Option("--off", help="Take it back.")] = False,
) -> None:
    """Let a user see and change everything on the admin pages."""
    with opened():
        user = find_user(email)
        user.is_staff = user.is_superuser = not off
        user.save(update_fields=("is_staff", "is_superuser"))
        if off:
            say(f"{user.email} may not use the admin pages any more.")
        else:
            say(f"{user.email} may use the admin pages under /admin/, with a second factor.")


def delete_user(
    email: Email,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
) -> None:
    """Delete an account with its keys and credits; its ledger entries stay, without a name.

    A subscription is cancelled at Stripe first; where that fails, nothing is deleted.
    """
    with opened():
        from openrembg.server.accounts.deletion import NotDeleted, delete_account

        user = find_user(email)
        if not yes:
            typer.confirm(f"Delete {user.email} and all that is theirs?", abort=True, err=True)
        try:
            delete_account(user, tell=False)
        except NotDeleted as error:
            stop(str(error))
        say(f"{user.email} is deleted.")


def _read_password() -> str:
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass("Password: ")
    return sys.stdin.readline().rstrip("\r\n")


def _checked_address(email: str) -> str:
    from django.core.exceptions import ValidationError
    from django.core.validators import validate_email

    from openrembg.server.accounts.models import User

    longest = User._meta.get_field("email").max_length or 0
    address = line(email, "address", longest).lower()
    try:
        validate_email(address)
    except ValidationError:
        stop(f"'{shown(address)}' is no e-mail address.", USAGE)
    return address


def _check_password(address: str, password: str) -> None:
    from django.contrib.auth.password_validation import validate_password
    from django.core.exceptions import ValidationError

    from openrembg.server.accounts.models import User

    if not password:
        stop("The password is empty.", USAGE)
    if len(password) > MAX_PASSWORD:
        stop(f"The password is longer than {MAX_PASSWORD} characters.", USAGE)
    try:
        password.encode()
        validate_password(password, User(email=address))
    except UnicodeEncodeError:
        stop("The password is not UTF-8.", USAGE)
    except ValidationError as error:
        # An operator may; whoever signs up may not.
        say(f"Warning: {' '.join(error.messages)}")


def _create(
    address: str, password: str | None, *, verified: bool, plan: "Plan | None", prepaid: int | None
) -> "User":
    from allauth.account.models import EmailAddress
    from django.db import IntegrityError, transaction

    from openrembg.server.accounts.models import User
    from openrembg.server.quota.ledger import set_plan, top_up

    try:
        with transaction.atomic():
            if EmailAddress.objects.filter(email=address, verified=True).exists():
                raise IntegrityError
            user = User.objects.create_user(address, password)
            EmailAddress.objects.create(user=user, email=address, verified=verified, primary=True)
            if plan is not None:
                set_plan(user.pk, plan, note="create-user")
            if prepaid:
                top_up(user.pk, prepaid, note="create-user")
            return user
    except IntegrityError:
        stop(f"{shown(address)} has an account already.")
