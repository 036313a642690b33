import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.db import DatabaseCache

from openrembg.server.settings import CACHE_TABLE, cache_settings
from openrembg.server.web import cache as pages_cache
from openrembg.server.web.cache import Json, RedisOrLocal
from services import Service


def cache_on(redis: Service) -> RedisOrLocal:
    return RedisOrLocal(f"redis://127.0.0.1:{redis.port}/0", {})


@pytest.fixture(autouse=True)
def redis_is_not_away() -> None:
    """Let no test see the outage of the one before it."""
    pages_cache._BREAKER._away_until = 0.0


def keeps_what_it_is_given(cache: BaseCache) -> None:
    assert cache.add("a", [1.5, 2.5], 60)
    assert not cache.add("a", "other", 60)
    assert cache.get("a") == [1.5, 2.5]
    cache.set("a", [3.5], 60)
    assert cache.get("a") == [3.5]
    assert cache.touch("a", 60)
    assert cache.delete("a")
    assert not cache.delete("a")
    assert cache.get("a", "nothing") == "nothing"


def test_redis_keeps_values_for_every_process(redis: Service) -> None:
    keeps_what_it_is_given(cache_on(redis))
    cache_on(redis).set("shared", [1], 60)
    assert cache_on(redis).get("shared") == [1]


def test_without_redis_this_process_keeps_them(redis: Service) -> None:
    cache = cache_on(redis)
    redis.process.kill()
    redis.process.wait()
    keeps_what_it_is_given(cache)


def test_an_outage_costs_its_timeout_once(redis: Service) -> None:
    cache = cache_on(redis)
    redis.process.kill()
    redis.process.wait()
    began = time.monotonic()
    for number in range(200):
        cache.set(f"k{number}", number, 60)
    assert time.monotonic() - began < 2


def test_values_in_redis_are_json_and_never_code() -> None:
    assert Json().loads(Json().dumps([1.5, True, "y"])) == [1.5, True, "y"]
    with pytest.raises(ValueError, match=r"utf-8|decode|Expecting"):
        Json().loads(b"\x80\x04cos\nsystem\n")


def test_the_database_keeps_values(database: Any) -> None:
    keeps_what_it_is_given(DatabaseCache(CACHE_TABLE, {}))


@pytest.mark.parametrize(
    ("store", "backend"),
    [("memory", "LocMemCache"), ("redis", "RedisOrLocal"), ("database", "DatabaseCache")],
)
def test_attempts_are_counted_where_requests_are(store: str, backend: str) -> None:
    chosen: Callable[..., Any] = cache_settings
    settings = chosen(store, "redis://127.0.0.1/0")["default"]
    assert settings["BACKEND"].endswith(f".{backend}")
    assert settings["OPTIONS"]["MAX_ENTRIES"] >= 100_000, "a flood does not clear the counts"
