"""The ledger: append-only and the truth; what is granted, taken back and told goes into it here.

Every counter is changed in the transaction that appends the entry. A user's Balance row is locked
first in each of them, so that one user's changes happen one after the other and two transactions
never wait for each other.
"""

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from openrembg.server import sql
from openrembg.server.billing.models import FREE, Plan
from openrembg.server.errors import AccountGone
from openrembg.server.quota.balances import locked_balance, save_balance
from openrembg.server.quota.chain import digest
from openrembg.server.quota.counters import Place
from openrembg.server.quota.models import Balance, KeyMonth, LedgerEntry, Window
from openrembg.server.quota.publish_later import publish_after_commit
from openrembg.server.quota.windows import Period, current_period, month_of

# Start, end and next end of a billing period, as Balance and LedgerEntry have them.
Ends = tuple[int | None, int | None, int | None]

# One writer a process: SQLite's own waiting is unfair to those who wait long.
_SQLITE_TURN: Final = threading.RLock()


@dataclass(frozen=True, slots=True)
class Term:
    """What a subscription gives. plan: None: the one that the user has.

    next_end: where the period after `period` ends, which begins by itself; None: the subscription
    ends with the period.
    """

    plan: Plan | None
    period: Period
    next_end: int | None


def open_account(user_id: int) -> None:
    """Give a new user an empty balance on the free plan."""
    Balance.objects.create(user_id=user_id, plan=Plan.objects.get(label=FREE))


@contextmanager
def together() -> Iterator[None]:
    """Let what the block does to the books be one transaction. May be nested."""
    if connection.in_atomic_block:
        yield
        return
    turn = _SQLITE_TURN if connection.vendor == "sqlite" else nullcontext()
    with turn, transaction.atomic():
        yield


@contextmanager
def changing(user_id: int) -> Iterator[Balance]:
    """Hold the user's balance locked for one transaction, and yield it.

    May be nested for the same user; whatever is raised then has to leave the outer one too. Raises
    AccountGone for a user that is gone.
    """
    with together():
        yield _locked(user_id)


@contextmanager
def everything_locked(user_id: int) -> Iterator[None]:
    """Let nobody change anything of a user's while the block runs. Raises AccountGone.

    In the order in which the ledger locks, so that none waits for another in a circle.
    """
    with changing(user_id):
        list(Window.objects.select_for_update().filter(user_id=user_id).order_by("pk"))
        list(KeyMonth.objects.select_for_update().filter(key__user_id=user_id).order_by("pk"))
        yield


def place_of(balance: Balance, now: dt.datetime) -> Place:
    """Return where a charge at `now` counts."""
    period = period_of(balance, now)
    return Place(month_of(now).start, period.start if period else None)


def period_of(balance: Balance, now: dt.datetime) -> Period | None:
    """Return the billing period that counts at `now`, if there is one."""
    return current_period(balance.period_start, balance.period_end, balance.next_end, now)


def top_up(
    user_id: int,
    credits_: int,
    *,
    reference: str = "",
    note: str = "",
    at: dt.datetime | None = None,
) -> bool:
    """Add prepaid credits; return False when `reference` has added some before.

    Raises ValueError for less than one credit.
    """
    if credits_ < 1:
        raise ValueError("A top-up has at least one credit.")
    with changing(user_id) as balance:
        if _is_known(LedgerEntry.TOP_UP, reference):
            return False
        balance.prepaid += credits_
        facts = {"prepaid": credits_, "reference": reference, "note": note}
        append(balance, LedgerEntry.TOP_UP, at=at, **facts)
        return True


def take_back(
    user_id: int,
    credits_: int,
    *,
    reference: str = "",
    note: str = "",
    at: dt.datetime | None = None,
) -> int:
    """Take up to so many prepaid credits away, never one that is held; return how many.

    0 when `reference` has taken some before. Raises ValueError for less than one credit.
    """
    if credits_ < 1:
        raise ValueError("At least one credit is taken back.")
    with changing(user_id) as balance:
        if _is_known(LedgerEntry.TAKE_BACK, reference):
            return 0
        taken = min(credits_, balance.prepaid - balance.prepaid_held)
        balance.prepaid -= taken
        facts = {"prepaid": -taken, "reference": reference, "note": note}
        append(balance, LedgerEntry.TAKE_BACK, at=at, **facts)
        return taken


def set_plan(user_id: int, plan: Plan, *, note: str = "", at: dt.datetime | None = None) -> None:
    """Give the user a plan, at once: what was used of the current window stays used."""
    now = at or timezone.now()
    with changing(user_id) as balance:
        balance.plan = plan
        place = place_of(balance, now)
        if place.cycle is not None:
            cycle = Window.objects.filter(user_id=user_id, kind="cycle", start=place.cycle)
            cycle.update(credits=plan.credits)
        append(balance, LedgerEntry.PLAN, at=now, note=note)


def follow(user_id: int, term: Term, *, note: str = "", at: dt.datetime | None = None) -> None:
    """Let the user have what a subscription gives; what is the same already adds no entry.

    Whatever was counted in a window stays there; `write_window` says what it includes.
    """
    with changing(user_id) as balance:
        _change_plan(balance, term.plan or balance.plan, note, at)
        told = term.period.start, term.period.end, term.next_end
        _change_period(balance, told, note, at)


def leave(user_id: int, *, note: str = "", at: dt.datetime | None = None) -> bool:
    """Put a user who had a billing period on the free plan and on calendar months.

    Return False when there was none, and nothing changed.
    """
    with changing(user_id) as balance:
        if balance.period_start is None:
            return False
        _change_plan(balance, Plan.objects.get(label=FREE), note, at)
        _change_period(balance, (None, None, None), note, at)
        return True


def write_window(
    user_id: int, period: Period, credits_: int | None, *, at: dt.datetime | None = None
) -> None:
    """Write what Stripe told of a billing period; its counters stay, whoever began to count.

    credits_: what it includes, None for what the plan does. The same again adds no entry.
    """
    told = {"end": period.end, "credits": credits_, "synced": True}
    with changing(user_id) as balance:
        window = Window.objects.filter(user_id=user_id, kind="cycle", start=period.start)
        if window.filter(**told).exists():
            return
        window.update_or_create(user_id=user_id, kind="cycle", start=period.start, defaults=told)
        facts = {"cycle_start": period.start, "cycle_end": period.end, "included": credits_ or 0}
        append(balance, LedgerEntry.WINDOW, at=at, **facts)


def append(balance: Balance, event: str, *, at: dt.datetime | None = None, **facts: Any) -> None:
    """Add an entry, and save the balance that it makes."""
    entry = LedgerEntry(
        user_id=balance.pk,
        number=balance.entries + 1,
        at=at or timezone.now(),
        event=event,
        plan=balance.plan.label,
        previous=balance.head,
        **facts,
    )
    entry.hash = digest(entry)
    sql.insert(entry)
    balance.entries, balance.head = entry.number, entry.hash
    save_balance(balance)
    publish_after_commit(balance.pk)


def _change_plan(balance: Balance, plan: Plan, note: str, at: dt.datetime | None) -> None:
    if balance.plan_id == plan.pk:
        return
    balance.plan = plan
    append(balance, LedgerEntry.PLAN, at=at, note=note)


def _change_period(balance: Balance, told: Ends, note: str, at: dt.datetime | None) -> None:
    if told == (balance.period_start, balance.period_end, balance.next_end):
        return
    balance.period_start, balance.period_end, balance.next_end = told
    facts = dict(zip(("cycle_start", "cycle_end", "next_end"), told, strict=True))
    append(balance, LedgerEntry.PERIOD, at=at, note=note, **facts)


def _locked(user_id: int) -> Balance:
    balance = locked_balance(user_id)
    if balance is None:
        raise AccountGone
    return balance


def _is_known(event: str, reference: str) -> bool:
    return bool(reference) and LedgerEntry.objects.filter(event=event, reference=reference).exists()
