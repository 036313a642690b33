"""The copy in Redis: whole, never older than it was, mended when it is read. Redis is real here."""

import datetime as dt
import logging
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from redis import Redis

from openrembg.server.accounts.models import User
from openrembg.server.billing.models import Plan
from openrembg.server.breaker import Breaker
from openrembg.server.quota import ledger, spending, usage_keys
from openrembg.server.quota.models import Balance, Window
from openrembg.server.quota.redis_usage import (
    RedisUnusable,
    SharedUsage,
    publish,
    rebuild_all,
    shared_usage,
)
from openrembg.server.quota.usage import Used, standing_of, usage_of
from openrembg.server.quota.windows import Period
from people import Person, person, subscribe
from services import Service

pytestmark = pytest.mark.usefixtures("database", "use_redis")

PATH = "/api/membership-usage"
NOW = dt.datetime.now(dt.UTC)
MONTH = f"{NOW.year}:{NOW.month}"
TODAY = int(NOW.timestamp())
PERIOD = Period(TODAY - 5 * 86400, TODAY + 25 * 86400)


def address(redis: Service) -> str:
    return f"redis://127.0.0.1:{redis.port}/0"


@pytest.fixture
def use_redis(furnish: Any, redis: Service) -> None:
    furnish(redis_url=address(redis))


@pytest.fixture
def store(redis: Service) -> Iterator["Redis"]:
    """What another tool sees of the Redis."""
    with Redis.from_url(address(redis), decode_responses=True) as client:
        yield client


def spend(somebody: Person, *, by_app: bool = False) -> None:
    payer = somebody.by_token if by_app else somebody.by_key
    spending.charge(spending.reserve(payer, NOW, dt.timedelta(minutes=1)), NOW)


def contents(store: Any, uid: int) -> dict[str, str]:
    names = sorted(store.scan_iter(f"user:{uid}:*", count=1000))
    return {name.removeprefix(f"user:{uid}:"): store.get(name) for name in names}


def ask(client: Client, somebody: Person, **parameters: object) -> Any:
    answer = client.get(PATH, parameters, headers=somebody.with_key)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_the_documented_keys_are_there_after_each_commit(store: Any) -> None:
    ada = person(prepaid=7)
    ledger.set_plan(ada.user.pk, Plan.objects.get(label="Premium-20000"))
    subscribe(ada.user.pk, PERIOD)
    spend(ada)
    spend(ada, by_app=True)
    assert contents(store, ada.user.pk) == {
        f"app_usage:{MONTH}": "1",
        f"api_usage:{MONTH}": "1",
        f"app_usage:cycle:{PERIOD.start}": "1",
        f"api_usage:cycle:{PERIOD.start}": "1",
        "billing_period_start": str(PERIOD.start),
        "billing_period_end": str(PERIOD.end),
        "credits": "20000",
        "prepaid_credits": "7",
        "membership": "Premium-20000",
    }
    spend(ada)
    assert contents(store, ada.user.pk)[f"api_usage:{MONTH}"] == "2"


def test_nothing_ever_expires(store: Any) -> None:
    spend(person())
    assert {name: store.ttl(name) for name in store.keys("*")} == dict.fromkeys(store.keys("*"), -1)


def test_a_new_account_is_there_at_once(store: Any) -> None:
    uid = User.objects.create_user("new@example.com").pk
    assert contents(store, uid) == {
        "credits": "50",
        "prepaid_credits": "0",
        "membership": "Free",
    }


def test_the_end_of_a_period_takes_its_keys_away(store: Any) -> None:
    ada = person()
    subscribe(ada.user.pk, PERIOD, next_end=PERIOD.end + 86400)
    ledger.leave(ada.user.pk)
    assert "billing_period_start" not in contents(store, ada.user.pk)
    assert "billing_period_end" not in contents(store, ada.user.pk)
    assert not store.exists(f"openrembg:usage:next_end:{ada.user.pk}")


def test_a_charge_that_is_rolled_back_is_not_published(store: Any) -> None:
    ada = person()
    before = contents(store, ada.user.pk)
    with transaction.atomic():
        ledger.top_up(ada.user.pk, 5)
        transaction.set_rollback(True)
    assert contents(store, ada.user.pk) == before


def test_an_older_publication_never_overwrites_a_newer_one(store: Any) -> None:
    ada, shared = person(), shared_usage()
    assert shared is not None
    spend(ada)
    older = usage_of(ada.user.pk)
    assert older is not None
    spend(ada)
    newer = contents(store, ada.user.pk)
    shared._write(ada.user.pk, older)
    assert contents(store, ada.user.pk) == newer


def test_publications_of_many_at_once_end_with_the_newest(store: Any) -> None:
    ada = person()
    start = threading.Barrier(8)

    def work(_: int) -> None:
        start.wait()
        try:
            for _ in range(4):
                spend(ada)
                publish(ada.user.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert contents(store, ada.user.pk)[f"api_usage:{MONTH}"] == "32"


@pytest.mark.parametrize("lost", ["FLUSHALL", "the version", "what is known", "a counter", "all"])
def test_what_is_lost_is_there_again_before_the_answer(
    client: Client, store: Any, lost: str
) -> None:
    ada = person(prepaid=3)
    subscribe(ada.user.pk, PERIOD)
    spend(ada)
    before, told = contents(store, ada.user.pk), ask(client, ada, expand="billing_cycle")
    names = {
        "the version": [f"openrembg:usage:version:{ada.user.pk}"],
        "what is known": [f"openrembg:usage:known:{ada.user.pk}"],
        "a counter": [f"user:{ada.user.pk}:app_usage:{MONTH}"],
        "all": list(store.keys(f"user:{ada.user.pk}:*")),
    }
    if lost == "FLUSHALL":
        store.flushall()
    else:
        store.delete(*names[lost])
    assert ask(client, ada, expand="billing_cycle") == told
    assert contents(store, ada.user.pk) == before


@pytest.mark.parametrize("lost", ["FLUSHALL", "the next end"])
def test_a_provisional_period_is_there_again_before_the_answer(
    client: Client, store: Any, lost: str
) -> None:
    ada, told = person(), Period(PERIOD.start - 30 * 86400, PERIOD.start)
    subscribe(ada.user.pk, told, next_end=PERIOD.end)
    spend(ada)
    before = contents(store, ada.user.pk)
    assert before["billing_period_start"] == str(told.start)
    assert before["billing_period_end"] == str(told.end)
    questions: tuple[dict[str, object], ...] = (
        {},
        {"expand": "billing_cycle"},
        {"periodStartUnix": PERIOD.start, "expand": "billing_cycle"},
        {"listBillingCycles": 1},
    )
    answers = [ask(client, ada, **question) for question in questions]
    assert answers[1]["billingCycle"]["periodEndUnix"] == PERIOD.end
    assert answers[1]["billingCycle"]["apiUsage"] == 1
    for question, answer in zip(questions, answers, strict=True):
        if lost == "FLUSHALL":
            store.flushall()
        else:
            assert store.delete(f"openrembg:usage:next_end:{ada.user.pk}") == 1
        assert ask(client, ada, **question) == answer
        assert contents(store, ada.user.pk) == before


def test_what_is_told_of_a_window_alone_makes_the_copy_old(client: Client, store: Any) -> None:
    ada = person()
    subscribe(ada.user.pk, PERIOD)
    copy = {name: store.get(name) for name in store.keys("*")}
    ledger.write_window(ada.user.pk, PERIOD, 70)
    # As if the process had died before it wrote the new copy.
    store.flushall()
    store.mset(copy)
    assert ask(client, ada, expand="billing_cycle")["billingCycle"]["includedCredits"] == 70


def test_an_answer_comes_from_redis_while_that_is_whole(client: Client, store: Any) -> None:
    ada = person()
    spend(ada)
    store.set(f"user:{ada.user.pk}:api_usage:{MONTH}", "41")
    assert ask(client, ada)["api_usage"] == 41


def test_reading_what_was_never_used_writes_nothing(client: Client, store: Any) -> None:
    ada = person()
    ask(client, ada)
    calls = store.info("commandstats")["cmdstat_set"]["calls"]
    for month in range(1, 13):
        assert ask(client, ada, year=2020, month=month)["api_usage"] == 0
    ask(client, ada, periodStartUnix=5)
    assert store.info("commandstats")["cmdstat_set"]["calls"] == calls


def test_an_account_that_changed_unpublished_is_published_by_its_reader(
    client: Client, store: Any
) -> None:
    ada = person()
    store.set(f"openrembg:usage:version:{ada.user.pk}", "0")
    Balance.objects.filter(pk=ada.user.pk).update(prepaid=9, entries=3)
    assert ask(client, ada)["prepaidCredits"] == 9
    assert contents(store, ada.user.pk)["prepaid_credits"] == "9"


def test_a_database_that_was_put_back_wins(client: Client, store: Any) -> None:
    ada = person(prepaid=9)
    Balance.objects.filter(pk=ada.user.pk).update(prepaid=4, entries=0)
    assert ask(client, ada)["prepaidCredits"] == 4
    assert contents(store, ada.user.pk)["prepaid_credits"] == "4"


def test_usage_that_a_restored_database_does_not_know_is_gone(client: Client, store: Any) -> None:
    ada = person()
    subscribe(ada.user.pk, PERIOD)
    version = Balance.objects.get(pk=ada.user.pk).entries
    spend(ada)
    assert contents(store, ada.user.pk)[f"api_usage:{MONTH}"] == "1"
    # The database, as it was before.
    Window.objects.filter(user=ada.user).update(api=0)
    Window.objects.filter(user=ada.user, kind="month").delete()
    Balance.objects.filter(pk=ada.user.pk).update(entries=version)
    assert ask(client, ada)["api_usage"] == 0
    assert f"api_usage:{MONTH}" not in contents(store, ada.user.pk)


GARBAGE = ("", "abc", "-5", "1.5", "1e3", " 7", "007", "9" * 18 + "99", "9" * 400, "\x00", "٣")


@pytest.mark.parametrize("value", GARBAGE)
def test_garbage_is_replaced_by_what_the_database_says(
    client: Client, store: Any, value: str
) -> None:
    ada = person(prepaid=2)
    subscribe(ada.user.pk, PERIOD, next_end=PERIOD.end + 86400)
    spend(ada)
    before = contents(store, ada.user.pk)
    questions: tuple[dict[str, object], ...] = (
        {},
        {"expand": "billing_cycle"},
        {"periodStartUnix": PERIOD.start},
        {"listBillingCycles": 1},
    )
    told = [ask(client, ada, **question) for question in questions]
    for name in store.keys("*"):
        if store.type(name) == "string":
            store.set(name, value)
            assert [ask(client, ada, **question) for question in questions] == told, name
            assert contents(store, ada.user.pk) == before
    for name in store.keys("*"):
        store.set(name, value)
    assert [ask(client, ada, **question) for question in questions] == told
    assert contents(store, ada.user.pk) == before


def test_keys_of_another_kind_are_replaced(client: Client, store: Any) -> None:
    ada = person()
    spend(ada)
    before, told = contents(store, ada.user.pk), ask(client, ada)
    for name in store.keys("*"):
        store.delete(name)
        store.rpush(name, "a", "b")
    store.set(usage_keys.index(ada.user.pk), "no index")
    assert ask(client, ada) == told
    assert contents(store, ada.user.pk) == before
    assert ask(client, ada, listBillingCycles=1) == {"billingCycles": []}


@pytest.mark.parametrize("value", [value for value in GARBAGE if value != "007"])
def test_garbage_of_other_tools_counts_nothing(client: Client, store: Any, value: str) -> None:
    ada = person()
    store.set(f"user:{ada.user.pk}:app_usage:cycle:1700000000", value)
    store.set(f"user:{ada.user.pk}:api_usage:2020:5", value)
    store.zadd(usage_keys.index(ada.user.pk), {"1700000000": 1, value: 2})
    assert ask(client, ada, periodStartUnix=1700000000)["app_usage"] == 0
    assert ask(client, ada, year=2020, month=5)["api_usage"] == 0
    assert ask(client, ada, listBillingCycles=1) == {"billingCycles": []}


def test_a_cycle_of_another_tool_is_told_and_left_alone(client: Client, store: Any) -> None:
    ada = person()
    subscribe(ada.user.pk, PERIOD)
    store.set(f"user:{ada.user.pk}:app_usage:cycle:1700000000", "5")
    store.zadd(usage_keys.index(ada.user.pk), {"1700000000": 1700000000})
    assert ask(client, ada, periodStartUnix=1700000000)["app_usage"] == 5
    cycles = ask(client, ada, listBillingCycles=1)["billingCycles"]
    assert cycles[1] == {
        "periodStartUnix": 1700000000,
        "periodEndUnix": PERIOD.start - 1,
        "appUsage": 5,
        "apiUsage": 0,
    }
    cycle = ask(client, ada, periodStartUnix=1700000000, expand="billing_cycle")["billingCycle"]
    assert (cycle["periodEndUnix"], cycle["stripeBillingSynced"]) == (PERIOD.start - 1, False)
    assert cycle["includedCredits"] == 50
    store.delete(usage_keys.version(ada.user.pk))
    assert ask(client, ada, listBillingCycles=1)["billingCycles"] == cycles
    rebuild_all()
    assert store.get(f"user:{ada.user.pk}:app_usage:cycle:1700000000") == "5"
    assert ask(client, ada, listBillingCycles=1)["billingCycles"] == cycles


def test_a_foreign_cycle_that_is_gone_is_no_longer_listed(client: Client, store: Any) -> None:
    ada = person()
    store.zadd(usage_keys.index(ada.user.pk), {"1700000000": 1700000000})
    assert ask(client, ada, listBillingCycles=1) == {"billingCycles": []}


def test_the_keys_of_others_are_not_mixed_up(client: Client, store: Any) -> None:
    ada, eve = person(), person("eve@example.com")
    spend(ada)
    store.set(f"user:{ada.user.pk}0:api_usage:{MONTH}", "77")
    assert ask(client, ada)["api_usage"] == 1
    assert ask(client, eve)["api_usage"] == 0


def test_an_edited_plan_is_published_for_all_its_users(store: Any) -> None:
    people = [person(f"p{number}@example.com") for number in range(3)]
    rich = person("rich@example.com", credits_=9)
    free = Plan.objects.get(label="Free")
    try:
        free.credits, free.label = 60, "Gratis"
        free.save()
        for somebody in people:
            assert contents(store, somebody.user.pk)["membership"] == "Gratis"
            assert contents(store, somebody.user.pk)["credits"] == "60"
        publish(rich.user.pk)
        assert contents(store, rich.user.pk)["credits"] == "9"
    finally:
        Plan.objects.filter(pk=free.pk).update(credits=50, label="Free")


def test_a_deleted_account_leaves_nothing_of_ours(store: Any) -> None:
    ada = person()
    subscribe(ada.user.pk, PERIOD)
    spend(ada)
    uid = ada.user.pk
    ada.user.delete()
    assert contents(store, uid) == {}
    assert store.keys("openrembg:usage:*") == []


def test_all_users_are_rebuilt(store: Any, capsys: pytest.CaptureFixture[str]) -> None:
    people = [person(f"p{number}@example.com", prepaid=number) for number in range(3)]
    User.objects.bulk_create(User(email=f"u{number}@example.com") for number in range(250))
    free = Plan.objects.get(label="Free")
    bare = User.objects.filter(balance__isnull=True)
    Balance.objects.bulk_create(Balance(user=user, plan=free) for user in bare)
    spend(people[1])
    before = {somebody.user.pk: contents(store, somebody.user.pk) for somebody in people}
    store.flushall()
    assert rebuild_all() == 253
    for uid, was in before.items():
        assert contents(store, uid) == was
    assert len(store.keys("user:*:membership")) == 253
    assert capsys.readouterr().out == ""


def test_a_rebuild_says_when_there_is_no_redis(furnish: Any, redis: Service) -> None:
    redis.process.kill()
    redis.process.wait()
    with pytest.raises(RedisUnusable, match=r"^Redis does not answer \(ConnectionError\)\.$"):
        rebuild_all()
    furnish(redis_url=None)
    with pytest.raises(RedisUnusable, match="REDIS_URL is not set"):
        rebuild_all()


def test_a_killed_redis_changes_no_answer_and_fails_no_charge(
    client: Client, redis: Service, caplog: pytest.LogCaptureFixture
) -> None:
    ada = person(prepaid=3)
    subscribe(ada.user.pk, PERIOD)
    spend(ada)
    told = ask(client, ada, expand="billing_cycle")
    redis.process.kill()
    redis.process.wait()
    with caplog.at_level(logging.WARNING, "openrembg.outages"):
        assert ask(client, ada, expand="billing_cycle") == told
        spend(ada)
        assert ask(client, ada)["api_usage"] == 2
    said = [one.getMessage() for one in caplog.records if one.name == "openrembg.outages"]
    assert said == ["Redis does not answer; usage is read from the database and not published"]
    assert str(redis.port) not in caplog.text


def test_a_redis_that_hangs_costs_its_timeout_once(client: Client, redis: Service) -> None:
    ada = person()
    redis.process.send_signal(signal.SIGSTOP)
    try:
        began = dt.datetime.now(dt.UTC)
        for used in range(1, 4):
            spend(ada)
            assert ask(client, ada)["api_usage"] == used
        assert dt.datetime.now(dt.UTC) - began < dt.timedelta(seconds=2)
    finally:
        redis.process.send_signal(signal.SIGCONT)


def test_who_publishes_is_told_when_redis_takes_nothing(redis: Service, store: Any) -> None:
    shared = SharedUsage(address(redis), Breaker("lost", "back", try_again_after_s=0))
    ada = person()
    before = contents(store, ada.user.pk)
    store.config_set("maxmemory", 1)
    spend(ada)
    assert not shared.publish(ada.user.pk)
    store.config_set("maxmemory", 0)
    assert contents(store, ada.user.pk) == before
    assert shared.publish(ada.user.pk)
    assert contents(store, ada.user.pk)[f"api_usage:{MONTH}"] == "1"


def test_a_user_who_is_gone_has_no_usage(redis: Service) -> None:
    ada = person()
    balance = ada.balance()
    Balance.objects.filter(pk=ada.user.pk).delete()
    shared = SharedUsage(address(redis))
    assert shared.usage(balance.pk, standing_of(balance), ()) is None


def test_a_copy_is_what_the_database_says(redis: Service) -> None:
    ada = person(credits_=2, prepaid=3)
    subscribe(ada.user.pk, PERIOD, next_end=PERIOD.end + 86400)
    for _ in range(3):
        spend(ada)
    usage = usage_of(ada.user.pk)
    assert usage is not None
    shared = SharedUsage(address(redis))
    assert shared.usage(ada.user.pk, usage.standing, ()) == usage
    assert usage.cycles[PERIOD.start].used == Used(0, 2)
