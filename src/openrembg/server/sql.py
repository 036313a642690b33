"""Statements that every paid request runs, written as SQL.

Django takes longer to write a query than SQLite takes to answer it: some 0.3 ms each, a dozen of
them for one picture. Only the way of a paid request is written like this (decision 11); everything
else goes through the models, which own the tables and their constraints.
"""

import datetime as dt
import uuid
from typing import Any

from django.db import connection
from django.db.models import Model


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


def insert(row: Model) -> None:
    """Add a row of any model, as save(force_insert=True) without signals."""
    fields = [f for f in row._meta.local_concrete_fields if getattr(row, f.attname) is not None]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    places = ", ".join(["%s"] * len(fields))
    statement = f'INSERT INTO "{row._meta.db_table}" ({columns}) VALUES ({places})'  # noqa: S608
    values = [f.get_db_prep_save(getattr(row, f.attname), connection) for f in fields]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


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
