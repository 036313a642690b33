"""docs/operations.md: what it shows runs, what it names is there, what it counts is right."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from benchmarks.capacity import RATES, Costs, Need, Parts, capacity_table
from redis import Redis
from typer.main import get_command

from openrembg.cli.admin import admin
from services import Service, clean_environment, openrembg_admin

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "operations.md").read_text("utf-8")
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
VERB = re.compile(r"openrembg admin ([a-z-]+)")
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors(page: str) -> set[str]:
    """Return what GitHub makes of a page's headings."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(page))
    return {word.strip().replace(" ", "-") for word in words}


def block(beginning: str) -> str:
    """Return the commands that begin with these words."""
    (found,) = (text for text in BLOCK.findall(PAGE) if text.startswith(beginning))
    return str(found)


def test_every_link_leads_somewhere() -> None:
    links = LINK.findall(PAGE)
    assert len(links) > 8
    for file, anchor in links:
        target = DOCS / file if file else DOCS / "operations.md"
        assert target.exists(), file
        assert not anchor or anchor in anchors(target.read_text("utf-8")), anchor


def test_every_verb_exists() -> None:
    assert set(VERB.findall(PAGE)) <= set(get_command(admin).commands)  # type: ignore[attr-defined]


def test_the_capacity_is_what_the_command_prints() -> None:
    shown = PAGE.split("<!-- capacity:")[1].split("-->\n", 1)[1].split("<!-- /capacity -->")[0]
    assert shown.strip() == capacity_table(RATES, Costs(), Parts())


def test_ten_times_the_pictures_need_ten_times_the_parts() -> None:
    few, many = (Need(rate, Costs(), Parts()) for rate in (1000.0, 10_000.0))
    assert many.replicas > 9 * few.replicas
    assert many.postgresql_share == 10 * few.postgresql_share
    assert (few.cells, many.cells > 5) == (1, True)
    assert Need(0.001, Costs(), Parts()).web_hosts == 1


def test_backup_and_restore_run_as_they_stand(tmp_path: Path, redis: Service) -> None:
    lost, found, backups = tmp_path / "lost", tmp_path / "found", tmp_path / "backup"
    backups.mkdir()
    lost.mkdir(0o700)
    settings = {"OPENREMBG_DATA_DIR": str(lost), "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0"}
    openrembg_admin(settings, "create-user", "ada@example.com", "--verified", "--prepaid", "7")
    # A server makes it when it starts.
    (lost / "secret_key").write_text("a secret")
    _run(block("openrembg admin backup"), settings, {"/srv/openrembg": lost, "/backup": backups})
    _run(block("mkdir -m 700"), settings, {"/srv/openrembg": found, "/backup": backups})
    here = {"OPENREMBG_DATA_DIR": str(found)}
    with Redis(port=redis.port) as client:
        client.set("user:999:prepaid_credits", "5")
        client.config_set("requirepass", "geheim")
    with Redis(port=redis.port, password="geheim") as client:
        address = f"redis://:geheim@127.0.0.1:{redis.port}/0"
        empty = block("openrembg admin rebuild-redis").replace("openrembg serve\n", "")
        _run(empty, {**here, "REDIS_URL": address}, {})
        assert client.get("user:999:prepaid_credits") is None
        assert client.get("user:1:prepaid_credits") == b"7"
        refused = _ran(empty, {**here, "REDIS_URL": address.replace("geheim", "falsch")})
        assert (refused.returncode, "falsch" in refused.stderr) == (1, False)
    assert '"prepaid"' in openrembg_admin(here, "usage", "ada@example.com", "--json")
    assert (found / "secret_key").read_text() == "a secret"
    assert {file.stat().st_mode & 0o77 for file in found.glob("openrembg.db*")} == {0}


def _run(commands: str, settings: dict[str, str], places: dict[str, Path]) -> None:
    for place, real in places.items():
        commands = commands.replace(place, shlex.quote(str(real)))
    done = _ran(commands, settings)
    assert done.returncode == 0, done.stderr


def _ran(commands: str, settings: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    program = f"{shlex.quote(sys.executable)} -m openrembg "
    return subprocess.run(
        ["sh", "-eu", "-c", commands.replace("openrembg admin", f"{program}admin")],
        env={**clean_environment(), **settings},
        capture_output=True,
        text=True,
        check=False,
    )
