"""Examples of the documentation's reference pages: parameters, progress, usage, self-hosting."""

import json
import os
import signal
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from manual_reader import (
    EXAMPLE_S,
    HEIGHT,
    WIDTH,
    Reader,
    data_of,
    programs,
)

from openrembg.server.manual import examples
from openrembg.server.settings import kept_secret_key
from pictures import opened
from services import (
    HOST,
    Service,
    clean_environment,
    free_port,
    openrembg_admin,
    program,
)

pytestmark = pytest.mark.wire

REPOSITORY: Final = Path(__file__).parents[2]
SAME: Final = (WIDTH, HEIGHT)
SELF: Final = "http://127.0.0.1:8000"
# Of each example: the picture that it leaves behind, its format, mode and size.
LEFT_BEHIND: Final[Mapping[str, tuple[str, str, str, tuple[int, int]]]] = {
    "parameters_shop.sh": ("shop.jpg", "JPEG", "RGB", (1000, 800)),
    "parameters_mask.sh": ("mask.png", "PNG", "L", SAME),
    "parameters_turn.sh": ("turned.webp", "WEBP", "RGBA", SAME),
    "progress.py": ("cutout.webp", "WEBP", "RGBA", SAME),
    "progress.mjs": ("cutout.webp", "WEBP", "RGBA", SAME),
    "progress_timing.sh": ("cutout.webp", "WEBP", "RGBA", SAME),
    "self_hosting_first.sh": ("cutout.webp", "WEBP", "RGBA", SAME),
}
SERVING: Final = (
    "self_hosting_settings.sh",
    "self_hosting_servers.sh",
    "self_hosting_mail.sh",
    "self_hosting_proxy.sh",
)


def here(reader: Reader, name: str) -> str:
    """Return an example of self-hosting for the server that runs here."""
    return reader.text(name).replace(SELF, reader.server.url)


@pytest.mark.parametrize("name", LEFT_BEHIND)
def test_an_example_makes_the_picture_that_it_speaks_of(reader: Reader, name: str) -> None:
    reader.runs(name, here(reader, name))
    file, *wanted = LEFT_BEHIND[name]
    image = opened(reader.picture(file))
    assert [image.format, image.mode, image.size] == wanted


@pytest.mark.parametrize("name", ["progress.py", "progress.mjs"])
def test_progress_grows_until_all_is_there(reader: Reader, name: str) -> None:
    lines = [line.split() for line in reader.runs(name).splitlines()]
    for verb in ("sent", "received"):
        steps = [(int(line[1]), int(line[3])) for line in lines if line[0] == verb]
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1]
    assert steps[-1][1] == len(reader.picture("cutout.webp"))


def test_the_time_of_each_stage_is_printed(reader: Reader) -> None:
    printed = reader.runs("progress_timing.sh")
    shown = examples.sources()["progress_timing.txt"]
    assert [part.split(";")[0] for part in printed.split()[1:]] == [
        part.split(";")[0] for part in shown.split()[1:]
    ]


def test_usage_is_answered_in_every_way(reader: Reader) -> None:
    for name, shown in (
        ("usage_past.sh", "usage_month.json"),
        ("usage_cycle.sh", "usage_cycle.json"),
        ("usage_period.sh", "usage_cycle.json"),
        ("usage_list.sh", "usage_list.json"),
    ):
        told = json.loads(reader.runs(name))
        assert told.keys() == json.loads(examples.sources()[shown]).keys(), name
    assert told["billingCycles"] == []
    cycle = json.loads(reader.runs("usage_cycle.sh"))["billingCycle"]
    shown_cycle = json.loads(examples.sources()["usage_cycle.json"])["billingCycle"]
    assert cycle.keys() == shown_cycle.keys()


def test_a_token_ends_once(reader: Reader) -> None:
    data = {"OPENREMBG_DATA_DIR": str(data_of(reader.server))}
    token = openrembg_admin(data, "create-token", "ada@example.com").split()[-1]
    text = reader.text("usage_token.sh").replace("YOUR_USER_TOKEN", token)
    assert reader.runs("usage_token.sh", text) == ""
    again = reader.begins("usage_token.sh", text)
    with again:
        answer, _ = again.communicate(timeout=EXAMPLE_S)
    assert json.loads(answer)["code"] == "invalid_user_token"


def test_the_server_can_be_watched(reader: Reader) -> None:
    printed = reader.runs("self_hosting_watch.sh", here(reader, "self_hosting_watch.sh"))
    assert '"status": "ok"' in printed
    assert '"status": "ready"' in printed
    assert "openrembg_requests_total" in printed


def test_an_account_is_made_and_managed(reader: Reader) -> None:
    printed = ""
    for name in ("self_hosting_account.sh", "self_hosting_admin.sh"):
        printed += reader.runs(name, reader.text(name).replace("ada@", "grace@"))
    assert "orbk_" in printed
    assert "Pro-5000" in printed
    assert "orbt_" in printed


def test_a_backup_holds_what_the_server_holds(reader: Reader, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    backup.mkdir()
    # The key is made when a page first needs it.
    secret = kept_secret_key(data_of(reader.server))
    text = reader.text("self_hosting_backup.sh").replace("/backup", str(backup))
    text = text.replace("/srv/openrembg", str(data_of(reader.server)))
    reader.runs("self_hosting_backup.sh", text)
    with sqlite3.connect(backup / "openrembg.db") as copy:
        users = copy.execute("SELECT email FROM accounts_user").fetchall()
    copy.close()
    assert ("ada@example.com",) in users
    assert (backup / "secret_key").read_text() == secret


@pytest.mark.parametrize("name", SERVING)
def test_a_server_starts_with_the_settings_of_an_example(
    name: str, postgresql: Service, redis: Service, tmp_path: Path
) -> None:
    port, secret = free_port(), tmp_path / "key"
    secret.write_text("a secret of the tests, long enough")
    text = examples.sources()[name]
    for shown, real in (
        ("/srv/openrembg", str(tmp_path / "data")),
        ("=9000", f"={port}"),
        (
            "openrembg:secret@db.example.com/openrembg",
            f"postgres@{HOST}:{postgresql.port}/postgres",
        ),
        ("redis.example.com:6379", f"{HOST}:{redis.port}"),
        ("/run/secrets/openrembg_secret_key", str(secret)),
    ):
        text = text.replace(shown, real)
    script = tmp_path / name
    script.write_text(text)
    starts([program("bash"), "-eu", str(script)], tmp_path, port)


def test_the_first_command_starts_a_server(tmp_path: Path) -> None:
    command = examples.sources()["self_hosting_start.sh"].split()
    starts(command, tmp_path, free_port())


def starts(command: list[str], folder: Path, port: int) -> None:
    """Run a command that serves, wait until it is ready, and end it."""
    own = {"OPENREMBG_DATA_DIR": str(folder / "data"), "OPENREMBG_PORT": str(port)}
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env={**clean_environment(), **own, "PATH": programs()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + EXAMPLE_S
        while not is_ready(port):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.1)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=EXAMPLE_S)


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
