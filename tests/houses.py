"""A database, perhaps a Redis, and as many servers on them as a test wants."""

import itertools
import json
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from databases import PostgreSQL, Sqlite, TestDatabase
from services import Service, openrembg_admin, openrembg_server, put_tables, redis_server

serial = itertools.count(1)
# How SQLite is asked where only another process can.
_ASK = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone())"


@dataclass(frozen=True, slots=True)
class House:
    """A database, and how servers and operators reach it. redis: None where there is none.

    within: the words of a program that every other program of the house is run by.
    """

    database: TestDatabase
    environment: dict[str, str]
    redis: Service | None
    start: Callable[..., Service]
    within: Sequence[str] = ()

    def admin(self, *words: str) -> str:
        """Run an operator's command."""
        return openrembg_admin(self.environment, *words, within=self.within)

    def member(self, included: int, prepaid: int = 0) -> str:
        """Make a verified user with so many credits, who is never too fast; return a key."""
        email = f"user{next(serial)}@example.com"
        self.admin("plan", email, "--credits", str(included), "--per-minute", "1000000")
        words = ["--prepaid", str(prepaid)] if prepaid else []
        self.admin("create-user", email, "--verified", "--plan", email, *words)
        return self.admin("create-key", email)

    def rows(self, table: str) -> int:
        """Return how many rows a table has; asks the database itself, past our program."""
        query = f"SELECT count(*) FROM {table}"  # noqa: S608
        if isinstance(self.database, Sqlite):
            if self.within:
                return self._asked_within(self.database.file, query)
            with closing(sqlite3.connect(self.database.file)) as connection:
                return int(connection.execute(query).fetchone()[0])
        with psycopg.connect(self.database.url) as connection:
            return int(connection.execute(query.encode()).fetchone()[0])  # type: ignore[index]

    def _asked_within(self, file: Path, query: str) -> int:
        command = [*self.within, sys.executable, "-I", "-S", "-c", _ASK, str(file), query]
        return int(subprocess.check_output(command))

    def reservations(self) -> int:
        """Return how many credits are held."""
        return self.rows("quota_reservation")

    def undelivered(self) -> int:
        """Return how many charged pictures are not known to have been sent."""
        return self.rows("quota_delivery")

    def let_deadlines_pass(self) -> None:
        """Let what dead servers were sending be overdue, as it is a minute after their end."""
        assert isinstance(self.database, Sqlite)
        with closing(sqlite3.connect(self.database.file, timeout=30)) as connection, connection:
            connection.execute("UPDATE quota_delivery SET deadline = '2000-01-01 00:00:00'")


@contextmanager
def house(
    folder: Path,
    database: TestDatabase | None = None,
    redis: Service | None = None,
    within: Sequence[str] = (),
) -> Iterator[House]:
    """Build a house with a database, by default a SQLite file; it ends with all of its servers.

    within: the words of a program that runs those of the house; a SQLite file has its tables then.
    """
    with ExitStack() as stack:
        environment = {"OPENREMBG_DATA_DIR": str(folder / "operator")}
        where = Sqlite(folder / "shared.db") if database is None else database
        if not isinstance(where, Sqlite):
            where.create()
        elif not within:
            put_tables(where.file)
        if redis is not None:
            environment["REDIS_URL"] = f"redis://127.0.0.1:{redis.port}/0"
        environment["DATABASE_URL"] = where.url

        def start(
            *,
            may_die: bool = False,
            port: int | None = None,
            within: Sequence[str] = within,
            status: str = "ready",
            **more: str,
        ) -> Service:
            own = folder / f"server-{next(serial)}"
            settings = {**environment, "OPENREMBG_DATA_DIR": str(own), "OPENREMBG_THREADS": "1"}
            # Room for everybody who holds a credit: a full queue would answer 503, rightly.
            settings |= {"OPENREMBG_WORKERS": "1", "OPENREMBG_QUEUE": "300", **more}
            server = openrembg_server(
                own, settings, may_die=may_die, port=port, within=within, status=status
            )
            return stack.enter_context(server)

        yield House(where, environment, redis, start, within)


@contextmanager
def house_on(request: pytest.FixtureRequest, folder: Path) -> Iterator[House]:
    """Build what a fixture's parameter names: `sqlite` alone, or `postgresql` with a Redis."""
    if request.param == "sqlite":
        with house(folder) as built:
            yield built
        return
    database = new_postgresql(request.getfixturevalue("postgresql"))
    with redis_server(folder / "redis") as redis, house(folder, database, redis) as built:
        yield built


def new_postgresql(server: Service) -> PostgreSQL:
    """Return a database of its own in a running PostgreSQL, to be made."""
    return PostgreSQL(server.port, f"wire_{next(serial)}")


def usage(server: Service, key: str, query: str = "") -> dict[str, int]:
    """Ask GET /api/membership-usage; a query begins with its question mark."""
    request = urllib.request.Request(f"{server.url}/api/membership-usage{query}")
    request.add_header("X-Api-Key", key)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


def wait_until(holds: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait for something to become true; fail when it does not."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
