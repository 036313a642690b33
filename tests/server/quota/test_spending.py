"""Reserve, charge, release: never more than there is, whatever happens at once."""

import datetime as dt
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from openrembg.server.accounts.deletion import delete_account
from openrembg.server.accounts.models import User
from openrembg.server.errors import AccountGone, KeyCap, MonthlyLimit
from openrembg.server.quota import spending
from openrembg.server.quota.models import (
    Balance,
    Day,
    KeyMonth,
    LedgerEntry,
    Reservation,
    Window,
)
from openrembg.server.quota.spending import Hold, Payer
from openrembg.server.quota.windows import Period, calendar_month
from people import Person, person, subscribe

pytestmark = pytest.mark.usefixtures("database")

MINUTE = dt.timedelta(minutes=1)
NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
NOVEMBER = calendar_month(2026, 11).start


def reserve(payer: Payer, now: dt.datetime = NOW) -> Hold:
    return spending.reserve(payer, now, MINUTE)


def spend(payer: Payer, now: dt.datetime = NOW) -> str:
    return spending.charge(reserve(payer, now), now)


def used(somebody: Person, kind: str = "month") -> dict[int, tuple[int, int, int, int, int]]:
    """Return app, api, prepaid_app, prepaid_api and held by window."""
    rows = Window.objects.filter(user=somebody.user, kind=kind)
    return {w.start: (w.app, w.api, w.prepaid_app, w.prepaid_api, w.held) for w in rows}


def test_a_charge_counts_in_its_channel() -> None:
    ada = person()
    assert spend(ada.by_key) == "included"
    assert spend(ada.by_token) == "included"
    assert spend(ada.by_token) == "included"
    assert used(ada) == {NOVEMBER: (2, 1, 0, 0, 0)}
    assert KeyMonth.objects.values_list("used", "held").get() == (1, 0)
    assert sorted(Day.objects.values_list("key_id", "included"), key=str) == sorted(
        [(ada.key.pk, 1), (None, 2)], key=str
    )


def test_a_released_credit_leaves_no_trace() -> None:
    ada = person()
    hold = reserve(ada.by_key)
    assert used(ada) == {NOVEMBER: (0, 0, 0, 0, 1)}
    assert spending.release(hold)
    assert not spending.release(hold)
    assert used(ada) == {NOVEMBER: (0, 0, 0, 0, 0)}
    assert not LedgerEntry.objects.exists()
    assert not Reservation.objects.exists()


def test_what_is_charged_cannot_be_released() -> None:
    ada = person()
    hold = reserve(ada.by_key)
    spending.charge(hold, NOW)
    assert not spending.release(hold)
    assert used(ada) == {NOVEMBER: (0, 1, 0, 0, 0)}


def test_included_credits_go_before_prepaid_ones() -> None:
    ada = person(credits_=2, prepaid=2)
    assert [spend(ada.by_key) for _ in range(4)] == ["included", "included", "prepaid", "prepaid"]
    with pytest.raises(MonthlyLimit):
        reserve(ada.by_key)
    assert used(ada) == {NOVEMBER: (0, 2, 0, 2, 0)}
    assert (ada.balance().prepaid, ada.balance().prepaid_held) == (0, 0)


def test_an_included_credit_that_came_back_is_spent_before_a_prepaid_one() -> None:
    ada = person(credits_=1, prepaid=1)
    first, second = reserve(ada.by_key), reserve(ada.by_key)
    assert (first.source, second.source) == ("included", "prepaid")
    spending.release(first)
    assert spending.charge(second, NOW) == "included"
    assert (ada.balance().prepaid, ada.balance().prepaid_held) == (1, 0)
    assert used(ada) == {NOVEMBER: (0, 1, 0, 0, 0)}


def test_a_plan_without_credits_has_none() -> None:
    with pytest.raises(MonthlyLimit):
        reserve(person(credits_=0).by_key)


@pytest.mark.parametrize("cap", [0, 2])
def test_a_key_stops_at_its_own_cap(cap: int) -> None:
    ada = person(cap=cap)
    for _ in range(cap):
        spend(ada.by_key)
    with pytest.raises(KeyCap):
        reserve(ada.by_key)
    assert spend(ada.by_token) == "included"
    assert Reservation.objects.count() == 0


def test_a_cap_starts_anew_with_the_month() -> None:
    ada = person(cap=1)
    spend(ada.by_key)
    spend(ada.by_key, NOW + dt.timedelta(days=30))


def test_what_a_dead_server_held_comes_back_when_it_is_needed() -> None:
    ada = person(credits_=1)
    hold = reserve(ada.by_key)
    with pytest.raises(MonthlyLimit):
        reserve(ada.by_key, NOW + MINUTE * 0.99)
    assert spend(ada.by_key, NOW + MINUTE) == "included"
    with pytest.raises(MonthlyLimit):
        spending.charge(hold, NOW + MINUTE)
    assert used(ada) == {NOVEMBER: (0, 1, 0, 0, 0)}


def test_a_request_that_outlived_its_reservation_is_charged_once() -> None:
    ada = person(credits_=2)
    hold = reserve(ada.by_key)
    assert spending.release_overdue(NOW + MINUTE) == 1
    assert spending.charge(hold, NOW + MINUTE) == "included"
    with pytest.raises(IntegrityError):
        spending.charge(hold, NOW + MINUTE)
    assert used(ada) == {NOVEMBER: (0, 1, 0, 0, 0)}


def test_only_what_is_overdue_is_released() -> None:
    ada, bob = person(), person("bob@example.com")
    reserve(ada.by_key)
    reserve(bob.by_key, NOW + MINUTE)
    assert spending.release_overdue(NOW + MINUTE) == 1
    assert list(Reservation.objects.values_list("user_id", flat=True)) == [bob.user.pk]


@pytest.mark.parametrize(
    ("moment", "start"),
    [
        ("2026-11-30T23:59:59.999999+00:00", calendar_month(2026, 11).start),
        ("2026-12-01T00:00:00+00:00", calendar_month(2026, 12).start),
        ("2026-12-31T23:59:59.999+00:00", calendar_month(2026, 12).start),
        ("2027-01-01T00:00:00+00:00", calendar_month(2027, 1).start),
        # Where it is already December, it is still November in UTC.
        ("2026-12-01T08:59:59.999+09:00", calendar_month(2026, 11).start),
    ],
)
def test_a_month_ends_with_its_last_instant_in_utc(moment: str, start: int) -> None:
    ada = person()
    spend(ada.by_key, dt.datetime.fromisoformat(moment))
    assert list(used(ada)) == [start]


def test_a_picture_counts_in_the_month_in_which_it_was_asked_for() -> None:
    ada = person()
    before = dt.datetime.fromisoformat("2026-11-30T23:59:59.999+00:00")
    hold = reserve(ada.by_key, before)
    spending.charge(hold, before + MINUTE)
    assert used(ada) == {NOVEMBER: (0, 1, 0, 0, 0)}


def test_a_month_gives_its_credits_anew() -> None:
    ada = person(credits_=1)
    last = dt.datetime.fromisoformat("2026-11-30T23:59:59.999+00:00")
    spend(ada.by_key, last)
    with pytest.raises(MonthlyLimit):
        reserve(ada.by_key, last)
    spend(ada.by_key, last + dt.timedelta(milliseconds=1))


def test_a_billing_period_is_counted_beside_the_month_and_enforced() -> None:
    ada = person(credits_=2)
    spend(ada.by_key)
    start = int(NOW.timestamp())
    subscribe(ada.user.pk, Period(start, start + 3600))
    spend(ada.by_key)
    spend(ada.by_token)
    with pytest.raises(MonthlyLimit):
        reserve(ada.by_key)
    assert used(ada, "month") == {NOVEMBER: (1, 2, 0, 0, 0)}
    assert used(ada, "cycle") == {start: (1, 1, 0, 0, 0)}


def test_a_period_contains_its_start_and_not_its_end() -> None:
    ada = person(credits_=2)
    start = int(NOW.timestamp())
    subscribe(ada.user.pk, Period(start, start + 3600))
    end = dt.datetime.fromtimestamp(start + 3600, dt.UTC)
    spend(ada.by_key, end - dt.timedelta(milliseconds=1))
    spend(ada.by_key, end)
    assert used(ada, "cycle") == {start: (0, 1, 0, 0, 0)}
    assert used(ada, "month") == {NOVEMBER: (0, 2, 0, 0, 0)}


@pytest.mark.parametrize("left", [0, 7])
def test_many_at_once_get_exactly_what_is_left(left: int) -> None:
    ada = person(credits_=left, prepaid=3)
    start = threading.Barrier(16)

    def ask(_number: int) -> Counter[str]:
        start.wait()
        got: Counter[str] = Counter()
        for _ in range(4):
            try:
                got[spend(ada.by_key, timezone.now())] += 1
            except MonthlyLimit:
                got["refused"] += 1
        connection.close()
        return got

    with ThreadPoolExecutor(16) as pool:
        total = sum(pool.map(ask, range(16)), Counter())
    assert (total["included"], total["prepaid"], total["refused"]) == (left, 3, 64 - left - 3)
    assert ada.balance().prepaid == 0
    assert LedgerEntry.objects.filter(event="charge").count() == left + 3
    assert [entry.number for entry in LedgerEntry.objects.order_by("number")] == list(
        range(1, left + 3 + 2)
    )


def test_a_user_that_is_gone_holds_nothing_up() -> None:
    ada = person(prepaid=1)
    hold = reserve(ada.by_key)
    ada.user.delete()
    assert not spending.release(hold)
    with pytest.raises(AccountGone):
        spending.charge(hold, NOW)
    assert LedgerEntry.objects.count() == 1


def test_an_account_can_be_deleted_while_its_requests_run() -> None:
    ada = person(credits_=10**6, cap=10**6)
    over = threading.Event()

    def work(_number: int) -> int:
        done = 0
        while not over.is_set():
            balance = Balance.objects.select_related("plan").filter(pk=ada.user.pk).first()
            try:
                hold = spending.reserve(ada.by_key, timezone.now(), MINUTE, balance)
                spending.charge(hold, timezone.now())
                done += 1
            except AccountGone:
                break
        connection.close()
        return done

    with ThreadPoolExecutor(6) as pool:
        working = [pool.submit(work, number) for number in range(6)]
        try:
            while LedgerEntry.objects.count() < 20:
                time.sleep(0.01)
            delete_account(ada.user, tell=False)
        finally:
            over.set()
        charged = sum(one.result() for one in working)
    assert not User.objects.exists()
    assert not Window.objects.exists()
    assert LedgerEntry.objects.count() == charged
