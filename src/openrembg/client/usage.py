"""What an account has and has used, as GET /api/membership-usage tells it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openrembg.client.errors import InputError, UnexpectedAnswer

# A second in Unix time, or a moment with its time zone.
Moment = int | dt.datetime


@dataclass(frozen=True, slots=True)
class BillingCycle:
    """A billing period, by its first and its last second in Unix time, and what was used in it.

    app_usage, api_usage: included credits used through the web editor and by keys.
    """

    period_start_unix: int
    period_end_unix: int
    app_usage: int
    api_usage: int

    @property
    def start(self) -> dt.datetime:
        """The first second, in UTC."""
        return _moment(self.period_start_unix)

    @property
    def end(self) -> dt.datetime:
        """The last second, in UTC."""
        return _moment(self.period_end_unix)


@dataclass(frozen=True, slots=True)
class DetailedBillingCycle(BillingCycle):
    """A billing period with its credits.

    stripe_billing_synced: False while the period is the calendar month, which Stripe did not tell.
    """

    included_credits: int
    prepaid_credits: int
    used_included_credits: int
    remaining_included_credits: int
    stripe_billing_synced: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account has and has used.

    membership: the plan's label. credits: the plan's allowance, not what is left of it.
    app_usage, api_usage: included credits used through the web editor and by keys.
    billing_cycle: None when it was not asked for.
    """

    membership: str
    credits: int
    prepaid_credits: int
    app_usage: int
    api_usage: int
    billing_cycle: DetailedBillingCycle | None = None


def usage_query(
    *,
    year: int | None = None,
    month: int | None = None,
    period_start: Moment | None = None,
    billing_cycle: bool = True,
) -> dict[str, str]:
    """Return the parameters that ask for a month or a billing period. Raises InputError."""
    for name, value in (("year", year), ("month", month)):
        given: object = value
        if given is not None and (isinstance(given, bool) or not isinstance(given, int)):
            raise InputError(f"{name} must be a whole number, not {type(given).__name__}.")
    if not isinstance(billing_cycle, bool):
        raise InputError("billing_cycle must be True or False.")
    query = {"year": year, "month": month, "periodStartUnix": _unix(period_start)}
    told = {name: str(value) for name, value in query.items() if value is not None}
    return {**told, "expand": "billing_cycle"} if billing_cycle else told


def usage_in(body: object) -> Usage:
    """Return the usage that an answer tells. Raises UnexpectedAnswer."""
    found = _mapping(body)
    cycle = found.get("billingCycle")
    return Usage(
        _of_type(str, found, "membership"),
        _of_type(int, found, "credits"),
        _of_type(int, found, "prepaidCredits"),
        _of_type(int, found, "app_usage"),
        _of_type(int, found, "api_usage"),
        None if cycle is None else _whole_cycle(_mapping(cycle)),
    )


def cycles_in(body: object) -> tuple[BillingCycle, ...]:
    """Return the billing periods that an answer lists. Raises UnexpectedAnswer."""
    cycles = _of_type(list, _mapping(body), "billingCycles")
    return tuple(BillingCycle(*_period(_mapping(cycle))) for cycle in cycles)


def _whole_cycle(cycle: Mapping[str, object]) -> DetailedBillingCycle:
    return DetailedBillingCycle(
        *_period(cycle),
        _of_type(int, cycle, "includedCredits"),
        _of_type(int, cycle, "prepaidCredits"),
        _of_type(int, cycle, "usedIncludedCredits"),
        _of_type(int, cycle, "remainingIncludedCredits"),
        _of_type(bool, cycle, "stripeBillingSynced"),
    )


def _period(cycle: Mapping[str, object]) -> tuple[int, int, int, int]:
    start, end = _second(cycle, "periodStartUnix"), _second(cycle, "periodEndUnix")
    return start, end, _of_type(int, cycle, "appUsage"), _of_type(int, cycle, "apiUsage")


def _second(cycle: Mapping[str, object], name: str) -> int:
    unix: int = _of_type(int, cycle, name)
    try:
        _moment(unix)
    except (ValueError, OverflowError, OSError) as error:
        raise _unexpected(name) from error
    return unix


def _moment(unix: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(unix, dt.UTC)


def _unix(moment: object) -> int | None:
    if moment is None or (isinstance(moment, int) and not isinstance(moment, bool)):
        return moment
    if not isinstance(moment, dt.datetime) or moment.tzinfo is None:
        raise InputError("period_start must be a Unix time or a datetime with a time zone.")
    return int(moment.timestamp())


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _unexpected("an object")
    return value


def _of_type(kind: type[Any], found: Mapping[str, object], name: str) -> Any:
    value = found.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _unexpected(name)
    return value


def _unexpected(name: str) -> UnexpectedAnswer:
    return UnexpectedAnswer(f"The server's answer about usage lacks a usable '{name}'.")
