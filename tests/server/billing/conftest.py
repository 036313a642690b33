import pytest
from django.db import connection

from databases import TestDatabase
from fakes.stripe_events import BASIL, OLD, Shape


@pytest.fixture
def shape(database: TestDatabase) -> Shape:
    """The older shape with SQLite, the newer one with PostgreSQL: each test sees both."""
    return OLD if connection.vendor == "sqlite" else BASIL
