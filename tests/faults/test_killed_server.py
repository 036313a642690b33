"""kill -9: what the server held comes back, and whoever takes over goes on with the same books."""

import os
import signal
import socket
import time

import pytest
from mixed_load import assert_the_books_agree, mixed_load

from houses import House, wait_until
from services import HOST, Service, children_of

pytestmark = pytest.mark.wire

# Upkeep looks every 10 s; the credits of a dead server are overdue after 2, and what was to be kept
# under an Idempotency-Key is given up after both.
SOON = {"OPENREMBG_REQUEST_TIMEOUT_S": "2", "OPENREMBG_QUEUE_TIMEOUT_S": "5"}


def children(server: Service) -> set[int]:
    """Return the ids of a server's processes."""
    return set(children_of(server.process.pid))


def tell_twice(server: Service) -> int:
    """Send SIGTERM while a request is half sent, and again; return the exit code."""
    with socket.create_connection((HOST, server.port)) as connection:
        connection.sendall(b"POST /rmbg HTTP/1.1\r\n")
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        return server.process.wait(10)


def test_whoever_lives_goes_on_and_whoever_was_killed_comes_back(home: House, key: str) -> None:
    pair = home.start(OPENREMBG_PROCESSES="2", **SOON)
    alone = home.start(may_die=True, **SOON)
    with mixed_load([pair, alone], key) as load:
        load.wait_for(12)
        alone.process.kill()
        alone.process.wait()
        # Pictures may have arrived though nobody lived to write it down.
        on_their_way = home.undelivered()
        load.wait_for(8)
        before = children(pair)
        os.kill(max(before), signal.SIGKILL)
        wait_until(lambda: max(before) not in children(pair))
        on_their_way += home.undelivered()
        again = home.start(port=alone.port, may_die=True, **SOON)
        wait_until(lambda: len(children(pair)) == len(before))
        load.wait_for(12)
        assert tell_twice(again) == 128 + signal.SIGTERM
        on_their_way += home.undelivered()
        load.wait_for(8)
    # 503: the one that came back is asked while it loads its model.
    assert not load.unexpected(None, 503)
    home.let_deadlines_pass()
    assert_the_books_agree(home, pair, load, may_be_free=on_their_way)
    assert "Traceback" not in again.text()
