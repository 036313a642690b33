"""Clients that leave, before, while and after they are served: nothing of them stays behind."""

import http.client
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from mixed_load import assert_the_books_agree, mixed_load

from forms import FORM, form, photo, send
from forms import field as text
from houses import House, wait_until
from pictures import picture
from services import HOST, Service

pytestmark = pytest.mark.wire

SMALL: Final = form(photo(picture("JPEG"), "a.jpg"))
SPOOLED: Final = form(photo(picture("BMP", 800, 600), "a.bmp"))
LARGE: Final = form(photo(picture("JPEG", 1600, 1200), "a.jpg"), text("format", "bmp"))
# Close without a word: what the other side sends is answered with a reset.
RESET: Final = struct.pack("ii", 1, 0)
OF_EACH_KIND: Final = 8


def head(key: str, body: bytes) -> bytes:
    """Return a request's head for a form."""
    lines = (
        *("POST /rmbg HTTP/1.1", f"Host: {HOST}", f"X-Api-Key: {key}"),
        *(f"Content-Type: {FORM}", f"Content-Length: {len(body)}"),
    )
    return "\r\n".join([*lines, "", ""]).encode()


def connected(server: Service) -> socket.socket:
    """Connect; the little that is received at once lets a large answer wait in the server."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
    connection.settimeout(60)
    connection.connect((HOST, server.port))
    return connection


def leave(connection: socket.socket, number: int) -> None:
    """Close the connection, every other time with a reset."""
    if number % 2:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()


def says_nothing(connection: socket.socket, key: str) -> None:
    """Only connect."""


def half_a_head(connection: socket.socket, key: str) -> None:
    """Send a part of a request's head."""
    connection.sendall(head(key, SMALL)[:60])


def half_a_body(connection: socket.socket, key: str) -> None:
    """Send so much of an upload that it lies on the disk."""
    connection.sendall(head(key, SPOOLED) + SPOOLED[: len(SPOOLED) // 2])


def whole_upload(connection: socket.socket, key: str) -> None:
    """Send an upload and do not wait for the picture."""
    connection.sendall(head(key, SPOOLED) + SPOOLED)


def while_it_computes(connection: socket.socket, key: str) -> None:
    """Send a request and leave a moment later."""
    connection.sendall(head(key, LARGE) + LARGE)
    time.sleep(0.02)


def several_at_once(connection: socket.socket, key: str) -> None:
    """Send one request behind the other on one connection."""
    connection.sendall((head(key, SMALL) + SMALL) * 3)


def half_an_answer(connection: socket.socket, key: str) -> None:
    """Read the beginning of a large answer."""
    connection.sendall(head(key, LARGE) + LARGE)
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    assert answer.status == 200
    assert len(answer.read(50_000)) == 50_000


UNPAID: Final = (
    *(says_nothing, half_a_head, half_a_body, whole_upload, while_it_computes, several_at_once),
)


def visit(
    server: Service, key: str, number: int, what: Callable[[socket.socket, str], None]
) -> None:
    """Connect, do something, and leave."""
    connection = connected(server)
    what(connection, key)
    leave(connection, number)


def holdings(server: Service) -> Counter[str]:
    """Count what clients may leave behind: sockets and spooled files."""
    found: Counter[str] = Counter()
    for descriptor in Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        found["sockets"] += target.startswith("socket:")
        found["spooled"] += "/spool/" in target
    return found


def threads(server: Service) -> int:
    """Count the server's threads."""
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


def test_nothing_stays_of_clients_that_leave_and_nobody_else_suffers(home: House, key: str) -> None:
    server = home.start()
    at_rest = holdings(server)
    visits = [
        (number, what) for number in range(OF_EACH_KIND) for what in (*UNPAID, half_an_answer)
    ]
    with mixed_load([server], key, clients=3) as load, ThreadPoolExecutor(6) as leavers:
        load.wait_for(12)
        at_work = threads(server)
        for done in [leavers.submit(visit, server, key, *one) for one in visits]:
            done.result()
        load.wait_for(8)
    assert not load.unexpected()
    wait_until(lambda: holdings(server) <= at_rest)
    wait_until(lambda: threads(server) <= at_work)
    metrics = send(server, "GET", "/metrics").body.decode()
    for gauge in ("computing", "waiting", "pixels_in_flight"):
        assert f"openrembg_{gauge} 0.0" in metrics
    # Whoever leaves in the middle of an answer has been served; nobody else has.
    assert_the_books_agree(home, server, load, beside=OF_EACH_KIND)
    assert "Traceback" not in server.text()
