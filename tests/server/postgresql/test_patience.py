"""A PostgreSQL behind a line that stands still. Both are real here."""

import time

import psycopg
import pytest

from openrembg.server.postgresql import patience
from openrembg.server.postgresql.patience import BREAKER, Connection
from services import Service
from slow_line import slow_line


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_answer_s", 0.5)


def connect(port: int) -> Connection:
    where = f"host=127.0.0.1 port={port} user=postgres dbname=postgres connect_timeout=5"
    return Connection.connect(where, autocommit=True)


def test_a_connection_without_an_answer_is_given_up_and_closed(postgresql: Service) -> None:
    with slow_line(postgresql.port) as line:
        connection = connect(line.port)
        assert connection.execute("SELECT 1").fetchone() == (1,)
        line.stand_still()
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 2")
        assert connection.closed
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 3")
        assert time.monotonic() - began < 5
        assert BREAKER.is_away
        BREAKER.worked()


def test_what_takes_long_is_ended_by_postgresql_and_the_connection_stays(
    postgresql: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_answer_s", 60)
    monkeypatch.setattr(patience, "STATEMENT_S", 1)
    with connect(postgresql.port) as connection:
        patience.begin(connection)
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(30)")
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_commands_of_operators_wait_as_long_as_it_takes(
    postgresql: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_answer_s", None)
    with connect(postgresql.port) as connection:
        patience.begin(connection)
        assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)
