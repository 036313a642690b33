"""Which billing period a moment falls into, to the millisecond."""

import datetime as dt

import pytest

from openrembg.server.quota.windows import Period, current_period, has_lapsed

START, END, NEXT_END = 1794787200, 1797379200, 1800057600
MS = dt.timedelta(milliseconds=1)


def at(second: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(second, dt.UTC)


@pytest.mark.parametrize(
    ("moment", "period"),
    [
        (at(START) - MS, None),
        (at(START), Period(START, END)),
        (at(END) - MS, Period(START, END)),
        (at(END), Period(END, NEXT_END)),
        (at(END + 1), Period(END, NEXT_END)),
        (at(NEXT_END) - MS, Period(END, NEXT_END)),
        (at(NEXT_END), None),
    ],
)
def test_a_period_that_nobody_told_begins_where_the_last_one_ended(
    moment: dt.datetime, period: Period | None
) -> None:
    assert current_period(START, END, NEXT_END, moment) == period
    # Where it is already another day, it is the same moment.
    elsewhere = moment.astimezone(dt.timezone(dt.timedelta(hours=9)))
    assert current_period(START, END, NEXT_END, elsewhere) == period


def test_nothing_follows_a_period_that_ends_the_subscription() -> None:
    assert current_period(START, END, None, at(END) - MS) == Period(START, END)
    assert current_period(START, END, None, at(END)) is None


def test_without_a_period_there_is_none() -> None:
    assert current_period(None, None, None, at(START)) is None


@pytest.mark.parametrize(
    ("next_end", "moment", "lapsed"),
    [
        (None, at(END) - MS, False),
        (None, at(END), True),
        (None, at(NEXT_END), True),
        (NEXT_END, at(END), False),
        (NEXT_END, at(NEXT_END), False),
    ],
)
def test_a_period_lapses_when_it_is_over_and_none_follows(
    next_end: int | None, moment: dt.datetime, lapsed: bool
) -> None:
    assert has_lapsed(START, END, next_end, moment) == lapsed


def test_what_never_began_does_not_lapse() -> None:
    assert not has_lapsed(None, None, None, at(END))
