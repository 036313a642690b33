"""`openrembg admin usage`: what a user has and what they used."""

import datetime as dt
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openrembg.cli.admin_database import Email, find_user, found, opened
from openrembg.cli.terminal import print_table, shown

if TYPE_CHECKING:
    from openrembg.server.accounts.models import User
    from openrembg.server.quota.models import Window
    from openrembg.server.quota.windows import Period

COUNTS = ("app", "api", "prepaid_app", "prepaid_api")


def usage(
    email: Email,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a user's plan, credits and usage."""
    with opened(found):
        from openrembg.server.quota.verify import one_state

        user = find_user(email)
        with one_state():
            facts = _facts(user)
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
    else:
        print_table(("what", "how much"), [[name, _cell(value)] for name, value in _flat(facts)])


def _facts(user: "User") -> dict[str, Any]:
    from allauth.account.models import EmailAddress
    from django.utils import timezone

    from openrembg.server.accounts.keys import alive
    from openrembg.server.accounts.models import ApiKey
    from openrembg.server.quota.ledger import period_of
    from openrembg.server.quota.models import Balance
    from openrembg.server.quota.windows import month_of

    balance = Balance.objects.select_related("plan").get(pk=user.pk)
    now = timezone.now()
    month = _window(user, "month", month_of(now).start)
    period = period_of(balance, now)
    enforced = month if period is None else _window(user, "cycle", period.start)
    allowance = enforced.credits if enforced.credits is not None else balance.plan.credits
    return {
        "email": user.email,
        "user": user.pk,
        "verified": EmailAddress.objects.filter(user=user, verified=True).exists(),
        "active": user.is_active,
        "staff": user.is_staff,
        "keys": alive(ApiKey, user).count(),
        "plan": balance.plan.label,
        "included": {
            "credits": allowance,
            "used": enforced.app + enforced.api,
            "remaining": max(0, allowance - enforced.app - enforced.api),
            "held": enforced.held,
        },
        "prepaid": {"credits": balance.prepaid, "held": balance.prepaid_held},
        "month": _counts(month),
        "billing_period": None if period is None else _period(period, enforced),
        **_stripe(user, now),
        "ledger": {"entries": balance.entries, "head": balance.head},
    }


def _stripe(user: "User", now: dt.datetime) -> dict[str, Any]:
    """Return whom Stripe knows and the subscription that counts; nothing for other users."""
    from openrembg.server.billing.models import Customer
    from openrembg.server.billing.subscriptions import live_subscription, status_of

    customers = Customer.objects.filter(user=user).order_by("pk").values_list("pk", flat=True)
    live = live_subscription(user.pk, now)
    facts: dict[str, Any] = {"stripe_customers": list(customers)} if customers else {}
    if live is not None:
        about = live.subscription
        facts["stripe_subscription"] = {"id": about.pk, "status": status_of(about)}
    return facts


def _window(user: "User", kind: str, start: int) -> "Window":
    """Return what was used in a window, which may have no row yet."""
    from openrembg.server.quota.models import Window

    found = Window.objects.filter(user=user, kind=kind, start=start).first()
    return found or Window(user=user, kind=kind, start=start)


def _counts(window: "Window") -> dict[str, Any]:
    counts = {name: getattr(window, name) for name in COUNTS}
    return {"start": _day(window.start), **counts}


def _period(period: "Period", window: "Window") -> dict[str, Any]:
    return {**_counts(window), "end": _day(period.end), "stripe": True}


def _day(second: int) -> str:
    return dt.datetime.fromtimestamp(second, dt.UTC).isoformat().replace("+00:00", "Z")


def _flat(facts: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in facts.items():
        words = f"{before} {name}".strip().replace("_", " ")
        rows += _flat(value, words) if isinstance(value, dict) else [(words, value)]
    return rows


def _cell(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return shown(", ".join(value))
    return shown(str(value))
