"""What a user still has, as pages and mails say it."""

import datetime as dt
from dataclasses import dataclass

from openrembg.server.quota.cycles import present_cycle
from openrembg.server.quota.usage import Usage
from openrembg.server.quota.windows import month_of


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left of the present window, and beside it.

    included_all: credits that the window includes; included: those of them that are left. until:
    the second from which they are counted anew, or the plan's end (ends).
    """

    plan: str
    included_all: int
    included: int
    prepaid: int
    until: int
    ends: bool

    @property
    def credits(self) -> int:
        """How many pictures can still be made."""
        return self.included + self.prepaid


def remainder(usage: Usage, now: dt.datetime) -> Remainder:
    """Return what a user still has."""
    told, cycle, period = usage.standing, present_cycle(usage, now), usage.period_at(now)
    return Remainder(
        plan=told.membership,
        included_all=cycle.included,
        included=cycle.remaining,
        prepaid=told.prepaid,
        until=(period or month_of(now)).end,
        ends=period is not None and told.next_end is None,
    )
