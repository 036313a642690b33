"""Both servers as their own commands start them, each on a free port of the loopback."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from benchmarks.errors import BenchmarkFailed
from benchmarks.load import HOST
from benchmarks.models import COMPARED, FOLDER
from benchmarks.peer import MODEL_COPY, PEER_VENV, ROOT, peer_environment

START_S: Final = 120.0
STOP_S: Final = 15.0
POLL_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and how one asks it for a cut-out."""

    name: str
    pid: int
    port: int
    path: str
    field_name: str
    ready_s: float
    fields: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def our_server(
    data: Path,
    *,
    colors: bool = True,
    model: str = COMPARED,
    redis_url: str = "",
    **settings: str,
) -> Iterator[Server]:
    """Run `openrembg serve` as shipped, but without limits for anonymous callers.

    colors: False leaves soft edges' colours as they are, as the peer does.
    model: the one that the peer runs too, unless nothing is compared.
    settings: more of the environment, by name.
    """
    command = [str(Path(sys.executable).parent / "openrembg"), "serve"]
    environment = {
        **os.environ,
        "OPENREMBG_DATA_DIR": str(data),
        "OPENREMBG_ANONYMOUS_PER_MINUTE": "-1",
        "OPENREMBG_ANONYMOUS_PER_DAY": "-1",
        "OPENREMBG_EDGE_COLORS": "on" if colors else "off",
        "OPENREMBG_MODELS_DIR": str(FOLDER),
        "OPENREMBG_MODEL": model,
        "REDIS_URL": redis_url,
        **settings,
    }
    name = "ours + colours" if colors else "ours"
    with _running(command, environment, "/ready", data / f"{name}.log") as (pid, port, ready_s):
        yield Server(name, pid, port, "/rmbg", "image", ready_s)


@contextlib.contextmanager
def peer_server(data: Path) -> Iterator[Server]:
    """Run the peer's own HTTP server, without its web interface, which would cost it memory."""
    command = [str(PEER_VENV / "bin" / "rembg"), "s", "--no-ui", "-l", "warning"]
    log = data / "peer.log"
    with _running(command, peer_environment(), "/openapi.json", log) as (pid, port, ready_s):
        # The peer reads the model's name from the form, but its file's path from the query.
        extras = urlencode({"extras": json.dumps({"model_path": str(MODEL_COPY)})})
        path = f"/api/remove?{extras}"
        yield Server("peer", pid, port, path, "file", ready_s, {"model": "u2net_custom"})


def our_admin(data: Path, *words: str) -> str:
    """Run `openrembg admin` on the server's database and return what it prints."""
    command = [str(Path(sys.executable).parent / "openrembg"), "admin", *words]
    done = subprocess.run(
        command,
        env={**os.environ, "OPENREMBG_DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchmarkFailed(f"openrembg admin {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def free_port() -> int:
    """Return a port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _running(
    command: list[str], environment: dict[str, str], ready_path: str, log: Path
) -> Iterator[tuple[int, int, float]]:
    port = free_port()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--host", HOST, "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_ready(process, port, ready_path, log)
            yield process.pid, port, time.perf_counter() - start
        finally:
            _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    deadline = time.perf_counter() + START_S
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise BenchmarkFailed(f"{process.args!r} ended:\n{_tail(log)}")
        if _status(port, path) == 200:
            return
        time.sleep(POLL_S)
    raise BenchmarkFailed(f"{process.args!r} was not ready in {START_S:g} s:\n{_tail(log)}")


def _status(port: int, path: str) -> int | None:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
