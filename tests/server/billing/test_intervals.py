import datetime as dt

import pytest

from openrembg.server.billing.intervals import following
from openrembg.server.quota.windows import Period


def second(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp())


@pytest.mark.parametrize(
    ("start", "end", "unit", "count", "then"),
    [
        ("2026-01-10", "2026-02-10", "month", 1, "2026-03-10"),
        ("2026-01-10 12:34:56", "2026-02-10 12:34:56", "month", 1, "2026-03-10 12:34:56"),
        ("2026-01-10", "2026-04-10", "month", 3, "2026-07-10"),
        ("2026-11-30", "2026-12-30", "month", 1, "2027-01-30"),
        ("2026-12-30", "2027-01-30", "month", 1, "2027-02-28"),
        # The day that February cut off comes back.
        ("2026-01-31", "2026-02-28", "month", 1, "2026-03-31"),
        ("2026-02-28", "2026-03-31", "month", 1, "2026-04-30"),
        ("2026-01-30", "2026-02-28", "month", 1, "2026-03-30"),
        # A shorter first period says nothing about the day.
        ("2026-01-25", "2026-02-01", "month", 1, "2026-03-01"),
        ("2024-02-29", "2025-02-28", "year", 1, "2026-02-28"),
        ("2027-02-28", "2028-02-28", "year", 1, "2029-02-28"),
        ("2026-01-01", "2027-01-01", "year", 2, "2029-01-01"),
        ("2026-01-01", "2026-01-08", "week", 2, "2026-01-22"),
        ("2026-01-01", "2026-01-02", "day", 1, "2026-01-03"),
        # Nobody told the interval: as long as the period was.
        ("2026-01-01", "2026-02-01", "", 1, "2026-03-04"),
    ],
)
def test_the_next_period_is_one_interval_long(
    start: str, end: str, unit: str, count: int, then: str
) -> None:
    assert following(Period(second(start), second(end)), unit, count) == second(then)
