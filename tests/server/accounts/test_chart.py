import datetime as dt

import pytest

from openrembg.server.accounts.chart import (
    HEIGHT,
    LEAST,
    LEAST_DAYS,
    MANY_DAYS,
    MAX_DAYS,
    Chart,
    DaySum,
    chart,
    day_sums,
    days_shown,
)
from openrembg.server.quota.usage import DayOfUse

FIRST = dt.date(2026, 11, 1)


def after(days: int) -> dt.date:
    return FIRST + dt.timedelta(days=days)


def drawn(*used: tuple[int, int], days: int = 30) -> Chart:
    """Return a chart of so many days, the first of which have used so much."""
    sums = [DaySum(after(number), app, api, 0) for number, (app, api) in enumerate(used)]
    return chart(FIRST, after(days - 1), sums)


def test_a_day_s_credits_are_added_up_by_what_they_were_used_through() -> None:
    days = [
        DayOfUse(FIRST, None, 2, 1),
        DayOfUse(FIRST, 7, 4, 0),
        DayOfUse(FIRST, 8, 0, 5),
        DayOfUse(after(3), 7, 1, 0),
    ]
    assert day_sums(days) == [DaySum(FIRST, 3, 9, 6), DaySum(after(3), 0, 1, 0)]


def test_each_day_has_its_place_whether_it_was_used_or_not() -> None:
    shown = drawn((1, 0), (0, 0), (0, 1), days=5)
    assert [bar.day for bar in shown.bars] == [after(number) for number in range(5)]
    assert [bar.slot for bar in shown.bars] == [0, 20, 40, 60, 80]
    assert shown.width == 100
    assert all(bar.slot < bar.x < bar.x + shown.bar_width < bar.slot + 20 for bar in shown.bars)


def test_api_stands_on_app_and_both_on_the_ground() -> None:
    bar = drawn((3, 1)).bars[0]
    assert (bar.app_y, bar.app_height) == (HEIGHT // 4, 3 * HEIGHT // 4)
    assert (bar.api_y, bar.api_height) == (0, HEIGHT // 4)


def test_a_little_is_seen_beside_much() -> None:
    shown = drawn((1, 1), (0, 1_000_000))
    assert shown.bars[0].app_height == shown.bars[0].api_height == LEAST
    assert drawn((0, 1)).bars[0].app_height == 0


@pytest.mark.parametrize(
    ("most", "top"),
    [
        (0, 2),
        (1, 2),
        (3, 4),
        (7, 8),
        (9, 10),
        (11, 12),
        (13, 16),
        (41, 50),
        (81, 100),
        (8001, 10000),
    ],
)
def test_the_axis_ends_at_a_round_number_with_a_whole_half(most: int, top: int) -> None:
    assert drawn((most, 0)).ticks == (top, top // 2, 0)


@pytest.mark.parametrize(
    ("days", "dates"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (7, [0, 3, 6]), (31, [0, 15, 30])]
)
def test_dates_are_spread_from_the_first_day_to_the_last(days: int, dates: list[int]) -> None:
    assert drawn(days=days).dates == [after(number) for number in dates]


def test_a_year_is_wider_than_a_phone_and_has_more_dates() -> None:
    month, year = drawn(days=31), drawn(days=365)
    assert (month.is_long, year.is_long) == (False, True)
    assert year.pixels > 1280
    assert len(year.dates) == 13


@pytest.mark.parametrize(
    ("age", "last"), [(0, LEAST_DAYS - 1), (29, LEAST_DAYS - 1), (200, 200), (364, 364), (500, 364)]
)
def test_a_year_that_runs_is_shown_up_to_today(age: int, last: int) -> None:
    assert days_shown(FIRST, after(364), after(age)) == (FIRST, after(last))


def test_a_month_is_shown_to_its_end() -> None:
    assert days_shown(FIRST, after(MANY_DAYS - 1), FIRST) == (FIRST, after(MANY_DAYS - 1))


def test_of_a_period_that_is_too_long_the_newest_days_are_shown() -> None:
    today = after(5000)
    assert days_shown(FIRST, after(30), today) == (FIRST, after(30))
    assert days_shown(FIRST, after(99999), today) == (after(5001 - MAX_DAYS), today)
    assert days_shown(FIRST, after(6000), after(7000)) == (after(6001 - MAX_DAYS), after(6000))
    assert days_shown(FIRST, dt.date.max, today)[1] == today
