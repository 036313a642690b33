"""Credits under many clients at once: four server processes on one database, for real."""

import itertools
import json
import re
import sqlite3
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from crowd import Seen, ask_at_once
from forms import field, form, photo
from pictures import picture
from redis import Redis

from databases import PostgreSQL, Sqlite, TestDatabase
from services import Service, openrembg_admin, openrembg_server, put_tables, redis_server

pytestmark = pytest.mark.wire

serial = itertools.count(1)
SMALL = form(photo(picture("JPEG"), "photo.jpg"))
MONTHLY = "You've reached your monthly limit. Consider purchasing more credits."


@dataclass(frozen=True, slots=True)
class House:
    """A database, and how servers and operators reach it. redis: None on SQLite."""

    database: TestDatabase
    environment: dict[str, str]
    redis: Service | None
    start: Callable[..., Service]

    def admin(self, *words: str) -> str:
        """Run an operator's command."""
        return openrembg_admin(self.environment, *words)

    def member(self, included: int, prepaid: int = 0) -> str:
        """Make a verified user with so many credits and no short-term limit; return a key."""
        email = f"user{next(serial)}@example.com"
        self.admin("plan", email, "--credits", str(included), "--per-minute", "-1")
        words = ["--prepaid", str(prepaid)] if prepaid else []
        self.admin("create-user", email, "--verified", "--plan", email, *words)
        return self.admin("create-key", email)

    def reservations(self) -> int:
        """Return how many credits are held."""
        return count_rows(self.database, "quota_reservation")


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """SQLite with nothing else, then PostgreSQL with Redis; for one test alone."""
    with _house(request, tmp_path) as built:
        yield built


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """The same for several tests."""
    with _house(request, tmp_path_factory.mktemp("house")) as built:
        yield built


@pytest.fixture(scope="module")
def fleet(shared_house: House) -> list[Service]:
    """Four servers in the shared house."""
    return [shared_house.start() for _ in range(4)]


@contextmanager
def _house(request: pytest.FixtureRequest, folder: Path) -> Iterator[House]:
    with ExitStack() as stack:
        environment = {"OPENREMBG_DATA_DIR": str(folder / "operator")}
        database: TestDatabase
        redis = None
        if request.param == "sqlite":
            database = Sqlite(folder / "shared.db")
            put_tables(database.file)
        else:
            server = request.getfixturevalue("postgresql")
            database = PostgreSQL(server.port, f"wire_{next(serial)}")
            database.create()
            redis = stack.enter_context(redis_server(folder / "redis"))
            environment["REDIS_URL"] = f"redis://127.0.0.1:{redis.port}/0"
        environment["DATABASE_URL"] = database.url

        def start(*, may_die: bool = False, **more: str) -> Service:
            own = folder / f"server-{next(serial)}"
            settings = {**environment, "OPENREMBG_DATA_DIR": str(own), "OPENREMBG_THREADS": "1"}
            # Room for everybody who holds a credit: a full queue would answer 503, rightly.
            settings |= {"OPENREMBG_WORKERS": "1", "OPENREMBG_QUEUE": "300", **more}
            return stack.enter_context(openrembg_server(own, settings, may_die=may_die))

        yield House(database, environment, redis, start)


def count_rows(database: TestDatabase, table: str) -> int:
    """Ask the database itself, past our program."""
    query = f"SELECT count(*) FROM {table}"  # noqa: S608
    if isinstance(database, Sqlite):
        with closing(sqlite3.connect(database.file)) as connection:
            return int(connection.execute(query).fetchone()[0])
    with psycopg.connect(database.url) as connection:
        return int(connection.execute(query.encode()).fetchone()[0])  # type: ignore[index]


def usage(server: Service, key: str) -> dict[str, int]:
    """Ask GET /api/membership-usage."""
    request = urllib.request.Request(f"{server.url}/api/membership-usage")
    request.add_header("X-Api-Key", key)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


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


def test_what_a_killed_server_held_is_given_back_and_not_charged(house: House) -> None:
    key = house.member(1)
    victim = house.start(may_die=True, OPENREMBG_REQUEST_TIMEOUT_S="2")
    other = house.start(OPENREMBG_REQUEST_TIMEOUT_S="2")
    large = form(photo(picture("JPEG", 7000, 7000), "large.jpg"), field("format", "png"))
    with ExitStack() as stack:
        sender = threading.Thread(target=_ask_in_vain, args=(victim, large, key))
        sender.start()
        stack.callback(sender.join)
        wait_until(lambda: house.reservations() == 1)
        victim.process.kill()
    wait_until(lambda: house.reservations() == 0, 62)
    assert usage(other, key)["api_usage"] == 0
    answers = ask_at_once([other.port], 2, SMALL, {"X-Api-Key": key})
    assert statuses(answers) == {200: 1, 429: 1}
    house.admin("verify-ledger")


@pytest.mark.parametrize("house", ["postgresql"], indirect=True)
def test_a_flushed_redis_loses_nothing(house: House) -> None:
    assert house.redis is not None
    key = house.member(5)
    server = house.start()
    ask_at_once([server.port], 3, SMALL, {"X-Api-Key": key})
    before = usage(server, key)
    command(house.redis, "FLUSHALL")
    assert usage(server, key) == before
    assert before["api_usage"] == 3
    answers = ask_at_once([server.port], 4, SMALL, {"X-Api-Key": key})
    assert statuses(answers) == {200: 2, 429: 2}
    house.redis.process.kill()
    house.redis.process.wait()
    assert usage(server, key)["api_usage"] == 5
    assert statuses(ask_at_once([server.port], 1, SMALL, {"X-Api-Key": key})) == {429: 1}
    house.admin("verify-ledger")


def _ask_in_vain(server: Service, body: bytes, key: str) -> None:
    with pytest.raises((ConnectionError, EOFError)):
        ask_at_once([server.port], 1, body, {"X-Api-Key": key})


def command(redis: Service, *words: str) -> None:
    """Say something to Redis."""
    with Redis(port=redis.port) as connection:
        connection.execute_command(*words)


def wait_until(holds: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait for something to become true; fail when it does not."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
