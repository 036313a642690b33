"""Which billing periods are listed, and where they end; word for word as the contract says."""

import datetime as dt

import pytest

from openrembg.server.quota.cycles import (
    billing_cycles,
    cycle_at,
    month_after,
    present_cycle,
)
from openrembg.server.quota.usage import Cycle, Standing, Usage, Used
from openrembg.server.quota.windows import Period


def unix(*date: int) -> int:
    return int(dt.datetime(*date, tzinfo=dt.UTC).timestamp())  # type: ignore[misc]


SEPTEMBER, OCTOBER, NOVEMBER = unix(2026, 9, 16), unix(2026, 10, 16), unix(2026, 11, 16)
DECEMBER = unix(2026, 12, 16)
NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
USED = Used(1, 2)


def usage(period: Period | None, next_end: int | None = None, **cycles: Cycle) -> Usage:
    """Return a usage with cycles by the names of their starts."""
    start, end = (None, None) if period is None else (period.start, period.end)
    standing = Standing(1, "Pro", 100, 5, start, end, next_end)
    return Usage(standing, {(2026, 11): Used(3, 4)}, {globals()[n]: c for n, c in cycles.items()})


def ends(told: Usage, now: dt.datetime = NOW) -> dict[int, int]:
    return {cycle.start: cycle.end for cycle in billing_cycles(told, now)}


def test_the_active_period_ends_where_stripe_says() -> None:
    told = usage(Period(NOVEMBER, DECEMBER), NOVEMBER=Cycle(DECEMBER, 100, True, USED))
    assert ends(told) == {NOVEMBER: DECEMBER}


def test_an_older_one_ends_a_second_before_the_next_begins() -> None:
    told = usage(
        Period(NOVEMBER, DECEMBER),
        SEPTEMBER=Cycle(OCTOBER - 5 * 24 * 3600, 100, True, USED),
        OCTOBER=Cycle(NOVEMBER, 100, True, USED),
        NOVEMBER=Cycle(DECEMBER, 100, True),
    )
    assert list(ends(told).items()) == [
        (NOVEMBER, DECEMBER),
        (OCTOBER, NOVEMBER - 1),
        (SEPTEMBER, OCTOBER - 1),
    ]


def test_the_newest_that_is_over_keeps_the_end_that_stripe_told() -> None:
    told = usage(None, SEPTEMBER=Cycle(OCTOBER, 1, True, USED), OCTOBER=Cycle(NOVEMBER, 1, True))
    assert ends(told) == {SEPTEMBER: OCTOBER}


def test_the_newest_of_which_nobody_told_the_end_lasts_a_month() -> None:
    assert ends(usage(None, OCTOBER=Cycle(used=USED))) == {OCTOBER: NOVEMBER - 1}


def test_an_active_period_is_listed_without_use_and_an_older_one_is_not() -> None:
    told = usage(
        Period(NOVEMBER, DECEMBER), OCTOBER=Cycle(NOVEMBER, 1, True), NOVEMBER=Cycle(DECEMBER, 1)
    )
    assert ends(told) == {NOVEMBER: DECEMBER}
    assert ends(usage(Period(NOVEMBER, DECEMBER))) == {NOVEMBER: DECEMBER}


def test_a_period_that_has_ended_is_active_no_more() -> None:
    told = usage(Period(NOVEMBER, DECEMBER), NOVEMBER=Cycle(DECEMBER, 100, True, USED))
    last = dt.datetime.fromtimestamp(DECEMBER - 1, dt.UTC) + dt.timedelta(milliseconds=999)
    assert present_cycle(told, last).start == NOVEMBER
    over = last + dt.timedelta(milliseconds=1)
    month = present_cycle(told, over)
    assert (month.start, month.end) == (unix(2026, 12, 1), unix(2027, 1, 1) - 1)
    assert (month.used, month.included, month.synced) == (Used(), 100, False)


def test_the_period_that_follows_by_itself_is_stripes() -> None:
    told = usage(Period(OCTOBER, NOVEMBER), DECEMBER, OCTOBER=Cycle(NOVEMBER, 70, True, USED))
    present = present_cycle(told, NOW)
    assert (present.start, present.end) == (NOVEMBER, DECEMBER)
    assert (present.used, present.included, present.synced) == (Used(), 100, True)
    assert cycle_at(told, NOVEMBER, NOW) == present
    assert list(ends(told).items()) == [(NOVEMBER, DECEMBER), (OCTOBER, NOVEMBER - 1)]


def test_the_period_that_follows_by_itself_has_its_own_counters() -> None:
    told = usage(
        Period(OCTOBER, NOVEMBER),
        DECEMBER,
        OCTOBER=Cycle(NOVEMBER, 70, True),
        NOVEMBER=Cycle(used=USED),
    )
    assert present_cycle(told, NOW).used == USED
    # Of the one before, nothing was used: it is not listed, and ends here all the same.
    assert ends(told) == {NOVEMBER: DECEMBER}
    assert cycle_at(told, OCTOBER, NOW).end == NOVEMBER - 1


def test_a_period_that_nobody_told_is_nobodys_once_it_is_over() -> None:
    told = usage(
        Period(OCTOBER, NOVEMBER),
        DECEMBER,
        OCTOBER=Cycle(NOVEMBER, 70, True, USED),
        NOVEMBER=Cycle(used=USED),
    )
    over = dt.datetime.fromtimestamp(DECEMBER, dt.UTC)
    assert present_cycle(told, over).start == unix(2026, 12, 1)
    assert ends(told, over) == {NOVEMBER: DECEMBER - 1, OCTOBER: NOVEMBER - 1}
    assert not cycle_at(told, NOVEMBER, over).synced


def test_without_a_period_the_calendar_month_stands_in() -> None:
    month = present_cycle(usage(None), NOW)
    assert (month.start, month.end) == (unix(2026, 11, 1), unix(2026, 12, 1) - 1)
    assert (month.used, month.included, month.synced) == (Used(3, 4), 100, False)


def test_a_period_has_its_own_allowance_and_else_the_present_one() -> None:
    told = usage(
        Period(NOVEMBER, DECEMBER),
        OCTOBER=Cycle(NOVEMBER, 70, True, USED),
        SEPTEMBER=Cycle(used=USED),
    )
    assert cycle_at(told, OCTOBER, NOW).included == 70
    assert cycle_at(told, SEPTEMBER, NOW).included == 100
    assert [cycle_at(told, start, NOW).synced for start in (OCTOBER, SEPTEMBER)] == [True, False]


def test_one_period_ends_where_the_list_says() -> None:
    told = usage(
        Period(NOVEMBER, DECEMBER),
        OCTOBER=Cycle(NOVEMBER, 70, True, USED),
        SEPTEMBER=Cycle(used=USED),
    )
    for start, end in ends(told).items():
        assert cycle_at(told, start, NOW).end == end


def test_an_unknown_period_is_a_month_without_use() -> None:
    told = usage(Period(NOVEMBER, DECEMBER), OCTOBER=Cycle(NOVEMBER, 70, True, USED))
    cycle = cycle_at(told, SEPTEMBER, NOW)
    assert (cycle.end, cycle.used, cycle.included, cycle.synced) == (
        OCTOBER - 1,
        Used(),
        100,
        False,
    )


@pytest.mark.parametrize(
    ("start", "after"),
    [
        (unix(2026, 1, 31, 9), unix(2026, 2, 28, 9)),
        (unix(2024, 1, 31), unix(2024, 2, 29)),
        (unix(2026, 12, 5), unix(2027, 1, 5)),
        (0, unix(1970, 2, 1)),
        (9_999_999_999, unix(2286, 12, 20, 17, 46, 39)),
    ],
)
def test_a_month_later_is_the_same_day_or_the_last(start: int, after: int) -> None:
    assert month_after(start) == after
