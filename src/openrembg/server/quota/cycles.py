"""Billing periods as clients see them: which are listed, and where each of them ends."""

import calendar
import datetime as dt
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from openrembg.server.quota.usage import Cycle, Usage, Used, month_at
from openrembg.server.quota.windows import UTC, Period, month_of

UNUSED: Final = Used()


@dataclass(frozen=True, slots=True)
class BillingCycle:
    """A billing period, or the calendar month in its place; start and end in Unix seconds."""

    start: int
    end: int
    used: Used
    included: int
    synced: bool

    @property
    def used_included(self) -> int:
        """Included credits that were used, whatever through."""
        return self.used.app + self.used.api

    @property
    def remaining(self) -> int:
        """Included credits that are left."""
        return max(0, self.included - self.used_included)


def billing_cycles(usage: Usage, now: dt.datetime) -> list[BillingCycle]:
    """Return the periods that have a usage counter, and the present one; newest first."""
    active = usage.period_at(now)
    starts = _listed(usage, active)
    return [_cycle(usage, start, active, starts) for start in reversed(starts)]


def cycle_at(usage: Usage, start: int, now: dt.datetime) -> BillingCycle:
    """Return the period that begins at `start`; one that nobody knows is a month without use."""
    active = usage.period_at(now)
    return _cycle(usage, start, active, _listed(usage, active))


def present_cycle(usage: Usage, now: dt.datetime) -> BillingCycle:
    """Return the billing period that counts now, else the calendar month."""
    active = usage.period_at(now)
    if active is not None:
        return _cycle(usage, active.start, active, [active.start])
    month = month_of(now)
    used = usage.months.get(month_at(now), UNUSED)
    return BillingCycle(month.start, month.end - 1, used, usage.standing.credits, synced=False)


def month_after(start: int) -> int:
    """Return the second one month after another: on the same day, or the month's last."""
    moment = dt.datetime.fromtimestamp(start, UTC)
    year, month = moment.year + moment.month // 12, moment.month % 12 + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    return int(moment.replace(year=year, month=month, day=day).timestamp())


def _listed(usage: Usage, active: Period | None) -> list[int]:
    counted = {start for start, cycle in usage.cycles.items() if cycle.used is not None}
    return sorted(counted if active is None else {*counted, active.start})


def _cycle(usage: Usage, start: int, active: Period | None, listed: list[int]) -> BillingCycle:
    known = usage.cycles.get(start, Cycle())
    included = usage.standing.credits if known.credits is None else known.credits
    end = _end(usage, start, active, listed)
    # The present one is Stripe's in any case, also while it is provisional.
    synced = known.synced or (active is not None and start == active.start)
    return BillingCycle(start, end, known.used or UNUSED, included, synced)


def _end(usage: Usage, start: int, active: Period | None, listed: list[int]) -> int:
    if active is not None and start == active.start:
        return active.end
    known = usage.cycles.get(start)
    if known is None:
        return month_after(start) - 1
    following = bisect_right(listed, start)
    if following < len(listed):
        return listed[following] - 1
    return month_after(start) - 1 if known.end is None else known.end
