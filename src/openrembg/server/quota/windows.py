"""Which windows a moment falls into: its calendar month and its billing period.

A window contains its start and ends before the next one's: 23:59:59.999 still belongs to the old.
Moments are whole Unix seconds in UTC; a moment's fraction is cut off.
"""

import datetime as dt
from dataclasses import dataclass

UTC = dt.UTC


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time in Unix seconds; it contains its start and not its end."""

    start: int
    end: int

    def __contains__(self, second: int) -> bool:
        """Whether a moment falls into it."""
        return self.start <= second < self.end


def unix(moment: dt.datetime) -> int:
    """Return a moment as whole Unix seconds."""
    return int(moment.timestamp() // 1)


def month_of(moment: dt.datetime) -> Period:
    """Return the calendar month in UTC that a moment falls into."""
    utc = moment.astimezone(UTC)
    return calendar_month(utc.year, utc.month)


def calendar_month(year: int, month: int) -> Period:
    """Return a calendar month in UTC; year from 1 to 9999, month from 1 to 12."""
    start = _second(dt.datetime(year, month, 1, tzinfo=UTC))
    days = 31 if (year, month) == (9999, 12) else _days(year, month)
    return Period(start, start + days * 24 * 3600)


def current_period(
    start: int | None, end: int | None, next_end: int | None, moment: dt.datetime
) -> Period | None:
    """Return the billing period that a moment falls into: [start, end), or the one after it.

    That one lasts until next_end and is provisional: it is believed to have begun, although nobody
    has told so yet. None for next_end: there is none.
    """
    if start is None or end is None:
        return None
    second = unix(moment)
    if second in Period(start, end):
        return Period(start, end)
    if next_end is not None and second in Period(end, next_end):
        return Period(end, next_end)
    return None


def has_lapsed(
    start: int | None, end: int | None, next_end: int | None, moment: dt.datetime
) -> bool:
    """Return whether a billing period is over that no other one follows."""
    if start is None or end is None or next_end is not None:
        return False
    return unix(moment) >= end


def _days(year: int, month: int) -> int:
    following = dt.date(year + month // 12, month % 12 + 1, 1)
    return (following - dt.date(year, month, 1)).days


def _second(moment: dt.datetime) -> int:
    # Exact for every year from 1 on.
    return (moment - dt.datetime(1970, 1, 1, tzinfo=UTC)) // dt.timedelta(seconds=1)
