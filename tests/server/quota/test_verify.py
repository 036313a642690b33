import datetime as dt
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections

from openrembg.server.accounts.keys import create_key
from openrembg.server.accounts.models import ApiKey, User
from openrembg.server.billing.models import Plan
from openrembg.server.quota import ledger, spending
from openrembg.server.quota.chain import digest
from openrembg.server.quota.models import LedgerEntry
from openrembg.server.quota.verify import account_ids, mismatches, one_state
from openrembg.server.quota.windows import Period
from people import subscribe

pytestmark = pytest.mark.usefixtures("database")

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
MONTH, CYCLE = 1793491200, 1794873600
LASTS = dt.timedelta(minutes=2)
WHOSE = {
    "quota_keymonth": "key_id IN (SELECT id FROM accounts_apikey WHERE user_id = {0})",
    "quota_ledgerentry": "user_id = {0}",
}


def charge(user: User, key: ApiKey | None = None, at: dt.datetime = NOW) -> None:
    payer = spending.Payer(user.pk, "api" if key else "app", key.pk if key else None)
    spending.charge(spending.reserve(payer, at, LASTS), at)


@pytest.fixture
def ada() -> User:
    """A user to whom everything has happened; one credit of either kind is held."""
    user = User.objects.create_user("ada@example.com")
    key, _ = create_key(user)
    charge(user)
    charge(user, key)
    ledger.set_plan(user.pk, Plan.objects.create(label="Two", credits=2))
    ledger.top_up(user.pk, 9, note="a gift")
    charge(user, key)
    subscribe(user.pk, Period(CYCLE, CYCLE + 30 * 86400))
    charge(user, key)
    spending.reserve(spending.Payer(user.pk, "api", key.pk), NOW, LASTS)
    charge(user)
    charge(user, key)
    spending.reserve(spending.Payer(user.pk, "app"), NOW, LASTS)
    ledger.take_back(user.pk, 2)
    return user


def wrong(user: User) -> list[str]:
    return list(mismatches(user.pk))


def tamper(user: User, table: str, change: str, which: str = "1 = 1") -> None:
    """Change a user's rows behind the server's back."""
    whose = WHOSE.get(table, "user_id = {0}").format(user.pk)
    with connection.cursor() as cursor:
        sql = f"DELETE FROM {table}" if change == "DELETE" else f"UPDATE {table} SET {change}"  # noqa: S608
        cursor.execute(f"{sql} WHERE {whose} AND {which}")
        assert cursor.rowcount > 0


def entry_of(user: User, number: int) -> LedgerEntry:
    return LedgerEntry.objects.get(user_id=user.pk, number=number)


def test_what_the_ledger_itself_did_fits(ada: User) -> None:
    assert LedgerEntry.objects.filter(user_id=ada.pk).count() == 11
    assert wrong(ada) == []


def test_a_new_account_fits() -> None:
    assert wrong(User.objects.create_user("new@example.com")) == []


def test_an_account_back_on_calendar_months_fits(ada: User) -> None:
    ledger.leave(ada.pk)
    charge(ada)
    assert wrong(ada) == []


def test_what_is_given_back_fits(ada: User) -> None:
    assert spending.release_overdue(NOW + LASTS) == 2
    assert wrong(ada) == []


@pytest.mark.parametrize(
    ("table", "change", "which", "sentence"),
    [
        ("quota_balance", "prepaid = prepaid + 1000", "1 = 1", "balance prepaid is 1004; the led"),
        ("quota_balance", "prepaid_held = 0", "1 = 1", "balance prepaid_held is 0; the reserv"),
        ("quota_balance", "entries = 9", "1 = 1", "the balance ends with entry 9,"),
        ("quota_balance", "head = 'x'", "1 = 1", "the balance ends with entry 11, x; the led"),
        ("quota_balance", "period_start = NULL, period_end = NULL", "1 = 1", "(None, None, None)"),
        ("quota_balance", "next_end = 4000000000", "1 = 1", "4000000000); the ledger says"),
        ("quota_balance", "DELETE", "1 = 1", "the account has no balance."),
        ("quota_window", "app = 0", "kind = 'month'", f"window month {MONTH} app is 0; the led"),
        ("quota_window", "api = 7", "kind = 'cycle'", f"window cycle {CYCLE} api is 7; the led"),
        ("quota_window", "prepaid_app = 0", "kind = 'cycle'", f"cycle {CYCLE} prepaid_app is 0"),
        ("quota_window", "prepaid_api = 0", "kind = 'month'", f"month {MONTH} prepaid_api is 0"),
        ("quota_window", "held = 0", "kind = 'cycle'", f"window cycle {CYCLE} held is 0; the res"),
        ("quota_window", "held = 1", "kind = 'month'", f"window month {MONTH} held is 1; the res"),
        ("quota_window", "DELETE", "kind = 'month'", f"window month {MONTH} api is 0; the ledger"),
        ("quota_window", "start = 0", "kind = 'cycle'", "window cycle 0 api is 1; the ledger"),
        ("quota_keymonth", "used = 0", "1 = 1", f"{MONTH} used is 0; the ledger says 4."),
        ("quota_keymonth", "held = 5", "1 = 1", f"{MONTH} held is 5; the reservations say 0."),
        ("quota_day", "included = -3", "key_id IS NULL", "day 2026-11-21 None included is -3;"),
        ("quota_day", "prepaid = 0", "key_id IS NOT NULL", "prepaid is 0; the ledger says 2."),
        ("quota_day", "DELETE", "key_id IS NULL", "day 2026-11-21 None included is 0; the ledg"),
        ("quota_reservation", "DELETE", "source = 'prepaid'", "prepaid_held is 1; the reserv"),
        ("quota_reservation", "DELETE", "source = 'included'", "held is 1; the reservations"),
        ("quota_ledgerentry", "prepaid = 900", "number = 4", "entry 4 is not what was written."),
        ("quota_ledgerentry", "note = ''", "number = 4", "entry 4 is not what was written."),
        ("quota_ledgerentry", "at = '2020-01-01 00:00:00+00:00'", "number = 1", "entry 1 is not"),
        ("quota_ledgerentry", "previous = 'x'", "number = 5", "entry 5 does not continue"),
        ("quota_ledgerentry", "hash = 'x'", "number = 5", "entry 6 does not continue"),
        ("quota_ledgerentry", "DELETE", "number = 1", "entry 2 comes after entry 0."),
        ("quota_ledgerentry", "DELETE", "number = 6", "entry 7 comes after entry 5."),
        ("quota_ledgerentry", "DELETE", "number = 11", "the ledger with entry 10,"),
        ("quota_ledgerentry", "number = 99", "number = 11", "entry 99 comes after entry 10."),
        ("quota_ledgerentry", "prepaid = -90", "number = 11", "entry 11 spends prepaid credits"),
    ],
)
def test_what_was_changed_behind_the_servers_back_is_named(
    ada: User, table: str, change: str, which: str, sentence: str
) -> None:
    bob = User.objects.create_user("bob@example.com")
    charge(bob)
    tamper(ada, table, change, which)
    assert any(sentence in what for what in wrong(ada)), wrong(ada)
    assert wrong(bob) == []


def test_a_changed_entry_with_a_hash_of_its_own_breaks_the_chain(ada: User) -> None:
    entry = entry_of(ada, 4)
    entry.prepaid = 900
    tamper(ada, "quota_ledgerentry", f"prepaid = 900, hash = '{digest(entry)}'", "number = 4")
    assert "entry 5 does not continue the chain." in wrong(ada)


def test_a_last_entry_put_on_top_is_named(ada: User) -> None:
    last = entry_of(ada, 11)
    more = LedgerEntry(user_id=ada.pk, number=12, event="top_up", prepaid=5, previous=last.hash)
    more.hash = digest(more)
    more.save()
    assert any("the ledger with entry 12" in what for what in wrong(ada))
    assert any(what.startswith("balance prepaid is 4; the ledger says 9") for what in wrong(ada))


def test_a_row_that_makes_no_sense_is_a_sentence(ada: User) -> None:
    tamper(ada, "quota_ledgerentry", "at = 'infinity'", "number = 3")
    assert any(what.startswith("a row cannot be read") for what in wrong(ada))


def test_the_chain_of_a_deleted_user_is_still_looked_at(ada: User) -> None:
    number = ada.pk
    ada.delete()
    assert number in account_ids()
    assert list(mismatches(number)) == []
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE quota_ledgerentry SET prepaid = 1 WHERE user_id = {number}")  # noqa: S608
    assert "entry 1 is not what was written." in list(mismatches(number))


def test_an_account_whose_key_was_deleted_fits() -> None:
    user = User.objects.create_user("ada@example.com")
    key, _ = create_key(user)
    charge(user, key)
    key.delete()
    assert wrong(user) == []


def test_a_charge_before_midnight_counts_in_its_own_day_and_month() -> None:
    user = User.objects.create_user("ada@example.com")
    charge(user, at=dt.datetime(2026, 11, 30, 23, 59, 59, 999999, tzinfo=dt.UTC))
    charge(user, at=dt.datetime(2026, 12, 1, tzinfo=dt.UTC))
    assert wrong(user) == []


@pytest.fixture
def charging() -> Iterator[User]:
    """A user whose credits several threads spend for as long as the test runs."""
    user = User.objects.create_user("busy@example.com")
    ledger.top_up(user.pk, 1_000_000)
    key, _ = create_key(user)
    over = threading.Event()

    def spend() -> None:
        while not over.is_set():
            charge(user, key)
        connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        spent = [pool.submit(spend) for _ in range(3)]
        try:
            yield user
        finally:
            over.set()
        for work in spent:
            work.result()


def test_a_server_that_charges_meanwhile_is_no_mismatch(charging: User) -> None:
    seen: set[int] = set()
    while len(seen) < 10:
        assert wrong(charging) == []
        seen.add(LedgerEntry.objects.filter(user_id=charging.pk).count())


def test_looking_keeps_nobody_from_charging(ada: User) -> None:
    def pay() -> None:
        charge(ada)
        connections.close_all()

    with one_state(), ThreadPoolExecutor(1) as pool:
        before = LedgerEntry.objects.count()
        pool.submit(pay).result(timeout=10)
        assert LedgerEntry.objects.count() == before
    assert LedgerEntry.objects.count() == before + 1


def test_many_entries_need_no_more_memory_than_few() -> None:
    user = User.objects.create_user("ada@example.com")
    peaks = []
    for count in (2_000, 8_000):
        _charge_at_once(user, count)
        tracemalloc.start()
        try:
            assert wrong(user) == []
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] * 2


def _charge_at_once(user: User, count: int) -> None:
    """Write many charges as the ledger would have, in one go."""
    with ledger.changing(user.pk) as balance:
        entries = []
        for number in range(balance.entries + 1, balance.entries + 1 + count):
            facts: dict[str, Any] = {"channel": "app", "plan": "Free", "month_start": MONTH}
            entry = LedgerEntry(
                user_id=user.pk, number=number, at=NOW, event="charge", included=-1, **facts
            )
            entry.previous, entry.hash = balance.head, ""
            entry.hash = digest(entry)
            balance.entries, balance.head = number, entry.hash
            entries.append(entry)
        LedgerEntry.objects.bulk_create(entries, batch_size=500)
        balance.save()
        for rows, name, facts in (
            (user.windows, "app", {"kind": "month", "start": MONTH}),
            (user.days, "included", {"day": NOW.date(), "key": None}),
        ):
            rows.update_or_create(**facts, defaults={name: balance.entries})
