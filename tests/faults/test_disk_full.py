"""A full disk, for each thing that is written: what fails says so, and all is well with room."""

import json
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from mixed_load import MixedLoad, load_through_a_fault
from small_disk import MIB, SmallDisks, small_disks

from databases import Sqlite
from forms import FORM, form, photo, send
from houses import House, house, wait_until
from pictures import picture
from services import NO_LIMITS, Service, clean_environment, put_tables

pytestmark = pytest.mark.wire

# What cannot be given back on a full disk comes back by itself, after 2 s and after both.
SOON: Final = {"OPENREMBG_REQUEST_TIMEOUT_S": "2", "OPENREMBG_QUEUE_TIMEOUT_S": "5"}
ROOM_BYTES: Final = 25 * 4096
# They do not fit in memory: one not on the disk either, the other in all but its last bytes.
UPLOADS: Final = (
    form(photo(picture("BMP", 800, 600), "a.bmp")),
    form(photo(picture("JPEG") + bytes(ROOM_BYTES - len(picture("JPEG")) + 2000), "a.jpg")),
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A server, and the disks that its things are on."""

    home: House
    server: Service
    disks: SmallDisks
    key: str
    database: Path
    spool: Path
    outbox: Path
    logs: Path

    def log(self) -> str:
        """What the server has logged."""
        return self.disks.seen(self.logs / "log.txt").read_text(errors="replace")

    def upload(self, body: bytes, *, in_chunks: bool = False) -> tuple[int, str]:
        """Ask for a cut-out; return the status and, of an error, its code."""
        headers = {"Content-Type": FORM}
        pieces = (body[at : at + 30_000] for at in range(0, len(body), 30_000))
        answer = send(self.server, "POST", "/rmbg", pieces if in_chunks else body, headers)
        return answer.status, answer.json["code"] if answer.status >= 400 else ""

    def readiness(self) -> tuple[int, str]:
        """Ask /ready."""
        answer = send(self.server, "GET", "/ready")
        return answer.status, answer.json["reason"]

    @contextmanager
    def load(self, *allowed: int) -> Iterator[MixedLoad]:
        """Let clients ask while the block runs; afterwards all is in order."""
        with load_through_a_fault(self.home, self.server, self.key, *allowed, pictures=8) as load:
            yield load
        assert self.readiness() == (200, "")
        assert "Traceback" not in self.log()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A server without limits for strangers; its standard output and error are on a disk too."""
    folder = tmp_path_factory.mktemp("disks")
    data, database, logs = (folder / name for name in ("data", "database", "logs"))
    spool, outbox = data / "spool", data / "outbox"
    sizes = {database: 8 * MIB, logs: MIB, spool: 2 * MIB, outbox: MIB // 8}
    with small_disks(sizes) as disks:
        file = database / "shared.db"
        put_tables(disks.seen(file))
        words = [*disks.within, "sh", "-c", 'exec "$@" >>"$0" 2>&1', str(logs / "log.txt")]
        with house(folder, Sqlite(file), within=disks.within) as home:
            own = {"OPENREMBG_DATA_DIR": str(data), **SOON, **NO_LIMITS}
            server = home.start(within=words, **own)
            yield Scene(home, server, disks, home.member(10_000), database, spool, outbox, logs)
            assert not server.text()


def test_uploads_are_refused_while_the_spool_has_no_room(scene: Scene) -> None:
    with scene.load():
        scene.disks.fill(scene.spool, leave_bytes=ROOM_BYTES)
        for in_chunks in (False, True):
            for body in UPLOADS:
                assert scene.upload(body, in_chunks=in_chunks) == (503, "spool_full")
        scene.disks.free(scene.spool)
        assert [scene.upload(body)[0] for body in UPLOADS] == [200, 200]
    assert "An upload could not be written to the spool" in scene.log()


def test_nothing_is_delivered_or_charged_while_the_database_cannot_be_written(scene: Scene) -> None:
    with scene.load(503) as load:
        scene.disks.fill(scene.database)
        wait_until(lambda: scene.readiness() == (503, "The database cannot be written to."))
        since = len(load.seen)
        load.wait_for_refusal()
        load.wait_for_refusal()
        assert not [one for one in load.seen[since:] if one.charged]
        scene.disks.free(scene.database)
        wait_until(lambda: scene.readiness() == (200, ""))
    assert '"detail": "database or disk is full"' in scene.log()


def test_requests_go_on_while_the_log_cannot_be_written(scene: Scene) -> None:
    with scene.load() as load:
        scene.disks.fill(scene.logs)
        load.wait_for(16)
        scene.disks.free(scene.logs)
        wait_until(lambda: "Lines of the log were lost" in scene.log())
    losses = [json.loads(line) for line in scene.log().splitlines() if "were lost" in line]
    assert losses[0]["lines_at_most"] >= 1


def test_signing_up_goes_on_though_its_mail_cannot_be_written(scene: Scene) -> None:
    scene.disks.fill(scene.outbox)
    assert "could not be sent" in sign_up(scene.server, "new@example.com")
    assert "A mail could not be sent" in scene.log()
    scene.disks.free(scene.outbox)
    assert not list(scene.disks.seen(scene.outbox).iterdir())
    assert "could not be sent" not in sign_up(scene.server, "newer@example.com")
    assert len(list(scene.disks.seen(scene.outbox).iterdir())) == 1


def sign_up(server: Service, email: str) -> str:
    """Fill in the form as a browser does; return the page that comes."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    page = f"{server.url}/en/account/signup/"
    with browser.open(page) as answer:
        text = answer.read().decode()
    token = text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    form_ = {"csrfmiddlewaretoken": token, "email": email, "password1": "a long pass phrase"}
    with browser.open(page, urllib.parse.urlencode(form_).encode()) as answer:
        return str(answer.read().decode())


def test_a_server_without_room_for_its_data_says_so_in_a_sentence(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere.db"
    put_tables(elsewhere)
    with small_disks({data: MIB // 16}) as disks:
        disks.fill(data)
        without = cannot_start(disks, data)
        assert without == "The database cannot be used: database or disk is full.\n"
        keyless = cannot_start(disks, data, DATABASE_URL=f"sqlite:///{elsewhere}")
        assert keyless == f"The secret key cannot be kept in {data}: No space left on device.\n"
        left = {path.name for path in disks.seen(data).iterdir()}
    assert not [name for name in left if "secret" in name]


def cannot_start(disks: SmallDisks, data: Path, **settings: str) -> str:
    """Run a server that ends with 2; return what it says."""
    own = {"OPENREMBG_DATA_DIR": str(data), **settings}
    done = subprocess.run(
        [*disks.within, sys.executable, "-m", "openrembg", "serve", "--port", "1"],
        env={**clean_environment(), **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr
