"""A Redis that began anew gets everybody's copy. Redis is real here."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from openrembg.server.quota.redis_usage import SharedUsage
from openrembg.server.quota.refill import FILLED, FILLING, Refill
from people import person
from services import Service

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def store(redis: Service) -> Iterator[Any]:
    """What another tool sees of the Redis."""
    with Redis(port=redis.port, decode_responses=True) as client:
        yield client


@pytest.fixture
def refill(redis: Service) -> Iterator[Refill]:
    with Redis(port=redis.port) as client:
        yield Refill(client, SharedUsage(f"redis://127.0.0.1:{redis.port}/0"))


def look(refill: Refill) -> int:
    return refill.once(threading.Event())


def test_everybody_is_written_once_into_a_redis_that_began_anew(refill: Refill, store: Any) -> None:
    people = [person(f"user{n}@example.com", prepaid=n) for n in range(3)]
    store.flushall()
    assert [look(refill), look(refill)] == [3, 0]
    prepaid = [store.get(f"user:{one.user.pk}:prepaid_credits") for one in people]
    assert prepaid == ["0", "1", "2"]
    store.flushall()
    assert [look(refill), look(refill)] == [3, 0]


def test_another_run_of_redis_is_filled_although_it_has_the_mark(
    refill: Refill, store: Any
) -> None:
    person()
    look(refill)
    store.set(FILLED, "the run before")
    assert look(refill) == 1


def test_while_one_server_fills_another_does_not(refill: Refill, store: Any) -> None:
    person()
    store.set(FILLING, "x")
    assert look(refill) == 0
    store.delete(FILLING)
    assert look(refill) == 1
    assert store.get(FILLING) is None


def test_a_server_that_ends_leaves_it_to_the_next(refill: Refill, store: Any) -> None:
    person()
    over = threading.Event()
    over.set()
    refill.once(over)
    store.delete(FILLING)
    assert look(refill) == 1
