"""A backup that was made while a server charged, restored where there is nothing else."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from mixed_load import assert_redis_agrees, mixed_load
from redis import Redis

from databases import Sqlite, TestDatabase
from forms import Answer, photo, post
from houses import House, house, new_postgresql, usage, wait_until
from pictures import picture
from services import Service, program

pytestmark = pytest.mark.wire

PHOTO = picture("JPEG", 320, 240)
# Credits that a dead server held come back soon.
SOON = {"OPENREMBG_REQUEST_TIMEOUT_S": "5"}
PAST = "UPDATE quota_delivery SET deadline = '2000-01-01 00:00:00'"


@dataclass(frozen=True, slots=True)
class Copied:
    """A backup, made as docs/operations.md says."""

    file: Path
    is_sqlite: bool

    def restore(self, into: TestDatabase) -> None:
        """Put it where a new server looks for its database."""
        if isinstance(into, Sqlite):
            shutil.copyfile(self.file, into.file)
            return
        words = ("--exit-on-error", "--no-owner", f"--dbname={into.url}", str(self.file))
        subprocess.run([program("pg_restore"), *words], check=True)


def back_up(home: House, file: Path) -> Copied:
    is_sqlite = isinstance(home.database, Sqlite)
    if is_sqlite:
        home.admin("backup", str(file))
    else:
        words = ("--format=custom", f"--file={file}", home.database.url)
        subprocess.run([program("pg_dump"), *words], check=True)
    return Copied(file, is_sqlite)


def new_place(request: pytest.FixtureRequest, kind: str, file: Path) -> TestDatabase:
    if kind == "sqlite":
        return Sqlite(file)
    return new_postgresql(request.getfixturevalue("postgresql"))


def let_deliveries_be_overdue(database: TestDatabase) -> None:
    """Let the minute pass in which a server that was sending would still say so."""
    if isinstance(database, Sqlite):
        with closing(sqlite3.connect(database.file)) as connection, connection:
            connection.execute(PAST)
        return
    with psycopg.connect(database.url) as connection:
        connection.execute(PAST.encode())


def cut_out(server: Service, key: str, order: str = "") -> Answer:
    headers = {"X-Api-Key": key} | ({"Idempotency-Key": order} if order else {})
    answer = post(server, photo(PHOTO, "a.jpg"), headers=headers)
    assert answer.status == 200, answer.body
    return answer


def charged(home: House, among: str) -> int:
    """Return how many charges the ledger has of a user, those that were given back left out."""
    entries = f"quota_ledgerentry WHERE user_id = {among} AND event"
    return home.rows(f"{entries} = 'charge'") - home.rows(f"{entries} = 'return'")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_backup_made_under_load_is_a_whole_house_again(
    request: pytest.FixtureRequest, tmp_path: Path, redis: Service, kind: str
) -> None:
    lost = new_place(request, kind, tmp_path / "lost.db")
    with house(tmp_path / "lost", lost, redis) as home:
        key, late = home.member(100_000), home.member(10)
        server = home.start(may_die=True, **SOON)
        with mixed_load([server], key, clients=4) as load:
            load.wait_for(8)
            before = cut_out(server, key, "before the backup")
            backup = back_up(home, tmp_path / "backup")
            after = cut_out(server, key, "after the backup")
            cut_out(server, late)
            load.wait_for(8)
            server.process.kill()
            server.process.wait()
        assert charged(home, "1") > 0

    found = new_place(request, kind, tmp_path / "found.db")
    with house(tmp_path / "found", found, redis) as home:
        backup.restore(found)
        home.admin("verify-ledger")
        let_deliveries_be_overdue(found)
        known = charged(home, "1")
        server = home.start(**SOON)
        # Redis tells of more than the database, which is believed.
        assert usage(server, key)["api_usage"] == known
        assert usage(server, late)["api_usage"] == 0
        again = cut_out(server, key, "before the backup")
        assert (again.body, again.headers["Idempotent-Replayed"]) == (before.body, "true")
        # What is not known any more is computed and charged once more: for the first time.
        anew = cut_out(server, key, "after the backup")
        assert (anew.body, anew.headers["X-Credits-Charged"]) == (after.body, "1")
        with Redis(port=redis.port) as client:
            client.flushdb()
        with mixed_load([server], key, clients=2) as load:
            load.wait_for(6)
        assert not load.unexpected()
        wait_until(lambda: home.reservations() == 0, 60)
        wait_until(lambda: home.undelivered() == 0, 120)
        home.admin("verify-ledger")
        assert_redis_agrees(home, redis)
        assert usage(server, key)["api_usage"] == charged(home, "1")
