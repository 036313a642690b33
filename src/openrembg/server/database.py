"""The database: its tables are made when they are missing, its connections are given back early."""

import fcntl
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.management import call_command
from django.db import (
    DEFAULT_DB_ALIAS,
    Error,
    InterfaceError,
    InternalError,
    OperationalError,
    connections,
)
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.migrations.executor import MigrationExecutor

from openrembg.server.environment import DatabaseUnusable
from openrembg.server.observability.metrics import count_database_trouble
from openrembg.server.settings import Settings

# Any number will do, as long as all servers take the same.
_LOCK: Final = 0x6F72656D6267
CONNECT_TIMEOUT_S: Final = 5
# They read and write a page of the database itself, and change nothing that anybody looks at.
_READ: Final = "SELECT id FROM django_migrations LIMIT 1"
_WRITE: Final = {
    "postgresql": "UPDATE django_migrations SET app = app WHERE id IN (SELECT min(id) FROM "
    "django_migrations)",
    # SQLite leaves out a change that is none.
    "sqlite": "PRAGMA user_version = 1",
}

logger = logging.getLogger("openrembg.database")

_went_wrong: Final = threading.Event()


def prepare() -> None:
    """Make or change the tables as this version needs them; of several processes, one does it.

    Raises DatabaseUnusable when the database does not answer.
    """
    chosen: Settings = settings.OPENREMBG
    try:
        chosen.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        _keep_private(chosen)
        _try_to_connect(chosen)
        with _alone(chosen):
            if _is_behind():
                call_command("migrate", interactive=False, verbosity=0)
                logger.info("The database's tables are up to date")
    except (Error, InconsistentMigrationHistory, OSError) as error:
        raise _unusable(error) from error


def limit_waits() -> None:
    """Let no request wait for PostgreSQL for ever: for servers, once the tables are made."""
    chosen: Settings = settings.OPENREMBG
    if chosen.has_postgresql:
        # Not before: it loads what SQLite does without.
        from openrembg.server.postgresql import patience

        patience.limit_waits()
        connections[DEFAULT_DB_ALIAS].close()
        connections[DEFAULT_DB_ALIAS].close_pool()  # type: ignore[attr-defined]


def trouble() -> str:
    """Return in one sentence why the database is of no use now, or nothing.

    Whether rows can be written is looked at only after something went wrong, until they can.
    """
    if not _runs(_READ):
        return "The database does not answer."
    if _went_wrong.is_set() and not _runs(_WRITE[connections[DEFAULT_DB_ALIAS].vendor]):
        return "The database cannot be written to."
    _went_wrong.clear()
    return ""


def note_trouble() -> None:
    """Let `trouble` look closely: something could not be done because of the database."""
    _went_wrong.set()
    count_database_trouble()


def is_trouble(error: Exception) -> bool:
    """Return whether an error is the database's trouble, not a mistake of ours."""
    if isinstance(error, InternalError):
        # It can only be read now, or something inside it is broken.
        return str(getattr(error.__cause__, "sqlstate", "")).startswith(("25006", "XX"))
    return isinstance(error, OperationalError | InterfaceError)


def reason(error: Exception) -> str:
    """Return the first line of what a driver says, for the log."""
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def give_back_connection() -> None:
    """Let others have this thread's connection while it waits for something.

    PostgreSQL's connections are few; a SQLite file's is the thread's own and stays.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()


def _keep_private(chosen: Settings) -> None:
    """Make the SQLite file readable by its owner alone, as SQLite then makes those beside it."""
    if chosen.has_postgresql:
        return
    with suppress(OSError):  # SQLite will say what is wrong with it.
        Path(str(chosen.database["NAME"])).touch(0o600)


def _try_to_connect(chosen: Settings) -> None:
    """Ask PostgreSQL without the pool, which would hide why it does not answer."""
    if not chosen.has_postgresql:
        return
    # Not before: with SQLite nobody needs it, and it takes its time to load.
    import psycopg

    parameters = connections[DEFAULT_DB_ALIAS].get_connection_params()
    try:
        psycopg.connect(**{**parameters, "connect_timeout": CONNECT_TIMEOUT_S}).close()
    except psycopg.Error as error:
        raise _unusable(error) from error


def _is_behind() -> bool:
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


@contextmanager
def _alone(chosen: Settings) -> Iterator[None]:
    if not chosen.has_postgresql:
        with (chosen.data_dir / "migrate.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        return
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _runs(statement: str) -> bool:
    try:
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute(statement)
    except Error:
        return False
    return True


def _unusable(error: Exception) -> DatabaseUnusable:
    return DatabaseUnusable(f"The database cannot be used: {reason(error)}.")
