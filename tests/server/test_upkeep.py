import datetime as dt
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection, connections
from django.utils import timezone
from time_machine import TimeMachineFixture

from openrembg.server import upkeep
from openrembg.server.accounts.deletion import delete_account
from openrembg.server.accounts.models import User
from openrembg.server.billing.models import Plan
from openrembg.server.quota import spending
from openrembg.server.quota.database_storage import DatabaseStorage
from openrembg.server.quota.models import Balance, RateCount, Reservation, Window
from openrembg.server.quota.verify import mismatches
from openrembg.server.quota.windows import Period, unix
from people import paying, person

pytestmark = pytest.mark.usefixtures("database")

NOW = dt.datetime(2026, 12, 16, tzinfo=dt.UTC)
PERIOD = Period(unix(NOW) - 30 * 86400, unix(NOW))
MS = dt.timedelta(milliseconds=1)


def expired_session() -> None:
    session = SessionStore()
    session.set_expiry(timezone.now() - dt.timedelta(days=1))
    session.create()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def plans() -> dict[str, str]:
    rows = Balance.objects.values_list("user__email", "plan__label")
    return {email.partition("@")[0]: label for email, label in rows}


def test_it_gives_back_what_is_overdue_and_forgets_what_is_old() -> None:
    ada = person()
    spending.reserve(ada.by_key, timezone.now(), dt.timedelta(0))
    spending.reserve(ada.by_key, timezone.now(), dt.timedelta(hours=1))
    DatabaseStorage().incr("old", 0)
    upkeep.tidy(timezone.now())
    assert Reservation.objects.count() == 1
    assert not RateCount.objects.exists()


def test_it_runs_until_it_is_stopped() -> None:
    ada = person()
    spending.reserve(ada.by_key, timezone.now(), dt.timedelta(0))
    stop = upkeep.start(every_s=0.05)
    wait_until(lambda: not Reservation.objects.exists())
    stop()
    assert "upkeep" not in [thread.name for thread in threading.enumerate()]
    spending.reserve(ada.by_key, timezone.now(), dt.timedelta(0))
    time.sleep(0.2)
    assert Reservation.objects.count() == 1


def test_what_cannot_be_given_back_holds_up_nothing(caplog: pytest.LogCaptureFixture) -> None:
    ada, bob = person(), person("bob@example.com")
    for one in (ada, bob):
        spending.reserve(one.by_key, timezone.now(), dt.timedelta(0))
    Window.objects.filter(user=ada.user).update(held=0)
    DatabaseStorage().incr("old", 0)
    for _ in range(2):
        upkeep.tidy(timezone.now())
    assert [row.user for row in Reservation.objects.all()] == [ada.user]
    assert not RateCount.objects.exists()
    complaints = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [one.message for one in complaints] == ["A credit cannot be given back"]


def test_a_step_that_fails_is_told_of_once_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(now: dt.datetime) -> int:
        raise ValueError(now)

    monkeypatch.setattr(upkeep, "_failing", set())
    monkeypatch.setattr(upkeep, "release_overdue", broken)
    monkeypatch.setattr(upkeep, "note_warnings", broken)
    stop = upkeep.start(every_s=0.02)
    for _ in range(2):
        DatabaseStorage().incr("old", 0)
        wait_until(lambda: not RateCount.objects.exists())
    stop()
    assert [record.message for record in caplog.records] == ["Upkeep failed"] * 2
    assert all(record.exc_info for record in caplog.records)


def test_expired_sessions_are_forgotten_now_and_then() -> None:
    expired_session()
    stop = upkeep.start(every_s=0.02)
    wait_until(lambda: not Session.objects.exists())
    expired_session()
    time.sleep(0.3)
    stop()
    assert Session.objects.count() == 1
    stop = upkeep.start(every_s=0.02, sessions_every_s=0.2)
    wait_until(lambda: not Session.objects.exists())
    expired_session()
    wait_until(lambda: not Session.objects.exists())
    stop()


def test_subscriptions_end_that_nobody_renewed() -> None:
    for name, status, ends_at in (
        ("told-to-end", "active", PERIOD.end),
        ("late", "past_due", None),
        ("renewing", "active", None),
    ):
        paying(
            User.objects.create_user(f"{name}@example.com"), PERIOD, status=status, ends_at=ends_at
        )
    # An operator's gift; Stripe has no say here.
    given = User.objects.create_user("given@example.com")
    Balance.objects.filter(pk=given.pk).update(plan=Plan.objects.get(label="Pro-5000"))
    assert upkeep.end_lapsed(NOW - MS) == 0
    assert set(plans().values()) == {"Pro-5000"}
    upkeep.tidy(NOW)
    assert plans() == {
        "told-to-end": "Free",
        "late": "Free",
        "renewing": "Pro-5000",
        "given": "Pro-5000",
    }
    assert upkeep.end_lapsed(NOW) == 0
    for user in User.objects.all():
        assert list(mismatches(user.pk)) == []


def test_those_who_are_many_have_their_turn_in_the_order_of_their_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "LAPSED_AT_ONCE", 2)
    for days in (1, 3, 2):
        period = Period(PERIOD.start, PERIOD.end - days * 86400)
        user = User.objects.create_user(f"days-{days}@example.com")
        paying(user, period, ends_at=period.end)
    assert upkeep.end_lapsed(NOW) == 2
    assert plans() == {"days-1": "Pro-5000", "days-2": "Free", "days-3": "Free"}
    assert upkeep.end_lapsed(NOW) == 1
    assert set(plans().values()) == {"Free"}


def test_accounts_that_go_meanwhile_hold_nobody_up(time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(NOW)
    users = [User.objects.create_user(f"u{number}@example.com") for number in range(30)]
    for user in users:
        paying(user, PERIOD, ends_at=PERIOD.end)

    def leave(user: User) -> None:
        try:
            delete_account(user, tell=False)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        leaving = [pool.submit(leave, user) for user in reversed(users[10:])]
        upkeep.end_lapsed(NOW)
        for one in leaving:
            one.result()
    assert plans() == {f"u{number}": "Free" for number in range(10)}


def test_the_few_whose_period_ends_are_found_without_looking_at_all() -> None:
    lapsed = Balance.objects.filter(period_end__lte=unix(NOW), next_end=None)
    users = lapsed.order_by("period_end").values_list("pk", flat=True)[:5]
    if connection.vendor == "postgresql":
        # An empty table is read as a whole in any case.
        with connection.cursor() as cursor:
            cursor.execute("SET enable_seqscan = off")
    assert "periods_that_lapse" in users.explain()
