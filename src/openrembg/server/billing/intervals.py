"""How long a price lasts: one interval after a moment, as Stripe counts."""

import calendar
import datetime as dt
from typing import Final

from openrembg.server.quota.windows import UTC, Period

_SECONDS: Final = {"day": 24 * 3600, "week": 7 * 24 * 3600}
_MONTHS: Final = {"month": 1, "year": 12}


def following(period: Period, unit: str, count: int) -> int:
    """Return where the period after `period` ends: one interval later, in Unix seconds.

    Months keep their day; one that a short month cut off comes back. A unit that is not known: as
    long as the period itself. Source: docs.stripe.com/billing/subscriptions/billing-cycle.
    """
    if unit in _SECONDS:
        return period.end + _SECONDS[unit] * count
    if unit in _MONTHS:
        return _months_later(period, _MONTHS[unit] * count)
    return period.end + (period.end - period.start)


def _months_later(period: Period, months: int) -> int:
    end = dt.datetime.fromtimestamp(period.end, UTC)
    year, month = divmod(end.year * 12 + end.month - 1 + months, 12)
    day = min(_anchor(period.start, end), calendar.monthrange(year, month + 1)[1])
    return int(end.replace(year=year, month=month + 1, day=day).timestamp())


def _anchor(start: int, end: dt.datetime) -> int:
    """Return the day of the month on which the subscription renews."""
    is_last = end.day == calendar.monthrange(end.year, end.month)[1]
    began = dt.datetime.fromtimestamp(start, UTC).day
    return max(began, end.day) if is_last else end.day
