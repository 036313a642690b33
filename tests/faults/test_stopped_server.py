"""SIGTERM under load: whatever has reached the server is answered, and it ends well by itself."""

import http.client
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from mixed_load import assert_the_books_agree, mixed_load

from forms import FORM, form, photo
from forms import field as text
from houses import House, wait_until
from pictures import picture
from services import HOST, Service

pytestmark = pytest.mark.wire

DRAIN_S = 30.0
MIB = 1024 * 1024
# A picture with something behind it that no decoder looks at.
UPLOAD = form(photo(picture("JPEG") + bytes(20 * MIB), "a.jpg"))
LARGE = form(photo(picture("JPEG", 2400, 1800), "a.jpg"), text("format", "bmp"))


def head(key: str, body: bytes) -> bytes:
    """Return a request's head for a form."""
    lines = (
        *("POST /rmbg HTTP/1.1", f"Host: {HOST}", f"X-Api-Key: {key}"),
        *(f"Content-Type: {FORM}", f"Content-Length: {len(body)}"),
    )
    return "\r\n".join([*lines, "", ""]).encode()


def answer_on(connection: socket.socket, pause_s: float = 0.0) -> http.client.HTTPResponse:
    """Read an answer, its body in small pieces with a pause after each of the first ones."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    for _ in range(10):
        if pause_s and answer.read(64 * 1024):
            time.sleep(pause_s)
    answer.read()
    return answer


def upload_slowly(server: Service, key: str, is_stopping: Callable[[], bool]) -> int:
    """Send half of a large upload before the server is told to stop, the rest after it."""
    with socket.create_connection((HOST, server.port), timeout=DRAIN_S) as connection:
        half = len(UPLOAD) // 2
        connection.sendall(head(key, UPLOAD) + UPLOAD[:half])
        wait_until(is_stopping)
        time.sleep(0.5)
        connection.sendall(UPLOAD[half:])
        return answer_on(connection).status


def read_slowly(server: Service, key: str, is_stopping: Callable[[], bool]) -> int:
    """Let the server be told to stop before a large answer is read, in small pieces."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        connection.settimeout(DRAIN_S)
        connection.connect((HOST, server.port))
        connection.sendall(head(key, LARGE) + LARGE)
        connection.recv(1, socket.MSG_PEEK)
        wait_until(is_stopping)
        return answer_on(connection, pause_s=0.1).status


def ask_again(server: Service, key: str, is_stopping: Callable[[], bool]) -> int:
    """Use a connection, then once more a moment after the server was told to stop."""
    line = http.client.HTTPConnection(HOST, server.port, timeout=DRAIN_S)
    try:
        line.request("GET", "/health")
        line.getresponse().read()
        wait_until(is_stopping)
        time.sleep(0.3)
        line.request("GET", "/health")
        answer = line.getresponse()
        assert answer.headers["Connection"] == "close"
        return answer.status
    finally:
        line.close()


def test_everything_that_reached_it_is_answered(home: House, key: str) -> None:
    other, stopped = home.start(), home.start(may_die=True)
    with mixed_load([other, stopped], key) as load, ThreadPoolExecutor(3) as clients:
        asked = False
        slow = [
            clients.submit(go, stopped, key, lambda: asked)
            for go in (upload_slowly, read_slowly, ask_again)
        ]
        load.wait_for(12)
        asked = True
        stopped.process.send_signal(signal.SIGTERM)
        assert stopped.process.wait(DRAIN_S) == 0
        assert [one.result() for one in slow] == [200, 200, 200]
        load.wait_for(8)
    # Whoever comes later finds nobody; no line broke that a request was on.
    broken = [one.error for one in load.seen if one.status is None]
    assert all(error.startswith("ConnectionRefusedError") for error in broken), broken
    assert not load.unexpected(None)
    assert_the_books_agree(home, other, load, beside=2)
    assert "Traceback" not in stopped.text()
