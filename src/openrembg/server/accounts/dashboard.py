"""The overview: what an account has left, and what it used, period by period and day by day."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from openrembg.server.accounts.chart import chart, day_sums, days_shown
from openrembg.server.accounts.keys import alive
from openrembg.server.accounts.models import ApiKey, User
from openrembg.server.accounts.usage_periods import UsagePeriod, past_periods, present_period
from openrembg.server.quota.models import Balance, Day, Window
from openrembg.server.quota.redis_usage import present_usage
from openrembg.server.quota.remainder import remainder
from openrembg.server.quota.usage import Usage, days, month_at
from openrembg.server.quota.windows import UTC

# So many past periods are listed at once; the others fold.
LISTED: Final = 12
DAY_S: Final = 86400
METER: Final = 1000


@dataclass(frozen=True, slots=True)
class Meter:
    """How long the parts of the bar are that says what is used, in drawing units."""

    app: int
    api: int


@login_required
@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """Show the overview; `?cycle=START` chooses a past period, anything else the present one."""
    assert isinstance(request.user, User)  # noqa: S101 (login_required has seen to that)
    user, now = request.user, timezone.now()
    usage = _usage(user, now)
    present, past = present_period(usage, now), past_periods(usage, now)
    chosen = _chosen(request.GET.get("cycle", ""), present, past)
    context = {
        "has_key": alive(ApiKey, user).exists(),
        "has_used": bool(past) or present.has_use or Day.objects.filter(user=user).exists(),
        "left": remainder(usage, now),
        "period": chosen,
        "is_present": chosen == present,
        "past": past[:LISTED],
        "older": past[LISTED:],
        "is_old": chosen in past[LISTED:],
        "has_both_kinds": len({period.kind for period in past}) > 1,
        **_of_period(user, chosen, now),
    }
    return render(request, "account/home.html", context)


def _usage(user: User, now: dt.datetime) -> Usage:
    balance = Balance.objects.select_related("plan").filter(pk=user.pk).first()
    usage = None if balance is None else present_usage(balance, month_at(now), None, now)
    if usage is None:
        raise Http404  # the account was deleted in this very moment
    return usage


def _chosen(wanted: str, present: UsagePeriod, past: Sequence[UsagePeriod]) -> UsagePeriod:
    return next((period for period in past if str(period.start) == wanted), present)


def _of_period(user: User, period: UsagePeriod, now: dt.datetime) -> dict[str, Any]:
    """Return the template's context that tells of one period."""
    today = now.astimezone(UTC).date()
    first, last = days_shown(_day(period.start), _day(period.end), today)
    sums = day_sums(days(user.pk, first, last))
    return {
        "meter": _meter(period),
        "prepaid_used": _prepaid_used(user, period),
        "chart": chart(first, last, sums),
        "days_of_use": sums,
        "has_prepaid_days": any(one.prepaid for one in sums),
        "is_ragged": period.start % DAY_S != 0,
    }


def _meter(period: UsagePeriod) -> Meter:
    whole = max(period.included or 0, period.used_up, 1)
    return Meter(METER * period.used.app // whole, METER * period.used.api // whole)


def _prepaid_used(user: User, period: UsagePeriod) -> int:
    rows = Window.objects.filter(user=user, kind=period.kind, start=period.start)
    return sum(sum(row) for row in rows.values_list("prepaid_app", "prepaid_api"))


def _day(second: int) -> dt.date:
    return dt.datetime.fromtimestamp(second, UTC).date()
