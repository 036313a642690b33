import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from databases import PostgreSQL
from services import NotStarted, Service, clean_environment

PREPARE = """
import django
django.setup()
from openrembg.server.database import prepare
prepare()
"""


def prepare(tmp_path: Path, **environ: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE],
        env={
            **clean_environment(),
            "DJANGO_SETTINGS_MODULE": "openrembg.server.settings",
            "OPENREMBG_DATA_DIR": str(tmp_path / "data"),
            **environ,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_servers_that_start_at_once_make_the_tables_once(tmp_path: Path) -> None:
    running = [prepare(tmp_path) for _ in range(3)]
    said = [one.communicate(timeout=120)[1] for one in running]
    assert [one.returncode for one in running] == [0, 0, 0], said
    assert sum("tables are up to date" in text for text in said) == 1
    with closing(sqlite3.connect(tmp_path / "data" / "openrembg.db")) as connection:
        assert connection.execute("SELECT count(*) FROM billing_plan").fetchone() == (4,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_database_in_an_open_folder_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    one = prepare(tmp_path)
    _, said = one.communicate(timeout=120)
    assert one.returncode == 0, said
    assert (tmp_path / "data" / "openrembg.db").stat().st_mode & 0o777 == 0o600


def test_servers_that_start_at_once_on_postgresql_do_too(
    tmp_path: Path, postgresql: Service
) -> None:
    database = PostgreSQL(postgresql.port, "prepared_at_once")
    database.create()
    running = [prepare(tmp_path / str(n), DATABASE_URL=database.url) for n in range(3)]
    said = [one.communicate(timeout=120)[1] for one in running]
    assert [one.returncode for one in running] == [0, 0, 0], said
    assert sum("tables are up to date" in text for text in said) == 1


def test_a_database_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    for url in (
        "postgresql://ada:geheim@127.0.0.1:9/none",
        f"sqlite:///{tmp_path}/no/such/folder/openrembg.db",
    ):
        said = refusal(tmp_path, url)
        assert said.startswith("The database cannot be used: ")
        assert said.count("\n") == 1
        assert "geheim" not in said
        assert "Traceback" not in said


def refusal(tmp_path: Path, url: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "openrembg", "serve", "--port", "18999"],
        env={**clean_environment(), "OPENREMBG_DATA_DIR": str(tmp_path), "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, NotStarted(done.stderr)
    return done.stderr
