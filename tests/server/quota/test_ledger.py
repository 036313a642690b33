"""Reserve, charge, release: never more than there is, whatever happens at once."""

import datetime as dt
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from databases import fresh
from openrembg.server.accounts.deletion import delete_account
from openrembg.server.accounts.models import User
from openrembg.server.billing.models import Plan
from openrembg.server.errors import AccountGone, KeyCap, MonthlyLimit
from openrembg.server.quota import ledger
from openrembg.server.quota.ledger import Hold, Payer
from openrembg.server.quota.models import (
    Balance,
    Day,
    KeyMonth,
    LedgerEntry,
    Reservation,
    Window,
)
from openrembg.server.quota.windows import Period, calendar_month
from people import Person, person

pytestmark = pytest.mark.usefixtures("database")

MINUTE = dt.timedelta(minutes=1)
NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
NOVEMBER = calendar_month(2026, 11).start


def reserve(payer: Payer, now: dt.datetime = NOW) -> Hold:
    return ledger.reserve(payer, now, MINUTE)


def spend(payer: Payer, now: dt.datetime = NOW) -> str:
    return ledger.charge(reserve(payer, now), now)


def used(somebody: Person, kind: str = "month") -> dict[int, tuple[int, int, int, int, int]]:
    """Return app, api, prepaid_app, prepaid_api and held by window."""
    rows = Window.objects.filter(user=somebody.user, kind=kind)
    return {w.start: (w.app, w.api, w.prepaid_app, w.prepaid_api, w.held) for w in rows}


def test_a_new_user_has_the_free_plan_and_nothing_prepaid() -> None:
    balance = person().balance()
    assert (balance.plan.label, balance.plan.credits, balance.prepaid) == ("Free", 50, 0)


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
    assert ledger.release(hold)
    assert not ledger.release(hold)
    assert used(ada) == {NOVEMBER: (0, 0, 0, 0, 0)}
    assert not LedgerEntry.objects.exists()
    assert not Reservation.objects.exists()


def test_what_is_charged_cannot_be_released() -> None:
    ada = person()
    hold = reserve(ada.by_key)
    ledger.charge(hold, NOW)
    assert not ledger.release(hold)
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
    ledger.release(first)
    assert ledger.charge(second, NOW) == "included"
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
        ledger.charge(hold, NOW + MINUTE)
    assert used(ada) == {NOVEMBER: (0, 1, 0, 0, 0)}


def test_a_request_that_outlived_its_reservation_is_charged_once() -> None:
    ada = person(credits_=2)
    hold = reserve(ada.by_key)
    assert ledger.release_overdue(NOW + MINUTE) == 1
    assert ledger.charge(hold, NOW + MINUTE) == "included"
    with pytest.raises(IntegrityError):
        ledger.charge(hold, NOW + MINUTE)
    assert used(ada) == {NOVEMBER: (0, 1, 0, 0, 0)}


def test_only_what_is_overdue_is_released() -> None:
    ada, bob = person(), person("bob@example.com")
    reserve(ada.by_key)
    reserve(bob.by_key, NOW + MINUTE)
    assert ledger.release_overdue(NOW + MINUTE) == 1
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
    ledger.charge(hold, before + MINUTE)
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
    ledger.open_period(ada.user.pk, Period(start, start + 3600), synced=True)
    spend(ada.by_key)
    spend(ada.by_token)
    with pytest.raises(MonthlyLimit):
        reserve(ada.by_key)
    assert used(ada, "month") == {NOVEMBER: (1, 2, 0, 0, 0)}
    assert used(ada, "cycle") == {start: (1, 1, 0, 0, 0)}


def test_a_period_contains_its_start_and_not_its_end() -> None:
    ada = person(credits_=2)
    start = int(NOW.timestamp())
    ledger.open_period(ada.user.pk, Period(start, start + 3600), synced=True)
    end = dt.datetime.fromtimestamp(start + 3600, dt.UTC)
    spend(ada.by_key, end - dt.timedelta(milliseconds=1))
    spend(ada.by_key, end)
    assert used(ada, "cycle") == {start: (0, 1, 0, 0, 0)}
    assert used(ada, "month") == {NOVEMBER: (0, 2, 0, 0, 0)}


def test_a_period_only_moves_forward() -> None:
    ada = person()
    assert ledger.open_period(ada.user.pk, Period(2000, 3000), synced=True)
    assert not ledger.open_period(ada.user.pk, Period(1000, 2000), synced=True)
    assert ledger.open_period(ada.user.pk, Period(2000, 3500), synced=True)
    assert (ada.balance().period_start, ada.balance().period_end) == (2000, 3500)
    ledger.close_period(ada.user.pk)
    assert ada.balance().period_start is None


def test_a_plan_applies_at_once_to_the_present_period() -> None:
    ada = person(credits_=1)
    start = int(NOW.timestamp())
    ledger.open_period(ada.user.pk, Period(start, start + 3600), synced=True)
    spend(ada.by_key)
    ledger.set_plan(ada.user.pk, Plan.objects.get(label="Basic-1000"), at=NOW)
    assert spend(ada.by_key) == "included"
    assert Window.objects.get(kind="cycle").credits == 1000


def test_a_payment_tops_up_once() -> None:
    ada = person()
    assert ledger.top_up(ada.user.pk, 100, reference="pi_1")
    assert not ledger.top_up(ada.user.pk, 100, reference="pi_1")
    assert ledger.top_up(ada.user.pk, 5)
    assert ledger.top_up(ada.user.pk, 5)
    assert ada.balance().prepaid == 110


def test_no_more_is_taken_back_than_there_is_and_nothing_that_is_held() -> None:
    ada = person(credits_=0, prepaid=3)
    hold = reserve(ada.by_key)
    assert ledger.take_back(ada.user.pk, 10, reference="re_1") == 2
    assert ledger.take_back(ada.user.pk, 10, reference="re_1") == 0
    assert ledger.charge(hold, NOW) == "prepaid"
    assert ada.balance().prepaid == 0


@pytest.mark.parametrize("change", [ledger.top_up, ledger.take_back])
@pytest.mark.parametrize("credits_", [0, -1])
def test_less_than_one_credit_is_no_change(change: object, credits_: int) -> None:
    ada = person()
    with pytest.raises(ValueError, match="least one credit"):
        change(ada.user.pk, credits_)  # type: ignore[operator]


def test_nothing_changes_an_entry() -> None:
    ada = person(prepaid=1)
    entry = LedgerEntry.objects.get()
    entry.prepaid = 1000
    for change in (
        entry.save,
        entry.delete,
        LedgerEntry.objects.all().delete,
        lambda: LedgerEntry.objects.update(prepaid=1000),
    ):
        with pytest.raises(TypeError, match="append-only"):
            change()
    assert fresh(entry).prepaid == 1
    assert ada.balance().prepaid == 1


def test_the_database_itself_refuses_to_oversell() -> None:
    ada = person(prepaid=1)
    rows = Balance.objects.filter(pk=ada.user.pk)
    for wrong in ({"prepaid": -1}, {"prepaid_held": 2}, {"prepaid_held": -1}):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**wrong)


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
    assert not ledger.release(hold)
    with pytest.raises(AccountGone):
        ledger.charge(hold, NOW)
    assert LedgerEntry.objects.count() == 1


def test_an_account_can_be_deleted_while_its_requests_run() -> None:
    ada = person(credits_=10**6, cap=10**6)
    over = threading.Event()

    def work(_number: int) -> int:
        done = 0
        while not over.is_set():
            balance = Balance.objects.select_related("plan").filter(pk=ada.user.pk).first()
            try:
                hold = ledger.reserve(ada.by_key, timezone.now(), MINUTE, balance)
                ledger.charge(hold, timezone.now())
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
