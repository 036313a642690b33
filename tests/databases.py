"""The databases that the same tests run on: a SQLite file and a PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

import psycopg
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.models import Model

from openrembg.server.billing.models import CreditPack, Plan
from openrembg.server.environment import DATABASE

# What the migrations put there, and what Django keeps about itself.
KEPT: Final = (
    *("django_migrations", "django_content_type", "auth_permission"),
    *("billing_plan", "billing_creditpack"),
)
PLANS: Final = {"Free": 50, "Basic-1000": 1000, "Pro-5000": 5000, "Premium-20000": 20000}
PACKS: Final = {"100 credits": 100, "1,000 credits": 1000, "10,000 credits": 10_000}
NOT_SOLD: Final = {"price_cents": None, "currency": "", "stripe_price_id": None}


class TestDatabase(Protocol):
    """Where a database is."""

    __test__ = False

    @property
    def url(self) -> str:
        """What DATABASE_URL says."""

    def create(self) -> None:
        """Make the empty database."""


@dataclass(frozen=True, slots=True)
class Sqlite:
    """A file."""

    file: Path

    @property
    def url(self) -> str:
        """What DATABASE_URL says."""
        return f"sqlite:///{self.file}"

    def create(self) -> None:
        """Do nothing: the first connection makes it."""


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A database of a server of ours."""

    port: int
    name: str

    @property
    def url(self) -> str:
        """What DATABASE_URL says."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{self.name}"

    def create(self) -> None:
        """Make it."""
        where = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"
        with psycopg.connect(where, autocommit=True) as maker:
            maker.execute(f'CREATE DATABASE "{self.name}"'.encode())


# Of the databases that this process has made, by address.
_made: set[str] = set()


@contextmanager
def connected_to(database: TestDatabase) -> Iterator[None]:
    """Let Django in this process use a database, with its tables made the first time."""
    is_new = database.url not in _made
    if is_new:
        database.create()
        _made.add(database.url)
    before = dict(connections.settings["default"])
    _use(DATABASE[1](database.url))  # type: ignore[arg-type]
    if is_new:
        call_command("migrate", interactive=False, verbosity=0)
    try:
        yield
    finally:
        connections["default"].close()
        _use(before)


def emptied() -> None:
    """Delete what a test left in the tables; there are no rows in most of them."""
    assert connection.get_autocommit(), "a test left a transaction open"
    filled = _with_rows(_tables(str(connection.settings_dict["NAME"])))
    if filled:
        with connection.constraint_checks_disabled(), transaction.atomic():
            _delete(filled)
    _restore_offers()


def fresh(row: Model) -> Any:
    """Return a row as the database has it now."""
    return type(row)._default_manager.get(pk=row.pk)


def _use(settings: dict[str, Any]) -> None:
    connections.settings["default"] = connections.configure_settings({"default": settings})[
        "default"
    ]
    if hasattr(connections._connections, "default"):  # type: ignore[attr-defined]
        connections["default"].close()
        del connections["default"]


def _restore_offers() -> None:
    plans = {
        label: {"credits": credits_, "per_minute": 20 if label == "Free" else 300}
        for label, credits_ in PLANS.items()
    }
    _restore(Plan, {label: {**facts, "interval": "month"} for label, facts in plans.items()})
    _restore(CreditPack, {label: {"credits": credits_} for label, credits_ in PACKS.items()})


def _restore(model: type[Plan | CreditPack], offers: dict[str, dict[str, Any]]) -> None:
    rows = model._default_manager
    found = {row["label"]: row for row in rows.values()}
    if found.keys() - offers.keys():
        rows.exclude(label__in=offers).delete()
    for label, facts in offers.items():
        wanted = facts | NOT_SOLD
        if label not in found or any(found[label][name] != wanted[name] for name in wanted):
            rows.update_or_create(label=label, defaults=wanted)


@cache
def _tables(_database: str) -> list[str]:
    return [name for name in connection.introspection.table_names() if name not in KEPT]


def _with_rows(tables: list[str]) -> list[str]:
    """Return those of the tables that are not empty: one question for all of them."""
    asked = (f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM \"{name}\")" for name in tables)  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(asked))
        return [name for (name,) in cursor.fetchall()]


def _delete(tables: list[str]) -> None:
    # A TRUNCATE makes files anew, which takes PostgreSQL ten times as long for a few rows.
    statements = [f'DELETE FROM "{name}"' for name in tables]  # noqa: S608
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            statements = ["; ".join(["SET LOCAL session_replication_role = replica", *statements])]
        for statement in statements:
            cursor.execute(statement)
