"""A server that misbehaves as servers and lines do: it dies, stalls, drips and talks nonsense."""

import hashlib
import itertools
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from services import HOST

CHUNK: Final = 256 * 1024
KEPT_BODY: Final = 8 * 1024 * 1024
PAUSE_S: Final = 0.05
# The beginning of a picture, which is all that clients look at.
WEBP: Final = b"RIFF\x04\x00\x00\x00WEBP"


@dataclass(frozen=True, slots=True)
class Request:
    """What came. Header names are in lower case; body: at most its first 8 MiB."""

    line: str
    headers: Mapping[str, str]
    size: int
    sha256: str
    body: bytes


@dataclass(slots=True)
class OddServer:
    """Where it listens, and every request that it has read, in order."""

    port: int
    requests: list[Request] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The address for a client."""
        return f"http://{HOST}:{self.port}"


# What is done with one connection.
Behaviour = Callable[[OddServer, socket.socket], None]


def answers(
    body: bytes | Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None
) -> Behaviour:
    """Read the request and answer it; a mapping goes as JSON."""

    def behave(server: OddServer, line: socket.socket) -> None:
        read_request(server, line)
        line.sendall(_answer(body, status, headers or {}))

    return behave


def refuses_early(
    body: Mapping[str, object], status: int, headers: Mapping[str, str] | None = None
) -> Behaviour:
    """Answer when the head is there, then throw the body away, as our server does."""

    def behave(server: OddServer, line: socket.socket) -> None:
        read_head(line)
        line.sendall(_answer(body, status, headers or {}))
        line.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while line.recv(CHUNK):
                pass

    return behave


def dies_at_once(server: OddServer, line: socket.socket) -> None:
    """Reset the connection when the request's head is there."""
    read_head(line)
    _reset(line)


def dies_unanswered(server: OddServer, line: socket.socket) -> None:
    """Read the request, then close without a word."""
    read_request(server, line)


def dies_after(part: bytes, promised: int, media_type: str = "image/webp") -> Behaviour:
    """Begin an answer of `promised` bytes, send `part` of it, then reset the connection."""

    def behave(server: OddServer, line: socket.socket) -> None:
        read_request(server, line)
        line.sendall(_head(200, {"Content-Type": media_type, "Content-Length": str(promised)}))
        line.sendall(part)
        time.sleep(PAUSE_S)  # Else the reset may overtake what was sent.
        _reset(line)

    return behave


def drips(body: bytes, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Answer with a byte every 50 ms, until the server stops."""

    def behave(server: OddServer, line: socket.socket) -> None:
        read_request(server, line)
        for byte in itertools.chain(_answer(body, 200, headers or {})):
            line.sendall(bytes([byte]))
            if server.stopped.wait(PAUSE_S):
                return

    return behave


def stays_silent(server: OddServer, line: socket.socket) -> None:
    """Read the request and never answer."""
    read_request(server, line)
    server.stopped.wait()


def talks_nonsense(server: OddServer, line: socket.socket) -> None:
    """Read the request and answer what is no HTTP."""
    read_request(server, line)
    line.sendall(b"\x00\xff220 smtp.example.com ESMTP\r\n\r\n" + bytes(range(256)))


@contextmanager
def odd_server(*behaviours: Behaviour) -> Iterator[OddServer]:
    """Run a server that does one thing a connection, in turn; the last again and again.

    Every connection is closed when its behaviour is done.
    """
    with closing(socket.create_server((HOST, 0))) as listener:
        server = OddServer(listener.getsockname()[1])
        threads: list[threading.Thread] = []

        def converse(behave: Behaviour, line: socket.socket) -> None:
            with closing(line), suppress(OSError):
                behave(server, line)

        def listen() -> None:
            for behave in itertools.chain(behaviours, itertools.repeat(behaviours[-1])):
                try:
                    line, _ = listener.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=converse, args=(behave, line)))
                threads[-1].start()

        listening = threading.Thread(target=listen)
        listening.start()
        try:
            yield server
        finally:
            server.stopped.set()
            # Wakes accept(), which close() alone does not.
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listening.join()
            for thread in threads:
                thread.join()


def read_head(line: socket.socket) -> tuple[str, dict[str, str], bytes]:
    """Return the request's first line, its headers, and what came of the body with them."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = line.recv(CHUNK)
        if not more:
            raise ConnectionError("The client left")
        received += more
    head, _, rest = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (text.partition(":") for text in lines)
    return first, {name.lower(): value.strip() for name, _, value in pairs}, rest


def read_request(server: OddServer, line: socket.socket) -> Request:
    """Read a whole request, which says its length, and note it."""
    first, headers, part = read_head(line)
    left = int(headers.get("content-length", "0")) - len(part)
    digest, kept, size = hashlib.sha256(part), bytearray(part), len(part)
    while left > 0:
        part = line.recv(min(CHUNK, left))
        if not part:
            raise ConnectionError("The client left")
        left -= len(part)
        size += len(part)
        digest.update(part)
        kept += part[: max(0, KEPT_BODY - len(kept))]
    request = Request(first, headers, size, digest.hexdigest(), bytes(kept))
    server.requests.append(request)
    return request


def _answer(body: bytes | Mapping[str, object], status: int, headers: Mapping[str, str]) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "image/webp" if isinstance(body, bytes) else "application/json"
    return _head(status, {"Content-Type": kind, "Content-Length": str(len(data)), **headers}) + data


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Answer", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def _reset(line: socket.socket) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()
