"""The pages on which a user sees what they have, buys more, and sees what became of it.

A purchase is what Stripe's events tell; nothing on these pages adds anything.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from allauth.account.models import EmailAddress
from allauth.core.internal import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from openrembg.server.accounts.mail import site_address
from openrembg.server.accounts.models import User
from openrembg.server.accounts.once import MAX_CHARS, fresh_ticket
from openrembg.server.billing import stripe_api
from openrembg.server.billing.intervals import following
from openrembg.server.billing.models import (
    FREE,
    BillingPeriod,
    Checkout,
    CreditPack,
    Plan,
    Subscription,
)
from openrembg.server.billing.money import money
from openrembg.server.billing.price_list import OfferLine, Way, pack_line, plan_line
from openrembg.server.billing.purchases import purchase
from openrembg.server.billing.running import begun, customer_of, running
from openrembg.server.billing.subscriptions import (
    ACTIVE,
    granted_plans,
    live_subscriptions,
    status_of,
)
from openrembg.server.quota.cycles import present_cycle
from openrembg.server.quota.usage import Usage, usage_of
from openrembg.server.quota.windows import Period, unix
from openrembg.server.security import policy

# Of purchases, the newest are shown.
MAX_PURCHASES: Final = 50
# A form that is sent twice within so many seconds opens one Checkout page; Stripe itself would show
# the same one, paid or expired, for a whole day.
SAME_FORM_S: Final = 300


@dataclass(frozen=True, slots=True)
class SubscriptionLine:
    """A subscription that has not ended. state: of `status_of`, and `ends`. at: when it changes.

    plan: what it is here; empty when nobody knows. customer: whose portal changes it.
    """

    id: str
    customer: str
    plan: str
    state: str
    at: int | None


@dataclass(frozen=True, slots=True)
class PurchaseLine:
    """A Checkout session that is over."""

    row: Checkout
    amount: str


@login_required
@require_safe
def billing(request: HttpRequest) -> HttpResponse:
    """Show what the user has, what there is to buy, and what they bought."""
    user, now = _owner(request), timezone.now()
    usage = _usage(user)
    cycle = present_cycle(usage, now)
    context = {
        "usage": usage,
        "cycle": cycle,
        "left": cycle.remaining,
        "subscriptions": (lines := _subscription_lines(user, now)),
        "has_portals": len({line.customer for line in lines}) > 1,
        "has_several": len(live_subscriptions(user.pk, now)) > 1,
        "plans": (plans := _plan_lines(user, usage, now)),
        "would_replace": _was_given(usage) and any(line.way == "buy" for line in plans),
        "packs": _pack_lines(user),
        "purchases": _purchase_lines(user),
        "is_selling": settings.OPENREMBG.sells,
        "is_verified": _is_verified(user),
        "has_portal": settings.OPENREMBG.sells and customer_of(user.pk, now) is not None,
        "ticket": fresh_ticket(),
    }
    response = render(request, "billing/billing.html", context)
    forms = ("'self'", *settings.OPENREMBG.stripe_pages)
    response.headers["Content-Security-Policy"] = policy(forms)
    return response


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def buy_plan(request: HttpRequest, pk: int) -> HttpResponse:
    """Lead to Checkout for a plan; whoever has one changes it on Stripe's portal."""
    if request.method == "POST" and begun(_owner(request).pk, timezone.now()):
        return _to_portal(request)
    return _buy(request, Plan.objects.filter(pk=pk).first())


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def buy_pack(request: HttpRequest, pk: int) -> HttpResponse:
    """Lead to Checkout for a credit pack."""
    return _buy(request, CreditPack.objects.filter(pk=pk).first())


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def portal(request: HttpRequest) -> HttpResponse:
    """Lead to the page of Stripe's where a subscription is changed, paid or cancelled."""
    if request.method != "POST":
        return redirect("account_billing")
    return _to_portal(request)


@login_required
@require_safe
def success(request: HttpRequest) -> HttpResponse:
    """Show what became of a purchase, and wait until Stripe has told."""
    return render(request, "billing/success.html", _what_became(request))


@login_required
@require_safe
def purchase_state(request: HttpRequest) -> HttpResponse:
    """Answer with the part of the page above that says what became of a purchase."""
    return render(request, "billing/purchase.html", _what_became(request))


@login_required
@require_safe
def cancelled(request: HttpRequest) -> HttpResponse:
    """Say that nothing was bought."""
    return render(request, "billing/cancelled.html")


def _buy(request: HttpRequest, offer: Plan | CreditPack | None) -> HttpResponse:
    # A link leads back to the list: for whoever had to log in after they pressed the button.
    if request.method != "POST":
        return redirect("account_billing")
    user = _owner(request)
    refusal = _refusal(user, offer)
    if refusal or offer is None:
        return _not_done(request, refusal)
    if not _may_ask(request):
        return _not_done(request, _too_often())
    try:
        url = stripe_api.open_checkout(
            user, offer, _urls(request), _ticket(request), customer_of(user.pk, timezone.now())
        )
    except stripe_api.StripeFailed as failure:
        return _not_done(request, str(failure))
    return _away(url)


def _refusal(user: User, offer: Plan | CreditPack | None) -> str:
    """Return why a user cannot buy an offer, an empty text when they can."""
    if not settings.OPENREMBG.sells or offer is None or not offer.stripe_price_id:
        return _("This is not sold here any more.")
    if not _is_verified(user):
        return _("Confirm your e-mail address before you buy something.")
    return ""


def _to_portal(request: HttpRequest) -> HttpResponse:
    about = request.POST.get("subscription", "")
    customer_id = customer_of(_owner(request).pk, timezone.now(), about)
    if not settings.OPENREMBG.sells or customer_id is None:
        return _not_done(request, _("There is nothing yet that could be changed there."))
    if not _may_ask(request):
        return _not_done(request, _too_often())
    try:
        url = stripe_api.open_portal(
            customer_id, site_address(request) + reverse("account_billing")
        )
    except stripe_api.StripeFailed as failure:
        return _not_done(request, str(failure))
    return _away(url)


def _may_ask(request: HttpRequest) -> bool:
    """Count a call to Stripe, and return whether the user may have it."""
    return bool(ratelimit.consume(request, app="allauth.account", action="stripe_page"))


def _too_often() -> str:
    return _("You have opened our payment provider's pages too often. Try again in a minute.")


def _not_done(request: HttpRequest, why: str) -> HttpResponse:
    messages.error(request, why)
    return redirect("account_billing")


def _away(url: str) -> HttpResponse:
    answer = redirect(url)
    # Whatever was posted here is not posted there.
    answer.status_code = 303
    return answer


def _urls(request: HttpRequest) -> stripe_api.Urls:
    site = site_address(request)
    # Stripe puts the name in the place of the braces, which must not be encoded.
    return stripe_api.Urls(
        success=f"{site}{reverse('account_bought')}?session_id={{CHECKOUT_SESSION_ID}}",
        cancel=site + reverse("account_not_bought"),
    )


def _ticket(request: HttpRequest) -> str:
    """Return what makes two clicks one: the form, what was bought since, and some minutes."""
    user, text = _owner(request), request.POST.get("ticket", "")[:MAX_CHARS]
    bought = Checkout.objects.filter(user=user).count()
    minutes = unix(timezone.now()) // SAME_FORM_S
    return f"{user.pk}:{text or fresh_ticket()}:{bought}:{minutes}"


def _what_became(request: HttpRequest) -> dict[str, Any]:
    session_id = request.GET.get("session_id", "")
    found = purchase(_owner(request).pk, session_id, timezone.now())
    return {"purchase": found, "session_id": session_id}


def _plan_lines(user: User, usage: Usage, now: dt.datetime) -> list[OfferLine]:
    mine, has_begun = usage.standing.membership, bool(begun(user.pk, now))
    return [
        plan_line(
            plan,
            _way(user, plan, has_begun=has_begun, is_mine=plan.label == mine),
            is_mine=plan.label == mine,
        )
        for plan in Plan.objects.order_by("credits", "label")
    ]


def _way(user: User, plan: Plan, *, has_begun: bool, is_mine: bool) -> Way:
    if _refusal(user, plan) or (has_begun and is_mine):
        return "none"
    return "change" if has_begun else "buy"


def _pack_lines(user: User) -> list[OfferLine]:
    return [
        pack_line(pack, "none" if _refusal(user, pack) else "buy")
        for pack in CreditPack.objects.order_by("credits", "label")
    ]


def _subscription_lines(user: User, now: dt.datetime) -> list[SubscriptionLine]:
    plans = granted_plans(user.pk, now)
    return [_subscription_line(one, plans.get(one.pk), now) for one in running(user.pk, now)]


def _subscription_line(
    subscription: Subscription, plan: Plan | None, now: dt.datetime
) -> SubscriptionLine:
    state, at = _state(subscription, now)
    label = "" if plan is None else plan.label
    return SubscriptionLine(subscription.pk, subscription.customer_id, label, state, at)


def _state(subscription: Subscription, now: dt.datetime) -> tuple[str, int | None]:
    status, last = status_of(subscription), subscription.periods.order_by("start").last()
    if status == "past_due" and (last is None or last.end <= unix(now)):
        return "unpaid", None
    if status in ACTIVE and subscription.ends_at is not None:
        return "ends", subscription.ends_at
    return status, None if last is None else _next_end(subscription, last, now)


def _next_end(subscription: Subscription, last: BillingPeriod, now: dt.datetime) -> int | None:
    """Return the end of the period that runs now, of which nobody may have told yet."""
    if unix(now) < last.end:
        return last.end
    told = Period(last.start, last.end)
    end = following(told, subscription.interval, subscription.interval_count)
    return end if unix(now) < end else None


def _purchase_lines(user: User) -> list[PurchaseLine]:
    rows = Checkout.objects.filter(user=user).order_by("-created", "pk")[:MAX_PURCHASES]
    return [PurchaseLine(row, money(row.amount, row.currency)) for row in rows]


def _usage(user: User) -> Usage:
    usage = usage_of(user.pk)
    if usage is None:
        raise Http404  # the account was deleted in this very moment
    return usage


def _was_given(usage: Usage) -> bool:
    """Return whether the operator gave the plan: Stripe's come with a billing period."""
    told = usage.standing
    return told.membership != FREE and told.period_start is None


def _is_verified(user: User) -> bool:
    return bool(EmailAddress.objects.filter(user=user, verified=True).exists())


def _owner(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 (login_required has seen to that)
    return request.user
