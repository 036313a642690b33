"""A picture is delivered and charged once, or not charged: servers die, lines break."""

import contextlib
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest
from lost_commit import LostCommit, lost_commit

from crowd import ask_at_once
from databases import Sqlite
from forms import FORM, field, form, photo, post
from houses import House, house, house_on, new_postgresql, usage, wait_until
from pictures import picture
from services import HOST, Service

pytestmark = pytest.mark.wire

SMALL = form(photo(picture("JPEG"), "photo.jpg"))
# An answer of 17 MB: more than the kernel keeps for a client that does not read.
LARGE = form(photo(picture("JPEG", 2400, 2400), "photo.jpg"), field("format", "bmp"))
OVERDUE = "UPDATE quota_delivery SET deadline = '2000-01-01 00:00:00+00:00'"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """SQLite with nothing else, then PostgreSQL with Redis."""
    with house_on(request, tmp_path_factory.mktemp("house")) as built:
        yield built


@pytest.fixture(scope="module")
def server(home: House) -> Service:
    """A server that lives."""
    return home.start()


@contextlib.contextmanager
def reading_slowly(server: Service, key: str) -> Iterator[socket.socket]:
    """Ask for a large picture, and read the beginning of the answer."""
    with socket.socket() as client:
        client.settimeout(60)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        client.connect((HOST, server.port))
        lines = (
            "POST /rmbg HTTP/1.1",
            f"Host: {HOST}",
            f"Content-Type: {FORM}",
            f"X-Api-Key: {key}",
        )
        head = "\r\n".join((*lines, f"Content-Length: {len(LARGE)}", "", "")).encode()
        client.sendall(head + LARGE)
        assert b"X-Credits-Charged: 1" in client.recv(4096)
        yield client


def change(home: House, statement: str) -> None:
    """Say something to the database itself, past our program."""
    if isinstance(home.database, Sqlite):
        with closing(sqlite3.connect(home.database.file, timeout=30)) as connection, connection:
            connection.execute(statement)
        return
    with psycopg.connect(home.database.url) as connection:
        connection.execute(statement.encode())


def undelivered(home: House) -> int:
    """Return how many charges wait for their picture to be sent."""
    return home.rows("quota_delivery")


def used(server: Service, key: str) -> int:
    """Return how many credits were used."""
    return usage(server, key)["api_usage"]


def test_what_a_killed_server_did_not_send_to_the_end_is_not_charged(
    home: House, server: Service
) -> None:
    key, victim = home.member(1), home.start(may_die=True)
    with reading_slowly(victim, key):
        assert undelivered(home) == 1
        assert used(server, key) == 1
        victim.process.kill()
        victim.process.wait()
    change(home, OVERDUE)
    # Overdue at the first look; not before a second one is it a dead server's.
    assert post(server, photo(picture("JPEG")), headers={"X-Api-Key": key}).status == 429
    home.admin("verify-ledger")
    wait_until(lambda: undelivered(home) == 0, 60)
    answers = ask_at_once([server.port], 3, SMALL, {"X-Api-Key": key})
    assert sorted(answer.status for answer in answers) == [200, 429, 429]
    wait_until(lambda: undelivered(home) == 0)
    assert used(server, key) == 1
    home.admin("verify-ledger")


def test_who_leaves_in_the_middle_has_paid(home: House, server: Service) -> None:
    key = home.member(3)
    with reading_slowly(server, key):
        assert undelivered(home) == 1
    wait_until(lambda: undelivered(home) == 0)
    assert used(server, key) == 1
    home.admin("verify-ledger")


@pytest.fixture(scope="module")
def breaking(
    postgresql: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LostCommit, House, Service]]:
    """A server whose line to PostgreSQL can lose the answer to a COMMIT."""
    folder = tmp_path_factory.mktemp("breaking")
    with lost_commit(postgresql.port) as line:
        database = replace(new_postgresql(postgresql), port=line.port)
        with house(folder, database) as built:
            yield line, built, built.start()


@pytest.mark.parametrize("order", [None, "an order"])
def test_a_commit_whose_answer_was_lost_is_charged_for_a_kept_picture_alone(
    breaking: tuple[LostCommit, House, Service], order: str | None
) -> None:
    line, home, server = breaking
    key = home.member(5)
    headers = {"X-Api-Key": key, **({"Idempotency-Key": order} if order else {})}
    line.lose()
    answer = post(server, photo(picture("JPEG")), headers=headers)
    assert line.lost.is_set()
    assert (answer.status, answer.headers["X-Credits-Charged"]) == (503, "0")
    # A kept answer is its user's: the retry gets it, for nothing.
    wait_until(lambda: used(server, key) == (1 if order else 0))
    again = post(server, photo(picture("JPEG")), headers=headers)
    assert (again.status, again.headers["X-Credits-Charged"]) == (200, "0" if order else "1")
    wait_until(lambda: undelivered(home) == 0)
    assert used(server, key) == 1
    assert home.reservations() == 0
    home.admin("verify-ledger")
