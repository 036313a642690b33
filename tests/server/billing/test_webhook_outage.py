"""A database that fails in the middle of an event: nothing of it stays, and the retry counts."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
import time_machine
from django.db import connection
from rmbg_client import error_of
from webhook_client import NOW, SECRET, THIRD, Buyer, buyer, deliver, plans, prepaid, told, whole

from databases import Sqlite, TestDatabase
from openrembg.server.billing.models import Checkout, Customer, StripeEvent, Subscription
from openrembg.server.quota.models import LedgerEntry

Furnish = Callable[..., object]


@pytest.fixture(autouse=True)
def webhooks(furnish: Furnish) -> Iterator[None]:
    furnish(stripe_webhook_secret=SECRET)
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def ada(database: TestDatabase) -> Buyer:
    plans()
    return buyer(linked=False)


@contextmanager
def stuck(database: TestDatabase, one: Buyer) -> Iterator[None]:
    """Let somebody else hold what an event needs at its end, and nobody wait long for it."""
    if isinstance(database, Sqlite):
        with closing(sqlite3.connect(database.file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with impatient("PRAGMA busy_timeout = 50", "PRAGMA busy_timeout = 5000"):
                yield
            other.execute("ROLLBACK")
        return
    with psycopg.connect(database.url) as holder:
        holder.execute(b"SELECT * FROM quota_balance WHERE user_id = %s FOR UPDATE", (one.id,))
        with impatient("SET lock_timeout = 50", "SET lock_timeout = 0"):
            yield
        holder.rollback()


@contextmanager
def impatient(statement: str, undo: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
    yield
    with connection.cursor() as cursor:
        cursor.execute(undo)


def test_what_failed_halfway_left_nothing_and_the_retry_takes_effect(
    database: TestDatabase, ada: Buyer
) -> None:
    told(ada.linked())
    kept = [model.objects.count() for model in (StripeEvent, Checkout, Customer, Subscription)]
    events = [ada.bought(), ada.stripe.subscription_created(ada.sub(), created=THIRD)]
    with stuck(database, ada):
        for event in events:
            answer = deliver(event)
            assert answer.status_code == 503, answer.content
            assert set(error_of(answer)) == {"error", "status"}
    assert kept == [
        model.objects.count() for model in (StripeEvent, Checkout, Customer, Subscription)
    ]
    assert (prepaid(ada), LedgerEntry.objects.count()) == (0, 0)
    told(*events, *events)
    assert (prepaid(ada), ada.who.balance().plan.label) == (100, "Basic")
    whole()
