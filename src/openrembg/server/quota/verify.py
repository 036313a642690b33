"""Whether the ledger is whole, and every counter what the ledger says.

Each account is read as it is at one moment, while servers go on charging: no row is locked, and
the entries stream by, so that a million of them need no more memory than ten.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from django.db import DataError, connection, transaction

from openrembg.server.accounts.models import ApiKey, User
from openrembg.server.quota.chain import digest
from openrembg.server.quota.deliveries import charge_of, return_of
from openrembg.server.quota.models import (
    GENESIS,
    Balance,
    Day,
    Delivery,
    KeyMonth,
    LedgerEntry,
    Reservation,
    Window,
)

# What a number stands for: a table, which of its rows, which of their columns.
Place = tuple[object, ...]
WINDOW_COUNTS: Final = ("app", "api", "prepaid_app", "prepaid_api", "held")
AT_ONCE: Final = 500
UNREADABLE: Final = (AttributeError, DataError, OverflowError, TypeError, ValueError)


@dataclass(slots=True)
class Told:
    """What an account's ledger tells: the end of its chain, its billing period, every number."""

    keys: frozenset[int]
    number: int = 0
    head: str = GENESIS
    period: tuple[int | None, int | None, int | None] = (None, None, None)
    numbers: Counter[Place] = field(default_factory=Counter)


def account_ids() -> list[int]:
    """Return the number of every account, those that only the ledger still knows among them."""
    known = set(User.objects.order_by().values_list("pk", flat=True))
    known.update(LedgerEntry.objects.order_by().values_list("user_id", flat=True).distinct())
    return sorted(known)


def mismatches(user_id: int) -> Iterator[str]:
    """Yield a sentence for each thing that does not fit in one account.

    Of a deleted account only the chain is left to look at.
    """
    with one_state():
        told = Told(frozenset(ApiKey.objects.filter(user=user_id).values_list("pk", flat=True)))
        try:
            yield from _read(user_id, told)
            yield from _compare(user_id, told)
            yield from _stray_deliveries(user_id)
        except UNREADABLE as error:
            yield f"a row cannot be read ({type(error).__name__})."


def _stray_deliveries(user_id: int) -> Iterator[str]:
    for row in Delivery.objects.filter(user_id=user_id):
        if charge_of(user_id, str(row.pk)) is None:
            yield f"delivery {row.pk} is of nothing that was charged."


@contextmanager
def one_state() -> Iterator[None]:
    """Read the database as it is at one moment; others write meanwhile, this thread may not."""
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
        return
    with connection.cursor() as cursor:
        # Django's own BEGIN would keep every writer waiting.
        cursor.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def _read(user_id: int, told: Told) -> Iterator[str]:
    """Follow the chain and add up what it tells."""
    entries = LedgerEntry.objects.filter(user_id=user_id).order_by("number")
    for entry in entries.iterator(AT_ONCE):
        if entry.number != told.number + 1:
            yield f"entry {entry.number} comes after entry {told.number}."
        if entry.previous != told.head:
            yield f"entry {entry.number} does not continue the chain."
        if entry.hash != digest(entry):
            yield f"entry {entry.number} is not what was written."
        told.number, told.head = entry.number, entry.hash
        _add(entry, told)
        if told.numbers["balance", "prepaid"] < 0:
            yield f"entry {entry.number} spends prepaid credits that were not there."
        if entry.event == LedgerEntry.RETURN and not _undoes_a_charge(entry):
            yield f"entry {entry.number} returns what was not charged."


def _add(entry: LedgerEntry, told: Told) -> None:
    told.numbers["balance", "prepaid"] += entry.prepaid
    if entry.event == LedgerEntry.PERIOD:
        told.period = entry.cycle_start, entry.cycle_end, entry.next_end
    if entry.event in (LedgerEntry.CHARGE, LedgerEntry.RETURN):
        _add_charge(entry, told)


def _add_charge(entry: LedgerEntry, told: Told) -> None:
    # Of a charge that is undone, both are what the charge counted, taken away again.
    numbers, included, prepaid = told.numbers, -entry.included, -entry.prepaid
    for kind, start in (("month", entry.month_start), ("cycle", entry.cycle_start)):
        if start is not None:
            numbers["window", kind, start, entry.channel] += included
            numbers["window", kind, start, f"prepaid_{entry.channel}"] += prepaid
    if entry.key_id is not None and entry.key_id not in told.keys:
        return  # The key has been deleted, and its counters with it.
    day = entry.at.astimezone(dt.UTC).date()
    numbers["day", day, entry.key_id, "included"] += included
    numbers["day", day, entry.key_id, "prepaid"] += prepaid
    if entry.key_id is not None:
        numbers["key month", entry.key_id, entry.month_start, "used"] += included + prepaid


def _undoes_a_charge(entry: LedgerEntry) -> bool:
    charge = charge_of(entry.user_id, entry.reference)
    if charge is None or charge.number > entry.number:
        return False
    return all(getattr(entry, name) == fact for name, fact in return_of(charge).items())


def _compare(user_id: int, told: Told) -> Iterator[str]:
    balance = Balance.objects.filter(pk=user_id).first()
    if balance is None:
        if User.objects.filter(pk=user_id).exists():
            yield "the account has no balance."
        return
    if (balance.entries, balance.head) != (told.number, told.head):
        yield (
            f"the balance ends with entry {balance.entries}, {balance.head[:12]}; "
            f"the ledger with entry {told.number}, {told.head[:12]}."
        )
    period = balance.period_start, balance.period_end, balance.next_end
    if period != told.period:
        yield f"the balance has the billing period {period}; the ledger says {told.period}."
    counted = _counted(balance)
    expected = told.numbers
    expected.update(_reserved(user_id))
    for place in sorted(counted.keys() | expected.keys(), key=str):
        if counted[place] < 0 or counted[place] != expected[place]:
            source = "reservations say" if str(place[-1]).endswith("held") else "ledger says"
            where = " ".join(map(str, place))
            yield f"{where} is {counted[place]}; the {source} {expected[place]}."


def _counted(balance: Balance) -> Counter[Place]:
    """Return what the counters say."""
    numbers: Counter[Place] = Counter()
    numbers["balance", "prepaid"] = balance.prepaid
    numbers["balance", "prepaid_held"] = balance.prepaid_held
    for window in Window.objects.filter(user=balance.pk):
        for name in WINDOW_COUNTS:
            numbers["window", window.kind, window.start, name] = getattr(window, name)
    for month in KeyMonth.objects.filter(key__user=balance.pk):
        numbers["key month", month.key_id, month.start, "used"] = month.used
        numbers["key month", month.key_id, month.start, "held"] = month.held
    for day in Day.objects.filter(user=balance.pk).iterator():
        numbers["day", day.day, day.key_id, "included"] = day.included
        numbers["day", day.day, day.key_id, "prepaid"] = day.prepaid
    return numbers


def _reserved(user_id: int) -> Counter[Place]:
    """Return what the reservations hold."""
    numbers: Counter[Place] = Counter()
    for row in Reservation.objects.filter(user=user_id).iterator():
        cycle = row.cycle_start
        kind, start = ("month", row.month_start) if cycle is None else ("cycle", cycle)
        if row.source == "included":
            numbers["window", kind, start, "held"] += 1
        else:
            numbers["balance", "prepaid_held"] += 1
        if row.key_id is not None and row.capped:
            numbers["key month", row.key_id, row.month_start, "held"] += 1
    return numbers
