"""Real services that more than one test talks to; each is started when it is first asked for."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker
from pytest_django.fixtures import Settings as DjangoSettings

from databases import PostgreSQL, Sqlite, TestDatabase, connected_to, emptied
from openrembg.server import settings as server_settings
from services import (
    NO_LIMITS,
    Service,
    StartServer,
    localstripe_server,
    openrembg_server,
    postgresql_server,
    redis_server,
)

# Else each process of a test compiles all our modules anew: a fifth of a second for a server.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Whole files of them take minutes.
SLOW = ("wire", "browser")
QUICK_HASHER = "django.contrib.auth.hashers.MD5PasswordHasher"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow files, so that no process is alone with one of them in the end."""
    items.sort(key=lambda item: not any(item.get_closest_marker(name) for name in SLOW))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Our server without limits."""
    with openrembg_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """A function that starts a server of the test's own: start_server(NAME="value", …)."""
    with ExitStack() as stack:
        count = 0

        def start(**environment: str) -> Service:
            nonlocal count
            count += 1
            folder = tmp_path / f"server-{count}"
            return stack.enter_context(openrembg_server(folder, {**NO_LIMITS, **environment}))

        yield start


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Service]:
    """A Redis of the test's own, which the test may kill."""
    with redis_server(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def localstripe(tmp_path: Path) -> Iterator[Service]:
    """A localstripe of the test's own: a Stripe that is a process here."""
    with localstripe_server(tmp_path / "localstripe") as running:
        yield running


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A PostgreSQL that all tests share; each has a database of its own in it."""
    with postgresql_server(tmp_path_factory.mktemp("postgresql")) as running:
        yield running


@pytest.fixture(scope="session")
def sqlite_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the SQLite database is that all tests of a process share."""
    return tmp_path_factory.mktemp("sqlite")


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def prepared_database(
    request: pytest.FixtureRequest, sqlite_folder: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[TestDatabase]:
    """A database with tables, for Django in this process; on SQLite, then on PostgreSQL."""
    kind: TestDatabase
    if request.param == "sqlite":
        kind = Sqlite(sqlite_folder / "test.db")
    else:
        kind = PostgreSQL(request.getfixturevalue("postgresql").port, "in_process")
    with django_db_blocker.unblock(), connected_to(kind):
        yield kind


@pytest.fixture
def database(
    prepared_database: TestDatabase,
    django_db_blocker: DjangoDbBlocker,
    settings: DjangoSettings,
) -> Iterator[TestDatabase]:
    """The database with nothing but what the migrations put there; for any thread, for real.

    Passwords are hashed fast, but where a test asks for `real_passwords`.
    """
    settings.PASSWORD_HASHERS = [QUICK_HASHER, *server_settings.PASSWORD_HASHERS]
    with django_db_blocker.unblock():
        yield prepared_database
        emptied()


@pytest.fixture
def real_passwords(database: TestDatabase, settings: DjangoSettings) -> None:
    """Passwords hashed as the server hashes them, which takes a tenth of a second each."""
    settings.PASSWORD_HASHERS = server_settings.PASSWORD_HASHERS
