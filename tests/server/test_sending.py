"""Whoever asks is told once what became of an answer, whatever the client and the server do."""

import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from test_serve import PATIENCE_S, Client, connected, eventually, get, post, running

from openrembg.server.sending import Sending, how_to_register
from openrembg.server.serve import ServeConfig, Server

MIB = 1024 * 1024
# More than the kernel keeps for a client that does not read.
LARGE = 40 * MIB


@dataclass
class Told:
    """A receipt that remembers what it was told."""

    name: str
    words: list[str] = field(default_factory=list)

    def delivered(self) -> None:
        self.words.append("delivered")

    def failed(self) -> None:
        self.words.append("failed")


class Shop:
    """An application that asks of each of its answers what became of it, by path."""

    def __init__(self) -> None:
        self.told: dict[str, Told] = {}
        self.entered, self.release = threading.Event(), threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        register = how_to_register(environ)
        assert register is not None
        if path.startswith("/wait"):
            self.entered.set()
            assert self.release.wait(PATIENCE_S)
        told = self.told[path] = Told(path)
        register(told)
        if path == "/crash":
            raise RuntimeError("after it was paid")
        body = b"x" * (LARGE if path.startswith("/large") else 10)
        status = "500 Oops" if path == "/error" else "200 OK"
        start_response(status, [("Content-Length", str(len(body)))])
        return self._broken(body) if path == "/broken" else [body]

    @staticmethod
    def _broken(body: bytes) -> Iterable[bytes]:
        yield body[:5]
        raise RuntimeError("in the middle")

    def said_of(self, path: str) -> list[str]:
        """Wait until something is said of a path's answer, and return all that was."""
        eventually(lambda: path in self.told and self.told[path].words)
        return self.told[path].words


def read_some(client: Client) -> None:
    """Read the beginning of an answer, and nothing after it."""
    assert client.socket.recv(1000)


def narrow(server: Server) -> Client:
    """Connect with a small buffer, so that most of a large answer stays with the server."""
    client = Client.__new__(Client)
    client.socket = socket.socket()
    client.socket.settimeout(PATIENCE_S)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    client.socket.connect(("127.0.0.1", server.port))
    return client


def test_an_answer_that_was_read_is_delivered() -> None:
    shop = Shop()
    with running(shop) as server, connected(server) as client:
        for path in ("/small", "/large", "/small-again"):
            client.send(get(path))
            client.answer()
            assert shop.said_of(path) == ["delivered"]


def test_pipelined_answers_are_told_apart() -> None:
    shop = Shop()
    with running(shop) as server:
        client = narrow(server)
        client.send(get("/1") + get("/2") + get("/large"))
        read = b""
        while read.count(b"HTTP/1.1 200") < 3:
            read += client.socket.recv(1000)
        assert shop.said_of("/1") == shop.said_of("/2") == ["delivered"]
        assert shop.told["/large"].words == []
        client.close()
        assert shop.said_of("/large") == ["delivered"]
    assert shop.said_of("/1") == ["delivered"]


def test_what_waits_behind_an_unread_answer_has_failed_when_the_client_leaves() -> None:
    shop = Shop()
    with running(shop) as server:
        client = narrow(server)
        client.send(get("/large") + get("/behind"))
        read_some(client)
        eventually(lambda: "/large" in shop.told)
        client.close()
        assert shop.said_of("/large") == ["delivered"]
    assert "/behind" not in shop.told or shop.said_of("/behind") == ["failed"]


def test_continue_is_not_taken_for_a_part_of_the_answer() -> None:
    shop = Shop()
    with running(shop) as server, connected(server) as client:
        client.send(post("/wait", 3, "Expect: 100-continue"))
        assert client.socket.recv(1000).startswith(b"HTTP/1.1 100 ")
        client.send(b"abc")
        assert shop.entered.wait(PATIENCE_S)
        client.close()
        shop.release.set()
        assert shop.said_of("/wait") == ["failed"]


def test_a_client_that_left_before_the_first_byte_has_got_nothing() -> None:
    shop = Shop()
    with running(shop) as server, connected(server) as client:
        client.send(get("/wait"))
        assert shop.entered.wait(PATIENCE_S)
        client.close()
        shop.release.set()
        assert shop.said_of("/wait") == ["failed"]


def test_a_client_that_left_in_the_middle_has_got_its_answer() -> None:
    shop = Shop()
    with running(shop) as server:
        client = narrow(server)
        client.send(get("/large"))
        read_some(client)
        client.close()
        assert shop.said_of("/large") == ["delivered"]


def test_a_client_that_stops_reading_has_got_its_answer() -> None:
    shop = Shop()
    with running(shop, channel_timeout_s=0.3) as server:
        client = narrow(server)
        client.send(get("/large"))
        read_some(client)
        assert shop.said_of("/large") == ["delivered"]
        client.close()


def test_what_the_server_breaks_off_when_it_ends_has_failed() -> None:
    shop = Shop()
    server = Server(shop, ServeConfig("127.0.0.1", 0, 2, shutdown_s=0.3))
    thread = threading.Thread(target=server.run)
    thread.start()
    half, whole = narrow(server), Client(server.port)
    half.send(get("/large"))
    read_some(half)
    whole.send(get("/small"))
    whole.answer()
    server.stop()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert shop.said_of("/large") == ["failed"]
    assert shop.said_of("/small") == ["delivered"]
    half.close()
    whole.close()


def test_a_look_between_the_kernels_taking_and_our_counting_closes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting, counted, count = threading.Event(), threading.Event(), Sending.add

    def count_late(self: Sending, size: int) -> None:
        if size > MIB and not counting.is_set():
            counting.set()
            counted.wait(0.5)
        count(self, size)

    monkeypatch.setattr(Sending, "add", count_late)
    shop = Shop()
    with running(shop) as server, connected(server) as client:
        client.send(get("/large"))
        assert counting.wait(PATIENCE_S)
        server._sweep(time.monotonic())
        counted.set()
        client.answer()
        assert shop.said_of("/large") == ["delivered"]


def test_an_answer_after_the_server_has_ended_has_failed() -> None:
    shop = Shop()
    server = Server(shop, ServeConfig("127.0.0.1", 0, 1, shutdown_s=0.1))
    thread = threading.Thread(target=server.run)
    thread.start()
    client = Client(server.port)
    client.send(get("/wait"))
    assert shop.entered.wait(PATIENCE_S)
    server.stop()
    thread.join(PATIENCE_S)
    shop.release.set()
    assert shop.said_of("/wait") == ["failed"]
    client.close()


@pytest.mark.parametrize("path", ["/error", "/crash", "/broken"])
def test_an_answer_that_is_not_the_promised_one_has_failed(path: str) -> None:
    shop = Shop()
    with running(shop) as server, connected(server) as client:
        client.send(get(path))
        assert shop.said_of(path) == ["failed"]


def test_nobody_is_told_twice() -> None:
    sending, first, second = Sending(), Told("first"), Told("second")
    sending.expect(first, queued=0)
    sending.finish(10, is_whole=True)
    sending.add(4)
    sending.expect(second, queued=10)
    assert (first.words, second.words) == ([], [])
    sending.add(6)
    sending.close(by_us=False)
    sending.close(by_us=True)
    sending.finish(20, is_whole=True)
    assert (first.words, second.words) == (["delivered"], ["failed"])
