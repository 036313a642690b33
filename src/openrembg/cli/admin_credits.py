"""`openrembg admin grant`, `take-back`, `set-plan`: what a user has. The ledger keeps each."""

from typing import Annotated

import typer

from openrembg.cli.admin_arguments import line, whole
from openrembg.cli.admin_database import Email, find_user, opened
from openrembg.cli.admin_plans import find_plan
from openrembg.cli.terminal import say, stop

Number = Annotated[str, typer.Argument(metavar="N", help="How many prepaid credits.")]
Note = Annotated[
    str, typer.Option("--note", metavar="TEXT", help="Why; the ledger keeps it for ever.")
]


def grant(email: Email, number: Number, note: Note = "") -> None:
    """Give a user prepaid credits."""
    credits_ = whole(number, "N", 1)
    with opened():
        from openrembg.server.quota.ledger import top_up
        from openrembg.server.quota.models import MAX_REFERENCE

        user, why = find_user(email), line(note, "note", MAX_REFERENCE)
        top_up(user.pk, credits_, note=why)
        say(f"{user.email} got {credits_} prepaid credits and has {_prepaid(user.pk)} now.")


def take_back(email: Email, number: Number, note: Note = "") -> None:
    """Take up to N prepaid credits from a user; those of pictures in work stay."""
    credits_ = whole(number, "N", 1)
    with opened():
        from openrembg.server.quota.ledger import changing
        from openrembg.server.quota.ledger import take_back as take
        from openrembg.server.quota.models import MAX_REFERENCE

        user, why = find_user(email), line(note, "note", MAX_REFERENCE)
        with changing(user.pk) as balance:
            if balance.prepaid <= balance.prepaid_held:
                stop(f"{user.email} has no prepaid credit that could be taken back.")
            taken = take(user.pk, credits_, note=why)
        say(f"{user.email} lost {taken} prepaid credits and has {_prepaid(user.pk)} now.")


def set_plan(
    email: Email,
    label: Annotated[str, typer.Argument(metavar="LABEL", help="See `openrembg admin plans`.")],
    note: Note = "",
) -> None:
    """Give a user a plan, at once: what was used of the period stays used."""
    with opened():
        from openrembg.server.quota import ledger
        from openrembg.server.quota.models import MAX_REFERENCE

        user, plan, why = find_user(email), find_plan(label), line(note, "note", MAX_REFERENCE)
        ledger.set_plan(user.pk, plan, note=why)
        say(f"{user.email} has the plan {plan.label} now: {plan.credits} credits a period.")


def _prepaid(user_id: int) -> int:
    from openrembg.server.quota.models import Balance

    return Balance.objects.get(pk=user_id).prepaid
