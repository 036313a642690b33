"""Connections that are as slow as the server allows, held for as long as somebody measures.

Half of them send a request's head byte by byte, a third a body, and the rest read an answer.
Standard library alone; one thread serves them all.
"""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Final, Literal

from benchmarks.load import BOUNDARY, HOST, multipart

Kind = Literal["head", "body", "answer"]
STEP_S: Final = 0.5
# Of a body: half of the lowest rate, which the server puts up with for two minutes.
BODY_STEP_BYTES: Final = 256
BODY_BYTES: Final = 1024 * 1024
# So many readers ask together: the queue of the server shall not be full because of them.
AT_ONCE: Final = 8
READ_STEP_BYTES: Final = 256
RECEIVE_BUFFER_BYTES: Final = 4096
# What the slow readers ask for: a few megabytes, which no socket's buffer holds.
LARGE: Final = {"w": "1000", "format": "bmp"}
HEAD: Final = b"GET /health HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\nX-Slow: "


class Slow:
    """One slow connection."""

    def __init__(self, port: int, kind: Kind, photo: bytes) -> None:
        self.kind = kind
        self.ended = False
        self.socket = socket.socket()
        if kind == "answer":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self.socket.settimeout(60)
        self.socket.connect((HOST, port))
        self.socket.sendall(_beginning(kind, photo))
        self._sent = 0

    def step(self) -> None:
        """Send or read the next few bytes, and notice when the server has closed."""
        self.socket.setblocking(False)
        try:
            self._step()
        except BlockingIOError:
            return
        except OSError:
            self.ended = True

    def _step(self) -> None:
        if self.kind == "answer":
            self.ended = not self.socket.recv(READ_STEP_BYTES)
            return
        if select.select([self.socket], [], [], 0)[0]:
            self.ended = True  # an answer or the end, before all was sent
            return
        if self.kind == "head":
            self.socket.send(b"x")
        elif self._sent < BODY_BYTES:
            self._sent += self.socket.send(b"y" * BODY_STEP_BYTES)


def _beginning(kind: Kind, photo: bytes) -> bytes:
    if kind == "head":
        return HEAD
    body = multipart(LARGE, "image", photo)
    length = len(body) if kind == "answer" else BODY_BYTES
    head = (
        f"POST /rmbg HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    return head.encode() + (body if kind == "answer" else body[:100])


def kinds(number: int) -> list[Kind]:
    """Return what each of so many connections is: half heads, a third bodies, the rest readers."""
    heads, bodies = number // 2, number // 3
    parts: tuple[tuple[Kind, int], ...] = (
        ("answer", number - heads - bodies),
        ("head", heads),
        ("body", bodies),
    )
    return [kind for kind, count in parts for _ in range(count)]


@contextlib.contextmanager
def slow_clients(port: int, number: int, photo: bytes) -> Iterator[list[Slow]]:
    """Open so many slow connections, and keep them slow in the background until the block ends."""
    with contextlib.ExitStack() as stack:
        held: list[Slow] = []
        for kind in kinds(number):
            held.append(Slow(port, kind, photo))
            stack.enter_context(contextlib.closing(held[-1].socket))
            if kind == "answer" and len(held) % AT_ONCE == 0:
                _wait_for_answers(held[-AT_ONCE:])
        _wait_for_answers(held)
        done = threading.Event()
        thread = threading.Thread(target=_keep_slow, args=(held, done), daemon=True)
        thread.start()
        try:
            yield held
        finally:
            done.set()
            thread.join()


def _wait_for_answers(held: list[Slow]) -> None:
    """Wait until what the slow readers asked for is computed, so that they are slow, not many."""
    for slow in held:
        if slow.kind == "answer":
            slow.socket.recv(1, socket.MSG_PEEK)


def _keep_slow(held: list[Slow], done: threading.Event) -> None:
    """Let each connection take one step in each STEP_S, spread evenly over that time."""
    while not done.is_set():
        began = time.monotonic()
        for number, slow in enumerate(held, start=1):
            if not slow.ended:
                slow.step()
            if number % 10 == 0:
                ahead_s = STEP_S * number / len(held) - (time.monotonic() - began)
                done.wait(max(0.0, ahead_s))
