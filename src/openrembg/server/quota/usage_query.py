"""What GET /api/membership-usage was asked for: its parameters, read and checked."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from django.http import QueryDict

from openrembg.matting.errors import FieldError
from openrembg.server.errors import InvalidRequest
from openrembg.server.quota.usage import Month, month_at
from openrembg.server.whole_number import whole_number, within

T = TypeVar("T")

MAX_YEAR: Final = 9999
MAX_MONTH: Final = 12
START_DIGITS: Final = 10
MAX_START: Final = 10**START_DIGITS - 1
YES: Final = frozenset(("1", "true"))
COMBINED: Final = "Cannot combine 'periodStartUnix' with 'year' or 'month'."


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Which window's counters are wanted: a billing period's when start is given, else a month's.

    lists: all billing periods and nothing else. with_cycle: tell of the billing period too.
    """

    month: Month
    start: int | None = None
    with_cycle: bool = False
    lists: bool = False


def read_query(parameters: QueryDict, now: dt.datetime) -> UsageQuery:
    """Return what the parameters ask for. Raises InvalidRequest with every fault there is."""
    present = month_at(now)
    if _text(parameters, "listBillingCycles").lower() in YES:
        return UsageQuery(present, lists=True)
    faults: list[FieldError] = []
    year = _checked(faults, parameters, "year", _year)
    month = _checked(faults, parameters, "month", _month)
    start = _checked(faults, parameters, "periodStartUnix", _start)
    if start is not None and (_text(parameters, "year") or _text(parameters, "month")):
        faults.append(FieldError("periodStartUnix", COMBINED))
    if faults:
        raise InvalidRequest(*faults)
    wanted = (year or present[0], month or present[1])
    return UsageQuery(wanted, start, with_cycle=_wants_cycle(parameters))


def _wants_cycle(parameters: QueryDict) -> bool:
    expanded = (word.strip() for word in _text(parameters, "expand").split(","))
    included = _text(parameters, "includeBillingCycle").lower()
    return "billing_cycle" in expanded or included in YES


def _checked(
    faults: list[FieldError], parameters: QueryDict, name: str, parse: Callable[[str, str], T]
) -> T | None:
    """Return a parameter's value, None for an empty or a wrong one, whose fault is noted."""
    text = _text(parameters, name)
    if not text:
        return None
    try:
        return parse(name, text)
    except ValueError as error:
        faults.append(FieldError(name, str(error)))
        return None


def _text(parameters: QueryDict, name: str) -> str:
    """Return a parameter as it was sent; of one that was sent twice, the first."""
    return next(iter(parameters.getlist(name)), "")


def _year(name: str, text: str) -> int:
    return within(name, whole_number(name, text), 1, MAX_YEAR)


def _month(name: str, text: str) -> int:
    return within(name, whole_number(name, text), 1, MAX_MONTH)


def _start(name: str, text: str) -> int:
    return within(name, whole_number(name, text, START_DIGITS), 0, MAX_START)
