"""Hundreds of connections that are as slow as they can be: others are served, and they end."""

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from benchmarks.slow_clients import slow_clients

from houses import wait_until
from openrembg.server.serve import ServeConfig, Server

SLOW = 200
PATIENCE_S = 60.0
# Head and body come too slowly after this, and an answer is read too slowly.
DEADLINE_S = 1.0
ANSWER = b"x" * (8 * 1024 * 1024)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer a form with what no socket's buffers hold, and all else with a word."""
    environ["wsgi.input"].read()
    answer = ANSWER if environ["REQUEST_METHOD"] == "POST" else b"here"
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]


@pytest.fixture
def server() -> Iterable[Server]:
    """A server in a thread whose deadlines are short."""
    config = ServeConfig("127.0.0.1", 0, threads=2, channel_timeout_s=DEADLINE_S, drain_s=1.0)
    running = Server(application, config)
    thread = threading.Thread(target=running.run)
    thread.start()
    yield running
    running.stop()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def descriptors() -> int:
    """Return how many files this process, in which the server is, has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_slow_clients_keep_nobody_out_and_are_cut_off_in_time(server: Server) -> None:
    before = descriptors()
    with slow_clients(server.port, SLOW, b"a photo") as held:
        assert urlopen(f"{server.url}/others", timeout=PATIENCE_S).read() == b"here"
        assert len(held) == SLOW
        wait_until(lambda: not server._connections(), PATIENCE_S)
        assert urlopen(f"{server.url}/others", timeout=PATIENCE_S).read() == b"here"
    assert server.reception.budget.used_bytes == 0
    assert server.held_answers.used_bytes == 0
    wait_until(lambda: descriptors() <= before, PATIENCE_S)
