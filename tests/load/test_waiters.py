"""Requests that only wait for another one do not keep the rest of the world from being served."""

import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from benchmarks.holdings import holdings

from crowd import Seen, ask_at_once
from databases import Sqlite
from forms import form, photo, post, send
from houses import House, house, wait_until
from pictures import picture
from services import Service

pytestmark = pytest.mark.wire

WAITERS = 40  # more than the server has threads: 1 to compute, 2 for a queue, 8 to spare


def test_a_crowd_that_waits_for_one_answer_holds_nobody_up(tmp_path: Path) -> None:
    with house(tmp_path) as shared, ThreadPoolExecutor(1) as crowd:
        server = shared.start(OPENREMBG_QUEUE="2")
        ada = shared.member(10)
        assert retry(server, ada, 1)[0].status == 200
        threads = holdings(server.process.pid).threads
        change(shared, "UPDATE removal_storedanswer SET headers = NULL, expires_at = '9999-01-01'")
        waiting = crowd.submit(retry, server, ada, WAITERS)
        wait_until(lambda: holdings(server.process.pid).threads >= threads + WAITERS)
        assert send(server, "GET", "/health").status == 200
        assert post(server, photo(picture())).status == 200
        assert not waiting.done()
        change(shared, "DELETE FROM removal_storedanswer")
        answers = waiting.result()
        assert {answer.status for answer in answers} == {200}
        charged = Counter(answer.headers["x-credits-charged"] for answer in answers)
        assert charged == {"1": 1, "0": WAITERS - 1}
        wait_until(lambda: holdings(server.process.pid).threads <= threads)


def retry(server: Service, key: str, times: int) -> list[Seen]:
    """Send the same request under the same Idempotency-Key, all at once."""
    headers = {"X-Api-Key": key, "Idempotency-Key": "once"}
    return ask_at_once([server.port], times, form(photo(picture())), headers)


def change(shared: House, statement: str) -> None:
    """Change the kept answers behind the server's back."""
    assert isinstance(shared.database, Sqlite)
    with closing(sqlite3.connect(shared.database.file, isolation_level=None)) as connection:
        connection.execute(statement)
