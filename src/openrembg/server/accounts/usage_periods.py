"""Which periods the overview tells of: the present one, and those before it.

A user's included credits are counted in billing periods while there is a subscription, else in
calendar months. Every charge counts in its month too; so a month is listed where no billing period
covers all of it.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from openrembg.server.quota.cycles import BillingCycle, billing_cycles, present_cycle
from openrembg.server.quota.usage import Usage, Used
from openrembg.server.quota.windows import Period, calendar_month, unix

Kind = Literal["month", "cycle"]

# Of what came through other tools, nothing later has a date.
LAST_SECOND: Final = unix(dt.datetime(9999, 12, 31, tzinfo=dt.UTC))


@dataclass(frozen=True, slots=True)
class UsagePeriod:
    """A billing period or a calendar month, and the included credits that were used in it.

    start, end: Unix seconds. included: None where nobody knows what it was.
    """

    kind: Kind
    start: int
    end: int
    used: Used
    included: int | None

    @property
    def used_up(self) -> int:
        """Included credits that were used, whatever through."""
        return self.used.app + self.used.api

    @property
    def has_use(self) -> bool:
        """Whether anything was."""
        return self.used_up > 0


def present_period(usage: Usage, now: dt.datetime) -> UsagePeriod:
    """Return the period whose credits are spent now."""
    kind: Kind = "month" if usage.period_at(now) is None else "cycle"
    return _of_cycle(present_cycle(usage, now), kind)


def past_periods(usage: Usage, now: dt.datetime) -> list[UsagePeriod]:
    """Return the periods before the present one, newest first."""
    present, cycles = present_period(usage, now), billing_cycles(usage, now)
    found = [_of_cycle(cycle, "cycle") for cycle in cycles]
    known = {cycle.start for cycle in cycles}
    for (year, month), used in usage.months.items():
        whole = calendar_month(year, month)
        if whole.end <= unix(now) and whole.start not in known and not _is_covered(whole, cycles):
            found.append(UsagePeriod("month", whole.start, whole.end - 1, used, None))
    before = [period for period in found if period.start < present.start]
    return sorted(before, key=lambda period: period.start, reverse=True)


def _of_cycle(cycle: BillingCycle, kind: Kind) -> UsagePeriod:
    return UsagePeriod(kind, cycle.start, min(cycle.end, LAST_SECOND), cycle.used, cycle.included)


def _is_covered(month: Period, cycles: Sequence[BillingCycle]) -> bool:
    """Return whether billing periods, one after the other, fill a month."""
    second = month.start
    for cycle in sorted(cycles, key=lambda cycle: cycle.start):
        if cycle.start <= second:
            # Some ends are a period's last second.
            second = max(second, cycle.end + 1)
    return second >= month.end
