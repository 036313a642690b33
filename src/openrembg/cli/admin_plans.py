"""`openrembg admin plans`, `plan`: what there is to have."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from openrembg.cli.admin_arguments import line, whole
from openrembg.cli.admin_database import opened
from openrembg.cli.admin_offers import (
    Currency,
    NoPrice,
    PriceCents,
    kept,
    label_given,
    price_given,
    price_text,
)
from openrembg.cli.terminal import USAGE, print_table, say, shown, stop

if TYPE_CHECKING:
    from openrembg.server.billing.models import Plan

MAX_PER_MINUTE = 1_000_000_000
INTERVALS = ("day", "week", "month", "year")


def plans() -> None:
    """List the plans: credits a period, requests a minute, users, price, Stripe's price."""
    with opened():
        from django.db.models import Count

        from openrembg.server.billing.models import Plan

        found = Plan.objects.annotate(users=Count("balances")).order_by("credits", "label")
        rows = [
            [
                *(shown(plan.label), str(plan.credits), str(plan.per_minute), str(plan.users)),
                *(_price(plan), plan.stripe_price_id or ""),
            ]
            for plan in found
        ]
    print_table(("plan", "credits", "per minute", "users", "price", "Stripe price"), rows)


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
    price_cents: PriceCents = None,
    currency: Currency = None,
    no_price: NoPrice = False,
    interval: Annotated[
        str | None,
        typer.Option(
            "--interval",
            metavar="|".join(INTERVALS),
            help="How long the price is for. A new plan's default: month.",
        ),
    ] = None,
) -> None:
    """Make a plan, or change one; for billing periods that have begun, credits stay as they are."""
    changes: dict[str, Any] = price_given(price_cents, currency, without=no_price)
    if credits_ is not None:
        changes["credits"] = whole(credits_, "--credits", 0)
    if per_minute is not None:
        changes["per_minute"] = whole(per_minute, "--per-minute", -1, MAX_PER_MINUTE)
    if interval is not None:
        changes["interval"] = _interval(interval)
    with opened():
        from openrembg.server.billing.models import Plan

        made = kept(Plan, label_given(label), changes)
        say(
            f"The plan {made.label} has {made.credits} credits a period "
            f"and {_rate(made.per_minute)}."
        )
        if made.price_cents is not None:
            say(f"Its price is shown as {_price(made)}.")


def find_plan(label: str) -> "Plan":
    """Return the plan with a label; without one, say which there are and leave."""
    from openrembg.server.billing.models import MAX_LABEL, Plan

    try:
        return Plan.objects.get(label=line(label, "label", MAX_LABEL))
    except Plan.DoesNotExist:
        known = Plan.objects.order_by("credits").values_list("label", flat=True)
        stop(f"There is no plan '{shown(label)}'; there are {shown(', '.join(known))}.")


def _interval(text: str) -> str:
    if text not in INTERVALS:
        stop(f"--interval is one of {', '.join(INTERVALS)}, and not '{shown(text[:64])}'.", USAGE)
    return text


def _price(plan: "Plan") -> str:
    price = price_text(plan)
    return f"{price} a {plan.interval}" if price else ""


def _rate(per_minute: int) -> str:
    return "no limit a minute" if per_minute == -1 else f"{per_minute} requests a minute"
