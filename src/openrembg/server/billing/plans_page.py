"""The page of plans and prices, which everybody may read."""

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from openrembg.server.billing.models import FREE, CreditPack, Plan
from openrembg.server.billing.price_list import OfferLine, pack_line, plan_line
from openrembg.server.quota.usage import usage_of


@require_safe
def plans(request: HttpRequest) -> HttpResponse:
    """Show what there is to have and what it costs."""
    chosen = settings.OPENREMBG
    context = {
        "is_selling": chosen.sells,
        "anonymous_per_day": chosen.anonymous_per_day,
        "anonymous_per_minute": chosen.anonymous_per_minute,
        "plans": _plan_lines(_membership(request), sells=chosen.sells),
        "packs": _pack_lines() if chosen.sells else [],
    }
    return render(request, "billing/plans.html", context)


def _plan_lines(mine: str, *, sells: bool) -> list[OfferLine]:
    """Return Free and what is sold; where nothing is, everything that an operator may give."""
    offered = Plan.objects.order_by("credits", "label")
    if sells:
        offered = offered.filter(Q(label=FREE) | Q(stripe_price_id__isnull=False))
    return [
        plan_line(
            plan,
            "buy" if sells and plan.stripe_price_id else "none",
            is_mine=plan.label == mine,
        )
        for plan in offered
    ]


def _pack_lines() -> list[OfferLine]:
    sold = CreditPack.objects.filter(stripe_price_id__isnull=False).order_by("credits", "label")
    return [pack_line(pack, "buy") for pack in sold]


def _membership(request: HttpRequest) -> str:
    """Return the label of the reader's plan, an empty text for somebody without an account."""
    usage = usage_of(request.user.pk) if request.user.is_authenticated else None
    return "" if usage is None else usage.standing.membership
