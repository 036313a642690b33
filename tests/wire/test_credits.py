"""Credits under many clients at once: four server processes on one database, for real."""

import json
import re
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis

from crowd import Seen, ask_at_once
from forms import field, form, photo
from houses import House, house_on, usage, wait_until
from pictures import picture
from services import Service

pytestmark = pytest.mark.wire

SMALL = form(photo(picture("JPEG"), "photo.jpg"))
MONTHLY = "You've reached your monthly limit. Consider purchasing more credits."


@pytest.fixture(params=["sqlite", "postgresql"])
def own_house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """SQLite with nothing else, then PostgreSQL with Redis; for one test alone."""
    with house_on(request, tmp_path) as built:
        yield built


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """The same for several tests."""
    with house_on(request, tmp_path_factory.mktemp("house")) as built:
        yield built


@pytest.fixture(scope="module")
def fleet(shared_house: House) -> list[Service]:
    """Four servers in the shared house."""
    return [shared_house.start() for _ in range(4)]


def mattes(server: Service) -> int:
    """Return how many mattes a server has made, by its own count."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found = re.search(r'^openrembg_stage_seconds_count{stage="matte"} (\S+)', text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def statuses(answers: list[Seen]) -> Counter[int]:
    """Count the answers by status."""
    return Counter(answer.status for answer in answers)


@pytest.mark.parametrize(("requests", "included", "prepaid"), [(100, 24, 13), (1000, 140, 60)])
def test_as_many_pictures_as_there_are_credits(
    shared_house: House, fleet: list[Service], requests: int, included: int, prepaid: int
) -> None:
    key = shared_house.member(included, prepaid)
    answers = ask_at_once([one.port for one in fleet], requests, SMALL, {"X-Api-Key": key})
    left = included + prepaid
    assert statuses(answers) == {200: left, 429: requests - left}
    assert {json.loads(a.body)["error"] for a in answers if a.status == 429} == {MONTHLY}
    sources = Counter(a.headers["x-credits-source"] for a in answers if a.status == 200)
    assert sources == {"included": included, "prepaid": prepaid}
    assert {a.headers["x-credits-charged"] for a in answers if a.status == 200} == {"1"}
    shown = usage(fleet[0], key)
    assert (shown["api_usage"], shown["prepaidCredits"]) == (included, 0)
    assert shared_house.reservations() == 0
    wait_until(lambda: shared_house.undelivered() == 0)
    shared_house.admin("verify-ledger")


def test_one_key_for_a_hundred_requests_at_once_is_one_picture(
    shared_house: House, fleet: list[Service]
) -> None:
    key = shared_house.member(100)
    before = sum(mattes(server) for server in fleet)
    headers = {"X-Api-Key": key, "Idempotency-Key": "one order"}
    answers = ask_at_once([one.port for one in fleet], 100, SMALL, headers)
    assert statuses(answers) == {200: 100}
    assert len({answer.digest for answer in answers}) == 1
    assert Counter(a.headers["x-credits-charged"] for a in answers) == {"1": 1, "0": 99}
    assert sum(mattes(server) for server in fleet) == before + 1
    assert usage(fleet[0], key)["api_usage"] == 1
    shared_house.admin("verify-ledger")


def test_what_a_killed_server_held_is_given_back_and_not_charged(own_house: House) -> None:
    key = own_house.member(1)
    victim = own_house.start(may_die=True, OPENREMBG_REQUEST_TIMEOUT_S="2")
    other = own_house.start(OPENREMBG_REQUEST_TIMEOUT_S="2")
    large = form(photo(picture("JPEG", 7000, 7000), "large.jpg"), field("format", "png"))
    with ExitStack() as stack:
        sender = threading.Thread(target=_ask_in_vain, args=(victim, large, key))
        sender.start()
        stack.callback(sender.join)
        wait_until(lambda: own_house.reservations() == 1)
        victim.process.kill()
    wait_until(lambda: own_house.reservations() == 0, 62)
    assert usage(other, key)["api_usage"] == 0
    answers = ask_at_once([other.port], 2, SMALL, {"X-Api-Key": key})
    assert statuses(answers) == {200: 1, 429: 1}
    own_house.admin("verify-ledger")


@pytest.mark.parametrize("own_house", ["postgresql"], indirect=True)
def test_a_flushed_redis_loses_nothing(own_house: House) -> None:
    assert own_house.redis is not None
    key = own_house.member(5)
    server = own_house.start()
    ask_at_once([server.port], 3, SMALL, {"X-Api-Key": key})
    before = usage(server, key)
    command(own_house.redis, "FLUSHALL")
    assert usage(server, key) == before
    assert before["api_usage"] == 3
    answers = ask_at_once([server.port], 4, SMALL, {"X-Api-Key": key})
    assert statuses(answers) == {200: 2, 429: 2}
    own_house.redis.process.kill()
    own_house.redis.process.wait()
    assert usage(server, key)["api_usage"] == 5
    assert statuses(ask_at_once([server.port], 1, SMALL, {"X-Api-Key": key})) == {429: 1}
    own_house.admin("verify-ledger")


def _ask_in_vain(server: Service, body: bytes, key: str) -> None:
    with pytest.raises((ConnectionError, EOFError)):
        ask_at_once([server.port], 1, body, {"X-Api-Key": key})


def command(redis: Service, *words: str) -> None:
    """Say something to Redis."""
    with Redis(port=redis.port) as connection:
        connection.execute_command(*words)
