"""What /ready finds out of the database when something has gone wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from openrembg.server.database import note_trouble, trouble

pytestmark = pytest.mark.usefixtures("database")

UNWRITABLE = {
    "sqlite": "PRAGMA query_only = {}",
    "postgresql": "SET default_transaction_read_only = {}",
}


@contextmanager
def unwritable() -> Iterator[None]:
    """Let nothing be written on this thread's connection."""
    setting = UNWRITABLE[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(setting.format("on"))
        try:
            yield
        finally:
            cursor.execute(setting.format("off"))


def test_whether_rows_can_be_written_is_tried_only_after_trouble() -> None:
    trouble()  # forgets what went wrong in other tests
    with unwritable():
        assert trouble() == ""
        note_trouble()
        assert trouble() == trouble() == "The database cannot be written to."
    assert trouble() == ""
    with unwritable():
        assert trouble() == ""
