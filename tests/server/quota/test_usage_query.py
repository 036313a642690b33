"""The parameters of GET /api/membership-usage, byte for byte."""

import datetime as dt

import pytest
from django.http import QueryDict

from openrembg.server.errors import InvalidRequest
from openrembg.server.quota.usage_query import UsageQuery, read_query

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
THIS = (2026, 11)


def read(text: str) -> UsageQuery:
    return read_query(QueryDict(text), NOW)


def faults(text: str) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as raised:
        read(text)
    return [(error.field, error.message) for error in raised.value.errors]


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("", THIS),
        ("year=&month=", THIS),
        ("year=2025", (2025, 11)),
        ("month=2", (2026, 2)),
        ("year=1&month=01", (1, 1)),
        ("year=9999&month=12", (9999, 12)),
        ("month=%203%20", (2026, 3)),
        ("month=%2B3", (2026, 3)),
        ("month=4&month=13", (2026, 4)),
        ("month=&month=13", THIS),
        ("other=abc&Year=abc", THIS),
    ],
)
def test_year_and_month_default_each_on_its_own(text: str, month: tuple[int, int]) -> None:
    assert read(text) == UsageQuery(month)


@pytest.mark.parametrize(
    ("text", "start"),
    [("1794787200", 1794787200), ("0", 0), ("9999999999", 9999999999), ("", None)],
)
def test_a_period_is_named_by_its_start(text: str, start: int | None) -> None:
    assert read(f"periodStartUnix={text}").start == start
    assert read(f"year=&month=&periodStartUnix={text}").start == start


@pytest.mark.parametrize(
    ("text", "wants"),
    [
        ("expand=billing_cycle", True),
        ("expand=a,%20billing_cycle%20,b", True),
        ("expand=billing_cycles", False),
        ("expand=", False),
        ("expand=a&expand=billing_cycle", False),
        ("includeBillingCycle=1", True),
        ("includeBillingCycle=TRUE", True),
        ("includeBillingCycle=0", False),
        ("includeBillingCycle=yes", False),
        ("includeBillingCycle=", False),
        ("includeBillingCycle=0&expand=billing_cycle", True),
    ],
)
def test_the_billing_period_is_told_on_demand(text: str, wants: bool) -> None:
    assert read(text) == UsageQuery(THIS, with_cycle=wants)


@pytest.mark.parametrize("yes", ["1", "true", "True"])
def test_a_list_ignores_everything_else(yes: str) -> None:
    query = read(f"listBillingCycles={yes}&year=abc&month=13&periodStartUnix=-1&expand=x")
    assert query == UsageQuery(THIS, lists=True)


@pytest.mark.parametrize("no", ["0", "false", "yes", ""])
def test_no_list_ignores_nothing(no: str) -> None:
    assert faults(f"listBillingCycles={no}&month=13")


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("month=13", "month", "'month' must be at most 12, got: 13"),
        ("month=0", "month", "'month' must be at least 1, got: 0"),
        ("month=-5", "month", "'month' must be at least 1, got: -5"),
        ("month=May", "month", "'month' must be an integer, got: 'May'"),
        ("month=1.0", "month", "'month' must be an integer, got: '1.0'"),
        ("month=%EF%BC%91", "month", "'month' must be an integer, got: '１'"),
        ("month=%20", "month", "'month' must be an integer, got: ' '"),
        ("year=0", "year", "'year' must be at least 1, got: 0"),
        ("year=10000", "year", "'year' must be at most 9999, got: 10000"),
        ("year=1234567890", "year", "'year' must be an integer, got: '1234567890'"),
        (
            "periodStartUnix=-1",
            "periodStartUnix",
            "'periodStartUnix' must be at least 0, got: -1",
        ),
        (
            "periodStartUnix=12345678901",
            "periodStartUnix",
            "'periodStartUnix' must be an integer, got: '12345678901'",
        ),
        (
            "periodStartUnix=1&year=2026",
            "periodStartUnix",
            "Cannot combine 'periodStartUnix' with 'year' or 'month'.",
        ),
        (
            "periodStartUnix=0&month=1",
            "periodStartUnix",
            "Cannot combine 'periodStartUnix' with 'year' or 'month'.",
        ),
        ("month=" + "x" * 99, "month", f"'month' must be an integer, got: '{'x' * 64}'"),
    ],
)
def test_a_wrong_parameter_is_named(text: str, field: str, message: str) -> None:
    assert faults(text) == [(field, message)]


def test_every_wrong_parameter_is_named() -> None:
    assert faults("periodStartUnix=1&month=13&year=abc") == [
        ("year", "'year' must be an integer, got: 'abc'"),
        ("month", "'month' must be at most 12, got: 13"),
        ("periodStartUnix", "Cannot combine 'periodStartUnix' with 'year' or 'month'."),
    ]
