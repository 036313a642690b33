from collections.abc import Callable, Iterator

import pytest
import time_machine
from django.db import connection
from webhook_client import NOW, SECRET

from databases import TestDatabase
from fakes.stripe_events import BASIL, OLD, Shape


@pytest.fixture
def shape(database: TestDatabase) -> Shape:
    """The older shape with SQLite, the newer one with PostgreSQL: each test sees both."""
    return OLD if connection.vendor == "sqlite" else BASIL


@pytest.fixture
def webhooks(furnish: Callable[..., object]) -> Iterator[None]:
    """A server that takes webhooks, a day after the third period began; its clock stands still."""
    furnish(stripe_webhook_secret=SECRET)
    with time_machine.travel(NOW, tick=False):
        yield
