"""A charge whose picture was not sent is undone, once, with every number that it changed."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from openrembg.server.accounts.deletion import delete_account
from openrembg.server.errors import AccountGone, KeyCap, MonthlyLimit
from openrembg.server.quota import deliveries, overdue, spending
from openrembg.server.quota.models import Day, Delivery, KeyMonth, LedgerEntry, Window
from openrembg.server.quota.overdue import Watch
from openrembg.server.quota.spending import Hold, Payer
from openrembg.server.quota.verify import mismatches
from openrembg.server.quota.windows import Period
from people import Person, person, subscribe

pytestmark = pytest.mark.usefixtures("database")

MINUTE = dt.timedelta(minutes=1)
# Before the server's own clock, which says how long a delivery lasts.
NOW = dt.datetime(2025, 11, 30, 23, 59, 59, tzinfo=dt.UTC)
LATER = timezone.now() + dt.timedelta(days=365)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is overdue be undone at the first look."""
    monkeypatch.setattr(overdue, "AGAIN_AFTER_S", 0.0)


def charged(payer: Payer, now: dt.datetime = NOW) -> Hold:
    hold = spending.reserve(payer, now, MINUTE)
    spending.charge(hold, now, until_sent=True)
    return hold


def undo(hold: Hold) -> bool:
    return deliveries.undo(hold.id, hold.payer.user_id)


def numbers(ada: Person) -> tuple[Any, ...]:
    windows = Window.objects.filter(user=ada.user).order_by("kind", "start")
    return (
        *windows.values_list("kind", "app", "api", "prepaid_app", "prepaid_api", "held"),
        *KeyMonth.objects.filter(key__user=ada.user).values_list("used", "held"),
        *Day.objects.filter(user=ada.user).order_by("pk").values_list("included", "prepaid"),
        ada.balance().prepaid,
    )


def wrong(ada: Person) -> list[str]:
    return list(mismatches(ada.user.pk))


@pytest.mark.usefixtures("impatient")
def test_what_was_sent_stays_charged() -> None:
    ada = person(credits_=1)
    hold = charged(ada.by_key)
    deliveries.forget([hold.id])
    assert spending.release_overdue(LATER) == 0
    assert not undo(hold)
    with pytest.raises(MonthlyLimit):
        spending.reserve(ada.by_key, NOW, MINUTE)
    assert wrong(ada) == []


def test_every_number_goes_back() -> None:
    ada = person(credits_=2, prepaid=3, cap=4)
    start = int(NOW.timestamp()) - 60
    subscribe(ada.user.pk, Period(start, start + 86400))
    for _ in range(3):
        deliveries.forget([charged(ada.by_key).id])
    before = numbers(ada)
    hold = charged(ada.by_key)
    assert numbers(ada) != before
    with pytest.raises(KeyCap):
        spending.reserve(ada.by_key, NOW, MINUTE)
    assert wrong(ada) == []
    assert undo(hold)
    assert numbers(ada) == before
    assert wrong(ada) == []
    assert charged(ada.by_key).source == "prepaid"


@pytest.mark.parametrize("by_key", [True, False])
@pytest.mark.parametrize("prepaid", [0, 1])
def test_the_ledger_tells_of_it(by_key: bool, prepaid: int) -> None:
    ada = person(credits_=1 - prepaid, prepaid=prepaid)
    hold = charged(ada.by_key if by_key else ada.by_token)
    assert undo(hold)
    facts = ("included", "prepaid", "channel", "key_id", "month_start", "cycle_start", "at")
    entries = LedgerEntry.objects.filter(user_id=ada.user.pk, reference=str(hold.id))
    charge = entries.values(*facts).get(event="charge")
    back = entries.values(*facts).get(event="return")
    assert (back["included"], back["prepaid"]) == (1 - prepaid, prepaid)
    assert back == {**charge, "included": -charge["included"], "prepaid": -charge["prepaid"]}
    assert wrong(ada) == []


@pytest.mark.usefixtures("impatient")
def test_of_many_who_undo_it_one_does() -> None:
    ada = person(credits_=1)
    hold = charged(ada.by_key)

    def once(_number: int) -> int:
        try:
            return undo(hold) + spending.release_overdue(LATER, user_id=ada.user.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(once, range(8))) == 1
    assert LedgerEntry.objects.filter(event="return").count() == 1
    assert wrong(ada) == []


def test_a_month_that_has_ended_is_put_right_too() -> None:
    ada = person(credits_=1)
    hold = charged(ada.by_key)
    deliveries.forget([charged(ada.by_key, NOW + MINUTE).id])
    assert undo(hold)
    used = Window.objects.filter(user=ada.user).order_by("start").values_list("api", flat=True)
    assert list(used) == [0, 1]
    assert wrong(ada) == []


def test_the_credit_comes_back_although_the_key_is_gone() -> None:
    ada = person(credits_=1)
    hold = charged(ada.by_key)
    ada.key.delete()
    assert undo(hold)
    assert spending.reserve(ada.by_token, NOW, MINUTE)
    assert wrong(ada) == []


@pytest.mark.usefixtures("impatient")
def test_nothing_is_left_of_a_deleted_account() -> None:
    ada = person(credits_=1)
    hold = charged(ada.by_key)
    delete_account(ada.user, tell=False)
    assert spending.release_overdue(LATER) == 0
    assert not Delivery.objects.exists()
    assert not LedgerEntry.objects.filter(event="return").exists()
    with pytest.raises(AccountGone):
        spending.charge(hold, NOW, until_sent=True)
    assert not Delivery.objects.exists()


def test_a_charge_that_fails_is_not_waited_for() -> None:
    ada = person(credits_=1)
    hold = spending.reserve(ada.by_key, NOW, MINUTE)
    deliveries.forget([charged_again(ada, hold).id])
    with pytest.raises(MonthlyLimit):
        spending.charge(hold, NOW, until_sent=True)
    assert not Delivery.objects.exists()


def charged_again(ada: Person, hold: Hold) -> Hold:
    """Let a reservation run out, and somebody else take the credit."""
    assert spending.release(hold)
    return charged(ada.by_token)


@pytest.mark.usefixtures("impatient")
def test_what_a_dead_server_was_sending_comes_back_when_it_is_needed() -> None:
    ada = person(credits_=0, prepaid=1)
    charged(ada.by_key)
    with pytest.raises(MonthlyLimit):
        spending.reserve(ada.by_key, timezone.now(), MINUTE)
    after = timezone.now() + deliveries.LASTS
    assert spending.reserve(ada.by_key, after, MINUTE, ada.balance())
    assert wrong(ada) == []


@pytest.mark.usefixtures("impatient")
def test_only_what_is_overdue_is_undone() -> None:
    ada, bob = person(), person("bob@example.com")
    first, second, third = charged(ada.by_key), charged(ada.by_key), charged(bob.by_key)
    now = timezone.now()
    Delivery.objects.filter(pk__in=[first.id, second.id, third.id]).update(deadline=now)
    deliveries.prolong([second.id])
    assert deliveries.undo_overdue(now, Watch(), {first.id}, user_id=ada.user.pk) == 0
    assert spending.release_overdue(now) == 2
    assert [row.pk for row in Delivery.objects.all()] == [second.id]


@pytest.mark.usefixtures("impatient")
def test_numbers_that_somebody_changed_stop_nobody() -> None:
    ada, bob = person(), person("bob@example.com")
    charged(ada.by_key)
    charged(bob.by_key)
    Window.objects.filter(user=ada.user).update(api=0)
    assert spending.release_overdue(LATER) == 1
    assert Delivery.objects.get().user_id == ada.user.pk
    assert len(wrong(ada)) == 1
    assert wrong(bob) == []


def test_returning_what_was_not_charged_is_found() -> None:
    ada, bob = person(), person("bob@example.com")
    hold = charged(ada.by_key)
    undo(hold)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE quota_ledgerentry SET reference = 'x' WHERE event = 'charge'")
    assert "entry 2 returns what was not charged." in wrong(ada)
    deliveries.expect(hold.id, bob.user.pk)
    assert wrong(bob) == [f"delivery {hold.id} is of nothing that was charged."]
