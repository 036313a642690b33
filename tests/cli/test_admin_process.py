"""`openrembg admin` as a real process: what an operator's shell, cron and pipes get."""

import os
import pty
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from cli_photos import Run, environment, heavy_modules

from databases import PostgreSQL
from services import Service, StartServer, free_port, put_tables

PASSWORD = "three blind mice run"


def lines(text: bytes) -> list[str]:
    return text.decode().splitlines()


@pytest.fixture
def tables(tmp_path: Path) -> None:
    """The tables are there already: making them takes most of a first call's time."""
    put_tables(tmp_path / "data-folder" / "openrembg.db")


def made(openrembg: Run, email: str = "ada@example.com", **settings: str) -> None:
    ended = openrembg("admin", "create-user", email, **settings)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("arguments", [["admin", "--help"], ["admin", "create-user", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert heavy_modules(arguments) == b"[]\n"


def test_the_first_call_makes_the_database_and_says_nothing_but_its_own(openrembg: Run) -> None:
    ended = openrembg("admin", "create-user", "ada@example.com", "--password", PASSWORD)
    assert (ended.returncode, ended.stdout) == (0, b"")
    assert lines(ended.stderr) == ["ada@example.com is user 1."]
    ended = openrembg("admin", "create-key", "ada@example.com")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.startswith(b"orbk_")
    assert ended.stdout.count(b"\n") == 1


@pytest.mark.usefixtures("tables")
def test_a_verb_loads_neither_the_model_nor_pages_nor_what_others_store_in(tmp_path: Path) -> None:
    unused = ("cv2", "openvino", "onnxruntime", "ninja", "psycopg", "redis")
    unused += ("openrembg.server.urls", "openrembg.server.billing.admin")
    probe = (
        "import sys, contextlib\n"
        "from openrembg.cli import main\n"
        "sys.argv = ['openrembg', 'admin', 'create-user', 'ada@example.com']\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main()\n"
        f"print([name for name in {unused!r} if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, env=environment(tmp_path), check=True
    )
    assert lines(ended.stdout)[-1] == "[]"


def test_another_data_folder_is_named_before_the_verb(openrembg: Run, tmp_path: Path) -> None:
    folder = str(tmp_path / "other")
    for arguments in (("create-user", "ada@example.com"), ("create-key", "ada@example.com")):
        assert openrembg("admin", "--data-dir", folder, *arguments).returncode == 0
    assert b"There is no database at" in openrembg("admin", "usage", "ada@example.com").stderr
    assert (tmp_path / "other" / "openrembg.db").exists()


@pytest.mark.parametrize(
    ("settings", "code", "sentence"),
    [
        ({"OPENREMBG_PORT": "many"}, 2, "OPENREMBG_PORT must be a whole number"),
        ({"DATABASE_URL": "mysql://a:geheim@b/c"}, 2, "DATABASE_URL must be a database address"),
        ({"OPENREMBG_DATA_DIR": "/proc/nothing"}, 1, "The database cannot be used: "),
        ({"DATABASE_URL": "sqlite:////proc/x/y.db"}, 1, "The database cannot be used: unable to"),
    ],
)
def test_what_is_wrong_around_it_is_one_sentence(
    openrembg: Run, settings: dict[str, str], code: int, sentence: str
) -> None:
    ended = openrembg("admin", "create-key", "ada@example.com", **settings)
    assert (ended.returncode, ended.stdout) == (code, b"")
    assert len(lines(ended.stderr)) == 1
    assert lines(ended.stderr)[0].startswith(f"openrembg: {sentence}")
    assert b"geheim" not in ended.stderr


def test_a_database_that_is_away_is_one_sentence_without_the_password(openrembg: Run) -> None:
    url = f"postgresql://ada:geheim@127.0.0.1:{free_port()}/openrembg"
    ended = openrembg("admin", "verify-ledger", DATABASE_URL=url)
    assert (ended.returncode, len(lines(ended.stderr))) == (1, 1)
    assert b"The database cannot be used: connection failed" in ended.stderr
    assert b"geheim" not in ended.stderr


def test_a_file_that_is_no_database_is_one_sentence(openrembg: Run, tmp_path: Path) -> None:
    (tmp_path / "data-folder").mkdir()
    (tmp_path / "data-folder" / "openrembg.db").write_bytes(b"not a database" * 100)
    ended = openrembg("admin", "plans")
    assert (ended.returncode, len(lines(ended.stderr))) == (1, 1)
    assert b"file is not a database" in ended.stderr


@pytest.mark.usefixtures("tables")
def test_a_table_that_is_gone_is_one_sentence(openrembg: Run, tmp_path: Path) -> None:
    made(openrembg)
    with sqlite3.connect(tmp_path / "data-folder" / "openrembg.db") as database:
        database.execute("DROP TABLE quota_ledgerentry")
    database.close()
    ended = openrembg("admin", "grant", "ada@example.com", "5")
    assert (ended.returncode, len(lines(ended.stderr))) == (1, 1)
    assert b"The database failed: no such table: quota_ledgerentry" in ended.stderr


def test_without_the_servers_packages_the_remedy_is_said(tmp_path: Path) -> None:
    probe = (
        "import sys\n"
        "class Nothing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('django', 'allauth'): raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Nothing()); sys.modules['django'] = None\n"
        "sys.argv = ['openrembg', 'admin', 'plans']\n"
        "from openrembg.cli import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, env=environment(tmp_path), check=False
    )
    assert ended.returncode == 1
    assert b"pip install 'openrembg[server]'" in ended.stderr
    assert b"Traceback" not in ended.stderr


@pytest.mark.usefixtures("tables")
def test_bytes_that_are_no_text_are_refused(openrembg: Run) -> None:
    for arguments in ((b"b\xff@example.com",), (b"bob@example.com", b"--password", b"\xff" * 9)):
        ended = openrembg("admin", "create-user", *arguments)
        assert (ended.returncode, len(lines(ended.stderr))) == (2, 1)


@pytest.mark.usefixtures("tables")
def test_a_password_from_a_pipe_is_never_shown(openrembg: Run) -> None:
    for password, code in ((PASSWORD, 0), ("x" * 4097, 2)):
        ended = openrembg(
            *("admin", "create-user", f"ada{code}@example.com", "--password", "-"),
            stdin=password.encode(),
        )
        assert ended.returncode == code
        assert password.encode() not in ended.stdout + ended.stderr
    assert openrembg("admin", "create-user", "x@example.com", "--password", "-").returncode == 2


@pytest.mark.usefixtures("tables")
def test_a_password_at_a_terminal_is_asked_for_and_not_echoed(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "openrembg", "admin", "create-user", "ada@example.com"]
    process = subprocess.Popen(
        [*command, "--password", "-"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment(tmp_path),
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    while b"Password: " not in shown:
        shown += os.read(controller, 1024)
    os.write(controller, PASSWORD.encode() + b"\n")
    while b"is user 1." not in shown:
        shown += os.read(controller, 1024)
    assert process.wait(30) == 0
    os.close(controller)
    assert PASSWORD.encode() not in shown


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.usefixtures("tables")
def test_grants_at_once_add_up(
    openrembg: Run, tmp_path: Path, postgresql: Service, kind: str
) -> None:
    settings = {"OPENREMBG_LOG_LEVEL": "warning"}
    if kind == "postgresql":
        database = PostgreSQL(postgresql.port, "grants_at_once")
        database.create()
        settings["DATABASE_URL"] = database.url
    made(openrembg, **settings)
    command = [sys.executable, "-m", "openrembg", "admin", "grant", "ada@example.com"]
    started = [
        subprocess.Popen(
            [*command, str(number)], env=environment(tmp_path) | settings, stderr=subprocess.PIPE
        )
        for number in range(1, 9)
    ]
    said = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 8, said
    ended = openrembg("admin", "usage", "ada@example.com", **settings)
    assert "prepaid credits\t36" in lines(ended.stdout)
    assert openrembg("admin", "verify-ledger", **settings).returncode == 0


def test_two_first_calls_at_once_make_one_database(openrembg: Run, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "openrembg", "admin", "create-user"]
    started = [
        subprocess.Popen([*command, f"u{number}@example.com"], env=environment(tmp_path))
        for number in range(4)
    ]
    assert [process.wait(60) for process in started] == [0] * 4


@pytest.mark.usefixtures("tables")
def test_somebody_is_made_once_however_many_try(openrembg: Run, tmp_path: Path) -> None:
    made(openrembg, "first@example.com")
    command = [sys.executable, "-m", "openrembg", "admin", "create-user", "ada@example.com"]
    started = [
        subprocess.Popen(command, env=environment(tmp_path), stderr=subprocess.PIPE)
        for _ in range(5)
    ]
    said = [process.communicate(timeout=60)[1] for process in started]
    assert sorted(process.returncode for process in started) == [0, 1, 1, 1, 1]
    assert sum(b"openrembg: ada@example.com has an account already." in text for text in said) == 4


@pytest.mark.usefixtures("tables")
def test_verify_ledger_finds_what_somebody_wrote_into_the_database(
    openrembg: Run, tmp_path: Path
) -> None:
    made(openrembg)
    openrembg("admin", "grant", "ada@example.com", "5")
    with sqlite3.connect(tmp_path / "data-folder" / "openrembg.db") as database:
        database.execute("UPDATE quota_ledgerentry SET prepaid = 500")
        database.execute("UPDATE quota_balance SET prepaid = 500")
    database.close()
    ended = openrembg("admin", "verify-ledger")
    assert ended.returncode == 1
    assert lines(ended.stdout) == [
        "user 1, ada@example.com\tentry 1 is not what was written.",
    ]
    assert lines(ended.stderr) == ["openrembg: 1 of 1 accounts do not match their ledger."]


@pytest.mark.usefixtures("tables")
def test_redis_is_written_anew_after_it_was_flushed(openrembg: Run, redis: Service) -> None:
    settings = {"REDIS_URL": f"redis://127.0.0.1:{redis.port}"}
    made(openrembg, **settings)
    openrembg("admin", "grant", "ada@example.com", "5", **settings)
    _redis(redis, "FLUSHALL")
    ended = openrembg("admin", "rebuild-redis", **settings)
    assert (ended.returncode, lines(ended.stderr)) == (0, ["The usage of 1 users is in Redis."])
    assert _redis(redis, "GET", "user:1:prepaid_credits") == "5"
    openrembg("admin", "plan", "Free", "--credits", "60", **settings)
    assert _redis(redis, "GET", "user:1:credits") == "60"


@pytest.mark.usefixtures("tables")
def test_a_redis_that_is_away_is_one_sentence(openrembg: Run) -> None:
    ended = openrembg("admin", "rebuild-redis", REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    assert ended.returncode == 1
    assert lines(ended.stderr) == ["openrembg: Redis does not answer (ConnectionError)."]


def test_a_key_that_is_made_while_the_server_runs_works_at_once_and_revoked_no_more(
    start_server: StartServer, openrembg: Run, tmp_path: Path
) -> None:
    server = start_server()
    settings = {"OPENREMBG_DATA_DIR": str(tmp_path / "server-1" / "data")}
    made(openrembg, **settings)
    openrembg("admin", "set-plan", "ada@example.com", "Pro-5000", **settings)
    key = openrembg("admin", "create-key", "ada@example.com", **settings).stdout.strip().decode()
    assert _membership(server, key) == 200
    openrembg("admin", "revoke-key", "ada@example.com", key, **settings)
    assert _membership(server, key) == 401


def _membership(server: Service, key: str) -> int:
    request = urllib.request.Request(
        f"{server.url}/api/membership-usage", headers={"x-api-key": key}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def _redis(service: Service, *words: str) -> str:
    ended = subprocess.run(
        ["redis-cli", "-p", str(service.port), *words], capture_output=True, text=True, check=True
    )
    return ended.stdout.strip()
