"""Statements that every paid request runs, written as SQL.

Django takes longer to write a query than SQLite takes to answer it: some 0.3 ms each, a dozen of
them for one picture. Only the way of a paid request is written like this (decision 11); everything
else goes through the models, which own the tables and their constraints.
"""

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from django.db import connection
from django.db.models import Model

Statement = tuple[str, list[Any]]

_WAITING: Final[ContextVar[list[Statement] | None]] = ContextVar("waiting", default=None)


def run(statement: str, *values: object) -> int:
    """Run a statement and return how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, [_told(value) for value in values])
        return int(cursor.rowcount)


def first(statement: str, *values: object) -> tuple[Any, ...] | None:
    """Run a query and return its first row."""
    with connection.cursor() as cursor:
        cursor.execute(statement, [_told(value) for value in values])
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def insert(row: Model, if_there: str = "", *values: object) -> None:
    """Add a row of any model, as save(force_insert=True) without signals.

    if_there: what to do instead when there is such a row, as `ON CONFLICT …`, and its values.
    """
    fields = [f for f in row._meta.local_concrete_fields if getattr(row, f.attname) is not None]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    places = ", ".join(["%s"] * len(fields))
    statement = f'INSERT INTO "{row._meta.db_table}" ({columns}) VALUES ({places}) {if_there}'  # noqa: S608
    told = [f.get_db_prep_save(getattr(row, f.attname), connection) for f in fields]
    send(statement, *told, *values)


def send(statement: str, *values: object) -> None:
    """Run a statement whose result nobody needs; within `combined`, together with others."""
    told = [_told(value) for value in values]
    waiting = _WAITING.get()
    if waiting is not None:
        waiting.append((statement, told))
        return
    with connection.cursor() as cursor:
        cursor.execute(statement, told)


@contextmanager
def combined() -> Iterator[None]:
    """Let the block's `send` and `insert` reach PostgreSQL as one statement, when the block ends.

    Each way there and back costs as much as the work. No two of them may change the same row, and
    PostgreSQL runs them in whatever order it likes: that must not matter, for locks neither.
    """
    if connection.vendor != "postgresql":
        yield
        return
    waiting: list[Statement] = []
    token = _WAITING.set(waiting)
    try:
        yield
    finally:
        _WAITING.reset(token)
    *before, (last, _) = waiting
    parts = ", ".join(f"s{number} AS ({one})" for number, (one, _) in enumerate(before))
    send(f"WITH {parts} {last}" if before else last, *(v for _, told in waiting for v in told))


def locking() -> str:
    """Return what makes a SELECT lock the rows of `b`; SQLite has locked the whole file before."""
    return " FOR UPDATE OF b" if connection.features.has_select_for_update else ""


def _told(value: Any) -> Any:
    """Return a value as the database's driver wants to have it."""
    if isinstance(value, dt.datetime):
        return connection.ops.adapt_datetimefield_value(value)
    if isinstance(value, dt.date):
        return connection.ops.adapt_datefield_value(value)
    if isinstance(value, uuid.UUID) and not connection.features.has_native_uuid_field:
        return value.hex
    return value
