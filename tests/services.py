"""Real services for the tests: our server as a process of its own, Redis, and PostgreSQL.

Each is started on a free port of 127.0.0.1, is known by its process id, and is ended by it.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

START_S = 60.0
STOP_S = 30.0
HOST = "127.0.0.1"
NO_LIMITS = {"OPENREMBG_ANONYMOUS_PER_MINUTE": "-1", "OPENREMBG_ANONYMOUS_PER_DAY": "-1"}
# What a developer's shell may hold and a test must not depend on.
OURS = (
    "OPENREMBG_",
    "REDIS_URL",
    "DATABASE_URL",
    "EMAIL_URL",
    "STRIPE_",
    "SECRET_KEY",
    "DJANGO_",
    "HTTP_PROXY",
    "REMBG_",
)


class NotStarted(Exception):
    """A service that did not come up; the message ends with its log."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running process. log: what it wrote to standard output and error."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    @property
    def url(self) -> str:
        """The address that an HTTP client asks, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    @property
    def resident_bytes(self) -> int:
        """The memory that the process and its children hold now."""
        return sum(_status_bytes(pid, "VmRSS") for pid in self._family())

    @property
    def peak_bytes(self) -> int:
        """The most memory that they have held since they began or since `forget_peak`."""
        return sum(_status_bytes(pid, "VmHWM") for pid in self._family())

    def forget_peak(self) -> None:
        """Let `peak_bytes` begin anew (proc(5), clear_refs)."""
        for pid in self._family():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def text(self) -> str:
        """What the service has logged so far."""
        return self.log.read_text("utf-8", errors="replace")

    def _family(self) -> list[int]:
        pids = [self.process.pid]
        for pid in pids:
            pids += children_of(pid)
        return pids


# What the fixture `start_server` gives: start_server(NAME="value", …) runs one more server.
StartServer = Callable[..., Service]


def children_of(pid: int) -> list[int]:
    """Return the ids of the processes that a process has started and that have not ended."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def openrembg_server(
    folder: Path,
    environment: Mapping[str, str] = NO_LIMITS,
    *,
    may_die: bool = False,
    port: int | None = None,
    within: Sequence[str] = (),
    status: str = "ready",
) -> Iterator[Service]:
    """Run `openrembg serve` with its data in `folder`; it must end well when it is asked to.

    It finds the tables made, unless it has a database elsewhere. may_die: the test kills it.
    port: None for any that is free. within: the words of a program that runs it. status: what
    /ready has to tell before the block begins.
    """
    port = free_port() if port is None else port
    settings = {"OPENREMBG_DATA_DIR": str(folder / "data"), **environment}
    if "DATABASE_URL" not in settings:
        put_tables(Path(settings["OPENREMBG_DATA_DIR"], "openrembg.db"))
    command = [*within, sys.executable, "-m", "openrembg", "serve"]
    command += ["--host", HOST, "--port", str(port)]
    with _process(command, folder, port, {**clean_environment(), **settings}) as service:
        _wait(service, lambda: _status(service.url) == status)
        yield service
        if may_die:
            return
        assert service.process.poll() is None, f"the server died:\n{service.text()}"
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(STOP_S) == 0, f"the server ended badly:\n{service.text()}"
        assert "Traceback" not in service.text(), f"an exception got out:\n{service.text()}"


def put_tables(file: Path) -> None:
    """Put the tables where there is no SQLite database yet: a copy, as making them takes a second.

    tests/cli/test_admin_process.py and tests/server/test_database.py begin with nothing.
    """
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(0o600)
    file.write_bytes(_tables())


@cache
def _tables() -> bytes:
    with tempfile.TemporaryDirectory(prefix="openrembg-tables-") as folder:
        openrembg_admin({"OPENREMBG_DATA_DIR": folder}, "plans")
        return Path(folder, "openrembg.db").read_bytes()


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what tells our program how to behave."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}


def openrembg_admin(environment: Mapping[str, str], *words: str, within: Sequence[str] = ()) -> str:
    """Run `openrembg admin`, which must succeed, and return what it prints.

    within: the words of a program that runs it.
    """
    done = subprocess.run(
        [*within, sys.executable, "-m", "openrembg", "admin", *words],
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"openrembg admin {' '.join(words)}: {done.stderr}"
    return done.stdout.strip()


@contextmanager
def redis_server(folder: Path) -> Iterator[Service]:
    """Run an empty redis-server that writes nothing to disk."""
    port = free_port()
    command = [program("redis-server"), "--bind", HOST, "--port", str(port)]
    command += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
    with _process(command, folder, port, dict(os.environ)) as service:
        _wait(service, lambda: _pings(port))
        yield service


@contextmanager
def postgresql_server(folder: Path) -> Iterator[Service]:
    """Run an empty PostgreSQL that trusts every local client; its user is `postgres`.

    It refuses to run as root, who therefore runs it as the user that Debian made for it.
    """
    port, owner = free_port(), "postgres" if os.getuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="openrembg-postgresql-"))
    try:
        if owner:
            shutil.chown(home, owner)
        data, path = home / "data", _postgresql_programs()
        made = subprocess.run(
            [
                *(path / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"),
                *("--locale=C", "--no-sync"),
            ],
            user=owner,
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise NotStarted(made.stdout + made.stderr)
        command = [str(path / "postgres"), "-D", str(data), "-p", str(port), "-h", HOST]
        command += ["-k", str(home), "-c", "max_connections=200"]
        # Nobody pulls this machine's plug, and tests empty their tables all the time.
        command += ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
        with _process(command, folder, port, dict(os.environ), user=owner) as service:
            _wait(service, lambda: "ready to accept connections" in service.text())
            yield service
    finally:
        shutil.rmtree(home)


@contextmanager
def localstripe_server(folder: Path) -> Iterator[Service]:
    """Run an empty localstripe: Stripe's API of 2017, with signed webhooks.

    It is a program beside ours and nothing of it is imported: its licence is the GPL.
    """
    port = free_port()
    command = [sys.executable, "-m", "localstripe", "--port", str(port), "--from-scratch"]
    with _process(command, folder, port, clean_environment()) as service:
        _wait(service, lambda: _listens(port))
        yield service


def _postgresql_programs() -> Path:
    # Debian keeps the server's programs off the PATH, one folder a version.
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: p.parts[-3])
    return Path(found[-1] if found else program("postgres")).parent


def program(*names: str) -> str:
    """Return the path of the first of these programs that is installed.

    Raises NotStarted when there is none: a test without its service fails, it is not skipped.
    """
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    raise NotStarted(f"{names[0]} is not installed; `./run test` installs it or says how.")


@contextmanager
def _process(
    command: list[str],
    folder: Path,
    port: int,
    environment: dict[str, str],
    user: str | None = None,
) -> Iterator[Service]:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder if user is None else "/",
            env=environment,
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Service(process, port, log)
    finally:
        process.kill()
        process.wait()


def _wait(service: Service, is_up: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not is_up():
        if service.process.poll() is not None:
            raise NotStarted(f"It ended with {service.process.returncode}:\n{service.text()}")
        if time.monotonic() > deadline:
            raise NotStarted(f"It was not ready within {START_S:.0f} s:\n{service.text()}")
        time.sleep(0.05)


def _status(url: str) -> str:
    """Return what /ready tells, nothing while nobody answers."""
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=5) as answer:
            return str(json.load(answer)["status"])
    except urllib.error.HTTPError as error:
        with error:
            return str(json.load(error)["status"])
    except OSError:
        return ""


def _pings(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=5).close()
    except OSError:
        return False
    return True


def _status_bytes(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
