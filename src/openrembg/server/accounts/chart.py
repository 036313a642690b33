"""A chart of bars, one a day: where its parts lie in a drawing 1000 units high.

The drawing is stretched to whatever place there is; words and numbers stand beside it.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from openrembg.server.quota.usage import DayOfUse

HEIGHT: Final = 1000
SLOT: Final = 20
# A thinner bar looks better where there are few.
BAR, BAR_OF_FEW, FEW_DAYS = 14, 6, 10
# So much of a bar is seen however little it stands for.
LEAST: Final = 12
# A phone shows as many days without moving them; more have so many pixels each.
MANY_DAYS, PIXELS_A_DAY = 62, 6
# A longer period is shown up to today while it runs, but not with fewer days than a month has.
LEAST_DAYS: Final = 31
# The longest period that Stripe has is three years.
MAX_DAYS: Final = 1100
DATES, DATES_OF_MANY = 3, 13
_STEPS: Final = (10, 12, 16, 20, 30, 40, 50, 60, 80)


@dataclass(frozen=True, slots=True)
class DaySum:
    """Credits that were used in a day, the prepaid ones among them."""

    day: dt.date
    app: int
    api: int
    prepaid: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A day's bar: api stands on app. slot, x, and what ends in y or height: in drawing units."""

    day: dt.date
    app: int
    api: int
    slot: int
    x: int
    app_y: int
    app_height: int
    api_y: int
    api_height: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart; ticks from above, dates evenly from the first day to the last."""

    bars: list[Bar]
    ticks: tuple[int, int, int]
    dates: list[dt.date]
    bar_width: int

    @property
    def width(self) -> int:
        """In drawing units."""
        return SLOT * len(self.bars)

    @property
    def slot_width(self) -> int:
        """A day's place, in drawing units."""
        return SLOT

    @property
    def is_long(self) -> bool:
        """Whether it is wider than a phone."""
        return len(self.bars) > MANY_DAYS

    @property
    def pixels(self) -> int:
        """How wide it is then, at least."""
        return PIXELS_A_DAY * len(self.bars)


def day_sums(days: Iterable[DayOfUse]) -> list[DaySum]:
    """Return what was used in each day, whatever through; days in their order."""
    return [_sum(day, list(found)) for day, found in groupby(days, key=lambda one: one.day)]


def chart(first: dt.date, last: dt.date, sums: Sequence[DaySum]) -> Chart:
    """Return the chart of the days from the first to the last, both included."""
    by_day = {one.day: one for one in sums}
    count = (last - first).days + 1
    days = [first + dt.timedelta(days=number) for number in range(count)]
    top = _top(max((one.app + one.api for one in sums), default=0))
    width = BAR_OF_FEW if count <= FEW_DAYS else BAR
    bars = [
        _bar(number, width, by_day.get(day, DaySum(day, 0, 0, 0)), top)
        for number, day in enumerate(days)
    ]
    return Chart(bars, (top, top // 2, 0), _dates(days), width)


def days_shown(start: dt.date, end: dt.date, today: dt.date) -> tuple[dt.date, dt.date]:
    """Return the first and the last day of a period's chart.

    A long one that runs ends today, or nobody would find it; of a very long one, the newest days.
    """
    if (end - start).days < MANY_DAYS:
        return start, end
    last = min(end, max(today, start + dt.timedelta(days=LEAST_DAYS - 1)))
    return max(start, last - dt.timedelta(days=MAX_DAYS - 1)), last


def _sum(day: dt.date, found: Sequence[DayOfUse]) -> DaySum:
    of_app = sum(one.included + one.prepaid for one in found if one.key_id is None)
    of_api = sum(one.included + one.prepaid for one in found if one.key_id is not None)
    return DaySum(day, of_app, of_api, sum(one.prepaid for one in found))


def _bar(number: int, width: int, one: DaySum, top: int) -> Bar:
    app_height, api_height = _height(one.app, top), _height(one.api, top)
    app_y = HEIGHT - app_height
    x = number * SLOT + (SLOT - width) // 2
    api_y = app_y - api_height
    return Bar(one.day, one.app, one.api, number * SLOT, x, app_y, app_height, api_y, api_height)


def _height(credits_: int, top: int) -> int:
    return max(LEAST, round(HEIGHT * credits_ / top)) if credits_ else 0


def _top(most: int) -> int:
    """Return a round number that is even and not below `most`."""
    for small in (2, 4, 6, 8):
        if most <= small:
            return small
    scale = 1
    while True:
        for step in _STEPS:
            if most <= step * scale:
                return step * scale
        scale *= 10


def _dates(days: Sequence[dt.date]) -> list[dt.date]:
    wanted = DATES_OF_MANY if len(days) > MANY_DAYS else DATES
    count = min(wanted, len(days))
    if count == 1:
        return [days[0]]
    return [days[number * (len(days) - 1) // (count - 1)] for number in range(count)]
