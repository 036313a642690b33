"""`openrembg admin backup`: a whole copy or none, whatever stands there and whoever writes."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from houses import new_postgresql
from services import Service, clean_environment, openrembg_admin


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an account."""
    folder = tmp_path_factory.mktemp("data")
    openrembg_admin({"OPENREMBG_DATA_DIR": str(folder)}, "create-user", "ada@example.com")
    return folder


def back_up(data: Path, file: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    return verb(data, "backup", str(file), **more)


def verb(data: Path, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "openrembg", "admin", *words],
        env={**clean_environment(), "OPENREMBG_DATA_DIR": str(data), **more},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_copy_replaces_an_older_one_while_somebody_writes(data: Path, tmp_path: Path) -> None:
    file, link = tmp_path / "copy.db", tmp_path / "link.db"
    link.symlink_to(file)
    assert back_up(data, link).returncode == 0
    # Of runs that were killed: no process has this number.
    for end in ("", "-wal", "-journal"):
        (tmp_path / f".copy.db.999999999.part{end}").touch()
    with closing(sqlite3.connect(data / "openrembg.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE accounts_user SET email = 'eve@example.com'")
        done = back_up(data, link)
        writer.execute("ROLLBACK")
    assert (done.returncode, done.stdout) == (0, "")
    assert "1 accounts match their ledger" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"copy.db", "link.db"}
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(file)) as copy:
        assert copy.execute("SELECT email FROM accounts_user").fetchall() == [("ada@example.com",)]


def test_a_copy_that_does_not_match_its_ledger_is_kept_and_said(data: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.mkdir(0o700)
    (wrong / "openrembg.db").write_bytes((data / "openrembg.db").read_bytes())
    with closing(sqlite3.connect(wrong / "openrembg.db")) as connection, connection:
        connection.execute("UPDATE quota_balance SET prepaid = 5")
    done = back_up(wrong, tmp_path / "copy.db")
    assert (done.returncode, "1 of 1 accounts do not match" in done.stderr) == (1, True)
    assert "ada@example.com" in done.stdout
    assert (tmp_path / "copy.db").exists()


def test_where_no_database_is_none_is_made_and_a_good_copy_stays(
    data: Path, tmp_path: Path
) -> None:
    nowhere, copy = tmp_path / "nowhere", tmp_path / "copy.db"
    assert back_up(data, copy).returncode == 0
    for words in (("backup", str(copy)), ("verify-ledger",), ("usage", "ada@example.com")):
        done = verb(nowhere, *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"There is no database at {nowhere}/openrembg.db." in done.stderr
    assert not (nowhere / "openrembg.db").exists()
    assert _emails(copy) == ["ada@example.com"]


def test_a_copy_with_accounts_is_not_replaced_by_one_without(data: Path, tmp_path: Path) -> None:
    empty, copy = tmp_path / "empty", tmp_path / "copy.db"
    openrembg_admin({"OPENREMBG_DATA_DIR": str(empty)}, "plans")
    assert back_up(empty, copy).returncode == 0
    assert back_up(data, copy).returncode == 0
    done = back_up(empty, copy)
    assert (done.returncode, "has 1 accounts" in done.stderr) == (1, True)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["copy.db"]
    assert _emails(copy) == ["ada@example.com"]


def test_another_releases_tables_are_copied_and_not_changed(data: Path, tmp_path: Path) -> None:
    older, copy = tmp_path / "older", tmp_path / "copy.db"
    shutil.copytree(data, older)
    with closing(sqlite3.connect(older / "openrembg.db")) as connection, connection:
        connection.execute("ALTER TABLE quota_balance DROP COLUMN head")
        connection.execute("DELETE FROM django_migrations WHERE app = 'quota'")
    done = back_up(older, copy)
    assert (done.returncode, "not the tables of this release" in done.stderr) == (1, True)
    assert _emails(copy) == ["ada@example.com"]
    for file in (copy, older / "openrembg.db"):
        with closing(sqlite3.connect(file)) as connection:
            rows = connection.execute("SELECT 1 FROM django_migrations WHERE app = 'quota'")
            assert rows.fetchall() == []


def test_a_copy_that_is_told_to_end_leaves_nothing_half(data: Path, tmp_path: Path) -> None:
    large, copies = tmp_path / "large", tmp_path / "copies"
    shutil.copytree(data, large)
    copies.mkdir()
    with closing(sqlite3.connect(large / "openrembg.db")) as connection, connection:
        connection.execute("CREATE TABLE load AS SELECT zeroblob(50000000) AS bytes")
    command = [sys.executable, "-m", "openrembg", "admin", "backup", str(copies / "copy.db")]
    environment = {**clean_environment(), "OPENREMBG_DATA_DIR": str(large)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        while process.poll() is None and not any(copies.iterdir()):
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    names = [path.name for path in copies.iterdir()]
    # It may have been done already.
    assert (process.returncode, names) in ((143, []), (0, ["copy.db"])), said
    assert b"Traceback" not in said


@pytest.mark.parametrize(
    "name",
    [
        *("openrembg.db", "openrembg.db-wal", "link", ".", "nowhere/copy.db"),
        *("secret_key", "used.db", "pipe", "loop"),
    ],
)
def test_what_cannot_be_the_copy_is_refused(data: Path, name: str) -> None:
    if name == "link":
        (data / "link").symlink_to(data / "openrembg.db-wal")
    if name == "secret_key":
        (data / name).write_text("a secret")
    if name == "loop":
        (data / name).symlink_to(data / name)
    if name == "pipe":
        os.mkfifo(data / name)
    if name == "used.db":
        shutil.copy(data / "openrembg.db", data / name)
        (data / "used.db-wal").write_text("what is not in the file yet")
    before = sorted(path.name for path in data.iterdir())
    done = back_up(data, data / name)
    assert done.returncode in (1, 2)
    assert re.match(r"openrembg: (\S+ (cannot|is)|The copy \S+ cannot be made: [A-Z])", done.stderr)
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in data.iterdir()) == before
    assert name != "secret_key" or (data / name).read_text() == "a secret"


def test_postgresql_is_left_to_its_own_tools(
    data: Path, tmp_path: Path, postgresql: Service
) -> None:
    database = new_postgresql(postgresql)
    database.create()
    done = back_up(data, tmp_path / "copy", DATABASE_URL=database.url)
    assert (done.returncode, "pg_dump" in done.stderr) == (1, True)
    done = verb(data, "verify-ledger", DATABASE_URL=database.url)
    assert (done.returncode, "no database of openrembg's" in done.stderr) == (1, True)


def _emails(file: Path) -> list[str]:
    with closing(sqlite3.connect(f"{file.as_uri()}?immutable=1", uri=True)) as copy:
        return [email for (email,) in copy.execute("SELECT email FROM accounts_user")]
