"""`openrembg admin plans`, `plan`: what there is to have."""

from typing import TYPE_CHECKING, Annotated

import typer

from openrembg.cli.admin_arguments import line, whole
from openrembg.cli.admin_database import opened
from openrembg.cli.terminal import USAGE, print_table, say, shown, stop

if TYPE_CHECKING:
    from openrembg.server.billing.models import Plan

MAX_PER_MINUTE = 1_000_000_000


def plans() -> None:
    """List the plans: credits a period, requests a minute, users."""
    with opened():
        from django.db.models import Count

        from openrembg.server.billing.models import Plan

        found = Plan.objects.annotate(users=Count("balances")).order_by("credits", "label")
        rows = [
            [shown(plan.label), str(plan.credits), str(plan.per_minute), str(plan.users)]
            for plan in found
        ]
    print_table(("plan", "credits", "per minute", "users"), rows)


def plan(
    label: Annotated[str, typer.Argument(metavar="LABEL", help="What clients see. Any text.")],
    credits_: Annotated[
        str | None,
        typer.Option("--credits", metavar="N", help="The included credits of each period."),
    ] = None,
    per_minute: Annotated[
        str | None,
        typer.Option(
            "--per-minute",
            metavar="N",
            help="Requests a minute; 0 refuses all, -1 sets no limit. A new plan's default: 300.",
        ),
    ] = None,
) -> None:
    """Make a plan, or change one; for billing periods that have begun, credits stay as they are."""
    amount = None if credits_ is None else whole(credits_, "--credits", 0)
    rate = None if per_minute is None else whole(per_minute, "--per-minute", -1, MAX_PER_MINUTE)
    with opened():
        kept = _kept_plan(label, amount, rate)
        say(
            f"The plan {kept.label} has {kept.credits} credits a period "
            f"and {_rate(kept.per_minute)}."
        )


def find_plan(label: str) -> "Plan":
    """Return the plan with a label; without one, say which there are and leave."""
    from openrembg.server.billing.models import MAX_LABEL, Plan

    try:
        return Plan.objects.get(label=line(label, "label", MAX_LABEL))
    except Plan.DoesNotExist:
        known = Plan.objects.order_by("credits").values_list("label", flat=True)
        stop(f"There is no plan '{shown(label)}'; there are {shown(', '.join(known))}.")


def _kept_plan(label: str, amount: int | None, rate: int | None) -> "Plan":
    from django.db import transaction

    from openrembg.server.billing.models import MAX_LABEL, Plan

    label = line(label, "label", MAX_LABEL)
    if not label:
        stop("The label is empty.", USAGE)
    with transaction.atomic():
        plan = Plan.objects.select_for_update().filter(label=label).first()
        if plan is None and amount is None:
            stop(f"There is no plan '{label}' yet; --credits N makes it.", USAGE)
        if plan is not None and amount is None and rate is None:
            stop("Say what to change: --credits N, --per-minute N.", USAGE)
        plan = plan or Plan(label=label)
        plan.credits = plan.credits if amount is None else amount
        plan.per_minute = plan.per_minute if rate is None else rate
        plan.save()
        return plan


def _rate(per_minute: int) -> str:
    return "no limit a minute" if per_minute == -1 else f"{per_minute} requests a minute"
