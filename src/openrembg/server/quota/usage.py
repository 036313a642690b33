"""What users have and have used, as clients see it: read from the database in one piece."""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from openrembg.server.quota.models import Balance, Day
from openrembg.server.quota.windows import UTC, Period, current_period

# A calendar month: year and month, from 1.
Month = tuple[int, int]

_STANDING: Final = (
    *("entries", "plan__label", "plan__credits", "prepaid"),
    *("period_start", "period_end", "next_end"),
)
_WINDOW: Final = (
    *("user__windows__kind", "user__windows__start", "user__windows__end"),
    *("user__windows__credits", "user__windows__synced"),
    *("user__windows__app", "user__windows__api"),
)


@dataclass(frozen=True, slots=True)
class Used:
    """Included credits that were used through the web editor (app) and by keys (api)."""

    app: int = 0
    api: int = 0


@dataclass(frozen=True, slots=True)
class Cycle:
    """A billing period that is known. used: None while nothing has been counted in it.

    end and credits are None when nobody told them. synced: Stripe told them.
    """

    end: int | None = None
    credits: int | None = None
    synced: bool = False
    used: Used | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account has. version: how many entries its ledger had then.

    period_start, period_end: the billing period as Stripe last told it. next_end: where the one
    after it ends, which begins by itself; None: there is none.
    """

    version: int
    membership: str
    credits: int
    prepaid: int
    period_start: int | None
    period_end: int | None
    next_end: int | None


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account has and has used, all at one moment; cycles by their start.

    Months in which nothing was counted are left out.
    """

    standing: Standing
    months: dict[Month, Used]
    cycles: dict[int, Cycle]

    def period_at(self, moment: dt.datetime) -> Period | None:
        """Return the billing period that counts at a moment, if there is one."""
        told = self.standing
        return current_period(told.period_start, told.period_end, told.next_end, moment)


@dataclass(frozen=True, slots=True)
class DayOfUse:
    """Credits that were used in a day (UTC) through one key, or the app when key_id is None."""

    day: dt.date
    key_id: int | None
    included: int
    prepaid: int


def standing_of(balance: Balance) -> Standing:
    """Return what a balance says, whose plan is loaded already."""
    return Standing(
        balance.entries,
        balance.plan.label,
        balance.plan.credits,
        balance.prepaid,
        balance.period_start,
        balance.period_end,
        balance.next_end,
    )


def usage_of(user_id: int) -> Usage | None:
    """Return what a user has and has used, None for a user who is gone."""
    return usages_of((user_id,)).get(user_id)


def usages_of(user_ids: Collection[int]) -> dict[int, Usage]:
    """Return what each of some users has and has used; those who are gone are left out.

    One query, because a single statement sees one moment on every database.
    """
    found: dict[int, Usage] = {}
    rows = Balance.objects.filter(pk__in=user_ids).values_list("pk", *_STANDING, *_WINDOW)
    for user_id, *row in rows:
        if user_id not in found:
            found[user_id] = Usage(Standing(*row[: len(_STANDING)]), {}, {})
        _add(found[user_id], *row[len(_STANDING) :])
    return found


def days(user_id: int, first: dt.date, last: dt.date) -> list[DayOfUse]:
    """Return what a user used from the first to the last day, both included, in their order."""
    rows: Iterable[tuple[dt.date, int | None, int, int]] = (
        Day.objects.filter(user_id=user_id, day__range=(first, last))
        .order_by("day", "key_id")
        .values_list("day", "key_id", "included", "prepaid")
    )
    return [DayOfUse(*row) for row in rows]


def month_at(moment: dt.datetime) -> Month:
    """Return the calendar month in UTC that a moment falls into."""
    utc = moment.astimezone(UTC)
    return utc.year, utc.month


def _add(
    usage: Usage,
    kind: str | None,
    start: int,
    end: int | None,
    credits_: int | None,
    synced: bool,
    app: int,
    api: int,
) -> None:
    used = Used(app, api) if app or api else None
    if kind == "cycle":
        usage.cycles[start] = Cycle(end, credits_, synced, used)
    elif kind == "month" and used is not None:
        usage.months[month_at(dt.datetime.fromtimestamp(start, UTC))] = used
