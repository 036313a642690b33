"""Counters that other tools write are found. Redis is real here."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from redis import Redis

from openrembg.server.quota import usage_keys
from openrembg.server.quota.cycle_scan import EVERY_S, SPREAD_S, TURN_S, CycleScan, start_scanning
from openrembg.server.quota.windows import Period
from people import person, subscribe
from services import Service

START = 1700000000


@pytest.fixture
def store(redis: Service) -> Iterator[Any]:
    """What another tool sees of the Redis."""
    with Redis(port=redis.port, decode_responses=True) as client:
        yield client


@pytest.fixture
def scan(redis: Service) -> Iterator[CycleScan]:
    with Redis(port=redis.port) as client:
        yield CycleScan(client)


def look(scan: CycleScan, *, every_s: float = 0.001, spread_s: float = 0.0) -> bool:
    time.sleep(0.003)  # until the pass before is long enough ago
    return scan.once(threading.Event(), every_s, spread_s)


def found(store: Any, uid: int = 7) -> list[str]:
    return list(store.zrange(usage_keys.index(uid), 0, -1))


def test_either_counter_of_a_period_is_found(scan: CycleScan, store: Any) -> None:
    store.set(f"user:7:app_usage:cycle:{START}", 1)
    store.set(f"user:7:api_usage:cycle:{START + 1}", 1)
    store.set(f"user:8:api_usage:cycle:{START + 2}", 1)
    assert look(scan)
    assert found(store) == [str(START), str(START + 1)]
    assert found(store, 8) == [str(START + 2)]
    assert store.ttl(usage_keys.index(7)) == -1


@pytest.mark.parametrize(
    "name",
    [
        "user:7:app_usage:2026:11",
        "user:7:app_usage:cycle:",
        "user:7:app_usage:cycle:abc",
        "user:7:app_usage:cycle:-5",
        "user:7:app_usage:cycle:0123",
        "user:7:app_usage:cycle:12345678901",
        "user:7:app_usage:cycle:123:4",
        "user:7:web_usage:cycle:123",
        "user:7:app:api_usage:cycle:123",
        "user:x:app_usage:cycle:123",
        "auser:7:app_usage:cycle:123",
        "user:7:credits",
    ],
)
def test_other_names_are_no_counters(scan: CycleScan, store: Any, name: str) -> None:
    store.set(name, 1)
    look(scan)
    assert store.keys("openrembg:usage:cycles:*") == []


def test_an_index_of_another_kind_stops_nobody(scan: CycleScan, store: Any) -> None:
    store.set(usage_keys.index(7), "no index")
    store.set(f"user:7:app_usage:cycle:{START}", 1)
    store.set(f"user:8:app_usage:cycle:{START}", 1)
    assert look(scan)
    assert found(store, 8) == [str(START)]


def test_all_keys_are_looked_through(scan: CycleScan, store: Any) -> None:
    names = {f"user:{uid}:app_usage:cycle:{START + uid}": "1" for uid in range(20_000)}
    store.mset(names)
    look(scan)
    assert len(store.keys("openrembg:usage:cycles:*")) == 20_000


def test_one_process_at_a_time_looks(redis: Service, store: Any) -> None:
    with Redis(port=redis.port) as here, Redis(port=redis.port) as there:
        assert look(CycleScan(here), every_s=30)
        assert not look(CycleScan(there), every_s=30)
        assert not look(CycleScan(here), every_s=30)
        # The one who looks may die: then another one is free to begin after a while.
        assert 0 < store.pttl("openrembg:usage:scanned") <= 30_000


def test_a_pass_is_spread_over_its_time(scan: CycleScan, store: Any) -> None:
    store.mset({f"user:1:app_usage:cycle:{START + number}": "1" for number in range(2000)})
    began = time.monotonic()
    look(scan, spread_s=0.4)
    assert 0.3 <= time.monotonic() - began < 2


def test_a_pass_ends_when_the_server_ends(scan: CycleScan, store: Any) -> None:
    store.mset({f"user:1:app_usage:cycle:{START + number}": "1" for number in range(2000)})
    over = threading.Event()
    over.set()
    began = time.monotonic()
    scan.once(over, 1, 60)
    assert time.monotonic() - began < 1


def test_a_key_is_found_in_time_even_when_the_one_who_looks_dies() -> None:
    # Written behind the first pass, whose process dies: the next one takes over when it may.
    assert EVERY_S + TURN_S + EVERY_S + SPREAD_S < 60


@pytest.mark.usefixtures("database")
def test_a_period_of_another_tool_comes_into_the_list(
    client: Client, furnish: Any, redis: Service, store: Any
) -> None:
    furnish(redis_url=f"redis://127.0.0.1:{redis.port}/0")
    ada, now = person(), int(time.time())
    subscribe(ada.user.pk, Period(now - 9, now + 999))
    stop = start_scanning(every_s=0.05, spread_s=0, turn_s=0.01)
    try:
        store.set(f"user:{ada.user.pk}:api_usage:cycle:{START}", 6)
        deadline = time.monotonic() + 10
        cycles: list[Any] = []
        while len(cycles) < 2 and time.monotonic() < deadline:
            body = client.get("/api/membership-usage?listBillingCycles=1", headers=ada.with_key)
            cycles = body.json()["billingCycles"]
    finally:
        stop()
    assert [cycle["apiUsage"] for cycle in cycles] == [0, 6]


def test_without_a_redis_nobody_looks() -> None:
    before = threading.active_count()
    start_scanning()()
    assert threading.active_count() == before


def test_a_redis_that_is_away_is_asked_again(furnish: Any, redis: Service) -> None:
    furnish(redis_url=f"redis://127.0.0.1:{redis.port}/0")
    redis.process.kill()
    redis.process.wait()
    stop = start_scanning(every_s=0.05, spread_s=0, turn_s=0.01)
    time.sleep(0.1)
    assert [thread for thread in threading.enumerate() if thread.name == "cycle-scan"]
    stop()
