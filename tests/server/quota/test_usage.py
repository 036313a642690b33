"""What the database says of a user, in one piece."""

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from openrembg.server.billing.models import Plan
from openrembg.server.quota import spending
from openrembg.server.quota.usage import (
    Cycle,
    DayOfUse,
    Standing,
    Used,
    days,
    standing_of,
    usage_of,
    usages_of,
)
from openrembg.server.quota.windows import Period
from people import Person, person, subscribe

pytestmark = pytest.mark.usefixtures("database")

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
PERIOD = Period(1794787200, 1797379200)  # 16 November to 16 December


def spend(somebody: Person, at: dt.datetime = NOW, *, by_app: bool = False) -> None:
    payer = somebody.by_token if by_app else somebody.by_key
    spending.charge(spending.reserve(payer, at, dt.timedelta(minutes=1)), at)


def test_a_new_user_has_used_nothing() -> None:
    ada = person()
    usage = usage_of(ada.user.pk)
    assert usage is not None
    assert usage.standing == Standing(0, "Free", 50, 0, None, None, None)
    assert (usage.months, usage.cycles) == ({}, {})


def test_usage_counts_by_month_and_by_period() -> None:
    ada = person(prepaid=7)
    spend(ada, NOW - 30 * DAY)
    subscribe(ada.user.pk, PERIOD, at=NOW)
    spend(ada)
    spend(ada, by_app=True)
    usage = usage_of(ada.user.pk)
    assert usage is not None
    assert usage.standing == Standing(6, "Free", 50, 7, PERIOD.start, PERIOD.end, None)
    assert usage.months == {(2026, 10): Used(0, 1), (2026, 11): Used(1, 1)}
    assert usage.cycles == {PERIOD.start: Cycle(PERIOD.end, 50, True, Used(1, 1))}


def test_held_prepaid_credits_are_still_owned() -> None:
    ada = person(credits_=0, prepaid=2)
    spending.reserve(ada.by_key, NOW, dt.timedelta(minutes=1))
    usage = usage_of(ada.user.pk)
    assert usage is not None
    assert usage.standing.prepaid == 2


def test_prepaid_use_is_in_no_counter() -> None:
    ada = person(credits_=0, prepaid=2)
    subscribe(ada.user.pk, PERIOD, at=NOW)
    spend(ada)
    usage = usage_of(ada.user.pk)
    assert usage is not None
    assert usage.standing.prepaid == 1
    assert usage.months == {}
    assert usage.cycles == {PERIOD.start: Cycle(PERIOD.end, 0, True, None)}


def test_a_balance_tells_the_same_standing() -> None:
    ada = person(credits_=9, prepaid=3)
    subscribe(ada.user.pk, PERIOD, at=NOW)
    usage = usage_of(ada.user.pk)
    assert usage is not None
    assert standing_of(ada.balance()) == usage.standing


def test_nobody_sees_what_others_used() -> None:
    ada, eve = person(), person("eve@example.com")
    spend(ada)
    usages = usages_of((ada.user.pk, eve.user.pk, 987654))
    assert {user: usage.months for user, usage in usages.items()} == {
        ada.user.pk: {(2026, 11): Used(0, 1)},
        eve.user.pk: {},
    }
    assert usage_of(987654) is None


def test_one_query_sees_one_moment() -> None:
    ada, eve = person(), person("eve@example.com")
    spend(ada)
    with CaptureQueriesContext(connection) as queries:
        usages_of((ada.user.pk, eve.user.pk))
    assert len(queries) == 1


def test_a_period_contains_its_start_and_not_its_end() -> None:
    ada = person()
    subscribe(ada.user.pk, PERIOD, at=NOW)
    usage = usage_of(ada.user.pk)
    assert usage is not None
    seconds = (PERIOD.start - 1, PERIOD.start, PERIOD.end - 1, PERIOD.end)
    inside = [
        usage.period_at(dt.datetime.fromtimestamp(second, dt.UTC)) is not None for second in seconds
    ]
    assert inside == [False, True, True, False]


def test_days_tell_what_each_key_used() -> None:
    ada, eve = person(credits_=2, prepaid=9), person("eve@example.com")
    spend(ada, NOW - DAY)
    spend(ada, by_app=True)
    spend(ada)
    spend(eve)
    today, yesterday = NOW.date(), (NOW - DAY).date()
    assert sorted(days(ada.user.pk, yesterday, today), key=str) == sorted(
        [
            DayOfUse(yesterday, ada.key.pk, 1, 0),
            DayOfUse(today, None, 1, 0),
            DayOfUse(today, ada.key.pk, 0, 1),
        ],
        key=str,
    )
    assert days(ada.user.pk, today, today) == [
        day for day in days(ada.user.pk, yesterday, today) if day.day == today
    ]
    assert days(ada.user.pk, today + DAY, today + 2 * DAY) == []


def test_the_plan_may_change_without_an_entry() -> None:
    ada = person(credits_=9)
    Plan.objects.filter(balances=ada.user.pk).update(credits=10)
    usage = usage_of(ada.user.pk)
    assert usage is not None
    assert (usage.standing.version, usage.standing.credits) == (0, 10)
