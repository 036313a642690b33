"""The HTTP transport, over real sockets, with a small WSGI application behind it."""

import contextlib
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from waitress.adjustments import Adjustments

from openrembg.server.http_request import IncomingRequest, Reception
from openrembg.server.http_response import HeldBytes
from openrembg.server.serve import ServeConfig, ServeError, Server, serve
from openrembg.server.spool import Budget, SpooledBody

MIB = 1024 * 1024
PATIENCE_S = 20.0  # how long a test waits for what must happen; never how long it takes
FLAGS = ("body_too_large", "chunked_too_large", "spool_full")


class App:
    """An application that tells what it was called with, and that can be held up."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.entered = threading.Event()
        self.release = threading.Event()
        self.saw_client_leave = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.paths.append(path)
        received = environ["wsgi.input"].read()
        if path == "/crash":
            raise RuntimeError("secret detail")
        if path == "/wait":
            self.entered.set()
            assert self.release.wait(PATIENCE_S)
        if path == "/leave":
            self._watch(environ["openrembg.client_gone"])
        answer = b"x" * (40 * MIB) if path == "/large" else self._report(environ, received)
        start_response(
            "200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))]
        )
        return [answer]

    def _watch(self, client_gone: Callable[[], bool]) -> None:
        assert not client_gone()
        self.entered.set()
        eventually(client_gone)
        self.saw_client_leave.set()

    @staticmethod
    def _report(environ: dict[str, Any], received: bytes) -> bytes:
        flags = {flag: environ.get(f"openrembg.{flag}") for flag in FLAGS}
        return json.dumps(
            {
                "method": environ["REQUEST_METHOD"],
                "length": len(received),
                "content_length": environ.get("CONTENT_LENGTH"),
                "forwarded": environ.get("HTTP_X_FORWARDED_FOR"),
                "flags": {flag: value for flag, value in flags.items() if value is not None},
            }
        ).encode()


class Client:
    """One connection, with full control over what is sent when."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, method: str = "GET") -> tuple[HTTPResponse, bytes]:
        response = HTTPResponse(self.socket, method=method)
        response.begin()
        return response, response.read()

    def report(self) -> dict[str, Any]:
        response, body = self.answer()
        assert response.status == 200
        result: dict[str, Any] = json.loads(body)
        return result

    def is_closed(self) -> bool:
        """Wait for the end of the connection; whatever the server still sent is dropped."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        return True

    def close(self) -> None:
        self.socket.close()


@contextlib.contextmanager
def running(app: Any, **settings: Any) -> Iterator[Server]:
    """Run a server in a thread; at the end it must stop with nothing left behind."""
    limits: dict[str, Any] = {"threads": 2, "drain_s": 2.0, "shutdown_s": 5.0, **settings}
    server = Server(app, ServeConfig("127.0.0.1", 0, **limits))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        if isinstance(app, App):
            app.release.set()
        server.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert server.reception.budget.used_bytes == 0
    assert server.held_answers.used_bytes == 0


@contextlib.contextmanager
def connected(server: Server) -> Iterator[Client]:
    client = Client(server.port)
    try:
        yield client
    finally:
        client.close()


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def post(path: str, size: int, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: test", f"Content-Length: {size}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()


CHUNKED = b"POST /c HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}".encode() + b"\r\n" + data + b"\r\n"


def spooled_files(directory: Path) -> list[str]:
    """Open files of this process in `directory`, those without a name included."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(link.readlink())
            if target.startswith(str(directory)):
                found.append(target)
    return found


# What is received


def test_body_arrives_whole() -> None:
    with running(App()) as server, connected(server) as client:
        client.send(post("/", 3 * MIB) + b"x" * (3 * MIB))
        report = client.report()
    assert (report["length"], report["flags"]) == (3 * MIB, {})


def test_chunked_body_arrives_whole_with_its_length() -> None:
    with running(App()) as server, connected(server) as client:
        client.send(CHUNKED + chunk(b"a" * 70_000) + chunk(b"b") + b"0\r\n\r\n")
        report = client.report()
    assert (report["length"], report["content_length"]) == (70_001, "70001")


def test_large_body_lies_in_the_spool_folder_and_is_gone_after_the_answer(tmp_path: Path) -> None:
    spool = tmp_path / "made by the server"
    with running(App(), spool_dir=spool) as server, connected(server) as client:
        client.send(post("/", 2 * MIB) + b"x" * MIB)
        eventually(lambda: spooled_files(spool))
        client.send(b"x" * MIB)
        assert client.report()["length"] == 2 * MIB
        eventually(lambda: not spooled_files(spool))
    assert list(spool.iterdir()) == []


def test_small_body_never_touches_the_disk(tmp_path: Path) -> None:
    app = App()
    with running(app, spool_dir=tmp_path) as server, connected(server) as client:
        client.send(post("/wait", 1000) + b"x" * 1000)
        assert app.entered.wait(PATIENCE_S)
        assert spooled_files(tmp_path) == []


def test_body_of_a_client_that_left_is_given_back(tmp_path: Path) -> None:
    with running(App(), spool_dir=tmp_path) as server:
        with connected(server) as client:
            client.send(post("/", 2 * MIB) + b"x" * MIB)
            eventually(lambda: spooled_files(tmp_path))
        eventually(lambda: server.reception.budget.used_bytes == 0)
        assert spooled_files(tmp_path) == []


def test_forwarded_headers_reach_the_application() -> None:
    with running(App()) as server, connected(server) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
        assert client.report()["forwarded"] == "192.0.2.1"


# Early answers


def test_too_large_body_is_answered_at_the_headers() -> None:
    with running(App()) as server, connected(server) as client:
        client.send(post("/rmbg", 80 * MIB) + b"x" * MIB)
        response, body = client.answer()
        report = json.loads(body)
        assert report["flags"] == {"body_too_large": 80 * MIB}
        assert (report["length"], report["content_length"]) == (0, "0")
        assert response.getheader("Connection") == "close"
        client.send(b"x" * (50 * MIB))  # the server reads on, so this raises nothing


def test_length_beyond_every_disk_is_a_body_over_the_cap() -> None:
    with running(App()) as server:
        for size in (sys.maxsize - 1, sys.maxsize, 10**30, 10**400):
            with connected(server) as client:
                client.send(post("/rmbg", size))
                flags = client.report()["flags"]
                assert flags == {"body_too_large": min(size, sys.maxsize)}


def test_answer_is_readable_for_a_client_that_writes_everything_first() -> None:
    with running(App(), body_cap_bytes=MIB) as server, connected(server) as client:
        client.send(post("/rmbg", 30 * MIB) + b"x" * (30 * MIB))
        assert client.report()["flags"] == {"body_too_large": 30 * MIB}
        assert client.socket.recv(1) == b""


def test_body_of_exactly_the_cap_is_received() -> None:
    with running(App(), body_cap_bytes=1000) as server:
        with connected(server) as client:
            client.send(post("/", 1000) + b"x" * 1000)
            assert client.report()["length"] == 1000
        with connected(server) as client:
            client.send(post("/", 1001))
            assert client.report()["flags"] == {"body_too_large": 1001}


def test_rest_of_a_refused_body_is_never_taken_for_a_request() -> None:
    app = App()
    with running(app, body_cap_bytes=100) as server, connected(server) as client:
        client.send(post("/", 5000) + get("/smuggled"))
        client.report()
        client.send(get("/smuggled-later"))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.is_closed()
    assert app.paths == ["/"]


def test_chunked_body_over_the_cap_is_answered_while_it_arrives() -> None:
    with running(App(), body_cap_bytes=MIB) as server, connected(server) as client:
        client.send(CHUNKED + chunk(b"x" * (2 * MIB)))
        response, body = client.answer()
        assert json.loads(body)["flags"] == {"chunked_too_large": True}
        assert json.loads(body)["length"] == 0
        assert response.getheader("Connection") == "close"
        assert server.reception.budget.used_bytes == 0


def test_full_spool_is_answered_at_the_headers_and_becomes_free_again() -> None:
    with running(App(), spool_budget_bytes=MIB) as server:
        with connected(server) as first, connected(server) as second:
            first.send(post("/", 800_000) + b"x" * 400_000)
            eventually(lambda: server.reception.budget.used_bytes >= 400_000)
            second.send(post("/", 800_000))
            assert second.report()["flags"] == {"spool_full": True}
            first.send(b"x" * 400_000)
            assert first.report()["length"] == 800_000
        eventually(lambda: server.reception.budget.used_bytes == 0)
        with connected(server) as third:
            third.send(post("/", 800_000) + b"x" * 800_000)
            assert third.report()["length"] == 800_000


def test_chunked_body_that_outgrows_the_spool_is_refused() -> None:
    with running(App(), spool_budget_bytes=2 * MIB) as server, connected(server) as client:
        client.send(CHUNKED + chunk(b"x" * (3 * MIB)))
        assert client.report()["flags"] == {"spool_full": True}
        assert server.reception.budget.used_bytes == 0


def expecting(server: Server, size: int) -> Client:
    """Return a client that was asked for its body of so many bytes, and has sent none of it."""
    client = Client(server.port)
    client.send(post("/", size, "Expect: 100-continue"))
    assert client.socket.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    return client


def test_uploads_that_only_declare_keep_no_room_from_others() -> None:
    with running(App(), spool_budget_bytes=4 * MIB) as server, contextlib.ExitStack() as stack:
        for client in [expecting(server, 4 * MIB) for _ in range(3)]:
            stack.enter_context(contextlib.closing(client)).send(b"x" * 100_000)
        other = stack.enter_context(connected(server))
        other.send(post("/", 3 * MIB) + b"x" * (3 * MIB))
        assert other.report()["length"] == 3 * MIB


def test_upload_that_comes_fast_has_its_place_until_it_falls_behind() -> None:
    budget_bytes, size = 8 * MIB, 6 * MIB
    with (
        running(App(), spool_budget_bytes=budget_bytes) as server,
        connected(server) as first,
        connected(server) as second,
    ):
        spool = server.reception.budget
        first.send(post("/", size) + b"x" * (2 * MIB))
        eventually(lambda: spool.used_bytes == size)
        second.send(post("/", 3 * MIB))
        assert second.report()["flags"] == {"spool_full": True}
        (request,) = [one.request for one in server._connections() if one.request is not None]
        request.began -= 60
        eventually(lambda: spool.used_bytes == 2 * MIB)
        first.send(b"x" * (size - 2 * MIB))
        assert first.report()["length"] == size


def test_of_many_uploads_at_once_as_many_as_fit_arrive() -> None:
    size, fit = 6 * MIB, 3
    with (
        running(App(), spool_budget_bytes=fit * size + MIB, drain_s=PATIENCE_S) as server,
        ThreadPoolExecutor(8) as crowd,
    ):
        clients = [expecting(server, size) for _ in range(8)]

        def report(client: Client) -> dict[str, Any]:
            with contextlib.closing(client):
                client.send(b"x" * size)
                return client.report()

        reports = list(crowd.map(report, clients))
    arrived = [one for one in reports if one["length"] == size]
    refused = [one for one in reports if one["flags"] == {"spool_full": True}]
    assert len(arrived) >= fit
    assert len(arrived) + len(refused) == len(clients)


def test_body_that_stays_in_memory_needs_no_room_in_the_spool() -> None:
    with running(App(), spool_budget_bytes=0) as server, connected(server) as client:
        client.send(post("/", 60_000) + b"x" * 60_000)
        assert client.report()["length"] == 60_000
        client.send(CHUNKED + chunk(b"x" * 60_000) + b"0\r\n\r\n")
        assert client.report()["length"] == 60_000


def test_chunk_over_the_cap_is_refused_when_it_is_declared() -> None:
    with running(App(), body_cap_bytes=MIB) as server, connected(server) as client:
        client.send(CHUNKED + chunk(b"x") + b"fffff0\r\n")
        assert client.report()["flags"] == {"chunked_too_large": True}


def test_spool_folder_that_cannot_be_written_is_a_full_spool(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with running(App(), spool_dir=spool) as server, connected(server) as client:
        spool.rmdir()
        client.send(post("/", MIB) + b"x" * MIB)
        assert client.report()["flags"] == {"spool_full": True}


def test_early_answer_does_not_wait_for_busy_workers() -> None:
    app = App()
    with running(app, threads=1) as server, connected(server) as slow, connected(server) as early:
        slow.send(get("/wait"))
        assert app.entered.wait(PATIENCE_S)
        early.send(post("/rmbg", 100 * MIB))
        assert early.report()["flags"] == {"body_too_large": 100 * MIB}
        app.release.set()
        assert slow.report()["method"] == "GET"


def test_the_question_whether_it_lives_does_not_wait_for_busy_workers() -> None:
    app = App()
    with running(app, threads=1) as server, connected(server) as slow, connected(server) as other:
        slow.send(get("/wait"))
        assert app.entered.wait(PATIENCE_S)
        other.socket.settimeout(PATIENCE_S / 2)  # before the worker gives up
        other.send(get("/health"))
        assert other.report()["method"] == "GET"


def test_client_that_expects_continue_gets_it_only_when_its_body_is_wanted() -> None:
    with running(App(), body_cap_bytes=1000) as server:
        with connected(server) as client:
            client.send(post("/", 1000, "Expect: 100-continue"))
            assert client.socket.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(b"x" * 1000)
            assert client.report()["length"] == 1000
        with connected(server) as client:
            client.send(post("/", 2000, "Expect: 100-continue"))
            assert client.socket.recv(12) == b"HTTP/1.1 200"


def test_client_that_expects_continue_may_send_no_body() -> None:
    with running(App()) as server, connected(server) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n\r\n")
        assert client.report()["length"] == 0


def test_draining_ends_after_so_many_bytes() -> None:
    limits = {"body_cap_bytes": 1, "drain_bytes": MIB, "drain_s": PATIENCE_S}
    with running(App(), **limits) as server, connected(server) as client:
        client.send(post("/", 500 * MIB))
        client.report()
        with pytest.raises(ConnectionError):
            client.send(b"x" * (100 * MIB))


def test_draining_ends_after_so_many_seconds() -> None:
    with running(App(), body_cap_bytes=1, drain_s=0.2) as server, connected(server) as client:
        client.send(post("/", 500 * MIB))
        client.report()

        def is_reset() -> bool:
            try:
                client.send(b"x")
            except ConnectionError:
                return True
            return False

        eventually(is_reset)


@pytest.mark.wire
@pytest.mark.parametrize(
    "header", ["Expect: 100-continue", "Expect:", "Transfer-Encoding: chunked"]
)
def test_curl_reads_the_answer_to_an_upload_that_is_too_large(tmp_path: Path, header: str) -> None:
    photo = tmp_path / "photo"
    with photo.open("wb") as file:
        file.truncate(80 * MIB)
    with running(App()) as server:
        result = subprocess.run(
            ["curl", "-sS", "-H", header, "--data-binary", f"@{photo}", server.url],
            capture_output=True,
            check=True,
            timeout=PATIENCE_S,
        )
    flags = json.loads(result.stdout)["flags"]
    assert flags in ({"body_too_large": 80 * MIB}, {"chunked_too_large": True})


# Refusals of requests that are not HTTP

MALFORMED = {
    "request line": (b"nonsense\r\n\r\n", 400),
    "lower-case method": (b"get / HTTP/1.1\r\n\r\n", 400),
    "header without a colon": (b"GET / HTTP/1.1\r\nHost\r\n\r\n", 400),
    "space before the colon": (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    "bare line feed": (b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400),
    "folded line": (b"GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", 400),
    "bad host in the target": (b"GET http://[x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "signed length": (b"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\nhello", 400),
    "two lengths": (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    "endless length": (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 6000 + b"\r\n\r\n", 400),
    "length and chunks": (CHUNKED[:-2] + b"Content-Length: 5\r\n\r\n0\r\n\r\n", 400),
    "chunked twice": (CHUNKED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked in HTTP/1.0": (CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n", 400),
    "no encoding but a length": (
        b"POST / HTTP/1.1\r\nTransfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello",
        400,
    ),
    "chunk size": (CHUNKED + b"xyz\r\n", 400),
    "chunk without its end": (CHUNKED + b"1\r\nabc\r\n", 400),
    "endless chunk line": (CHUNKED + b"1;" + b"x" * 20_000, 400),
    "mostly chunk sizes": (CHUNKED + chunk(b"x") * 20_000, 400),
    "unknown encoding": (CHUNKED.replace(b"chunked", b"gzip"), 501),
    "too many headers": (b"GET / HTTP/1.1\r\nA: " + b"x" * 40_000 + b"\r\n\r\n", 431),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_request_that_is_not_http_is_refused_in_the_shape_of_the_api(name: str) -> None:
    data, status = MALFORMED[name]
    app = App()
    with running(app) as server, connected(server) as client:
        client.send(data + b"\r\n" + get("/smuggled"))
        response, body = client.answer()
        assert client.socket.recv(1) == b""
    error = json.loads(body)
    assert (response.status, error["status"]) == (status, status)
    assert error.keys() == {"error", "status", "code", "request_id"}
    assert response.getheader("X-Request-Id") == error["request_id"]
    assert response.getheader("Content-Type") == "application/json"
    assert response.getheader("X-Credits-Charged") == "0"
    assert response.getheader("Cache-Control") == "no-store"
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert response.getheader("Access-Control-Allow-Origin") == "*"
    assert response.getheader("Connection") == "close"
    assert app.paths == []


def test_request_whose_head_cannot_be_read_can_be_logged() -> None:
    reception = Reception(Budget(0), None, body_cap_bytes=0)
    request = IncomingRequest(Adjustments(), reception=reception)
    request.received(b"GARBAGE\r\n\r\n")
    assert request.error is not None
    assert request.path == ""  # what waitress writes when the client does not wait for its 400


def test_crash_of_the_application_gives_nothing_away() -> None:
    with running(App()) as server, connected(server) as client:
        client.send(get("/crash"))
        response, body = client.answer()
    error = json.loads(body)
    assert (response.status, error["error"], error["code"]) == (
        500,
        "Internal server error",
        "internal_error",
    )
    assert response.getheader("Server") is None
    for detail in (b"secret", b"waitress", b"Traceback"):
        assert detail not in body


# Keep-alive, pipelining, HEAD


def test_connection_is_used_again() -> None:
    with running(App()) as server, connected(server) as client:
        for size in (0, 5, 200_000):
            client.send(post("/", size) + b"x" * size)
            response, body = client.answer()
            assert json.loads(body)["length"] == size
            assert response.getheader("Connection") is None
            assert response.getheader("Server") is None


def test_pipelined_requests_are_answered_in_order() -> None:
    app = App()
    with running(app, body_cap_bytes=100) as server, connected(server) as client:
        client.send(get("/1") + post("/2", 3) + b"abc" + get("/3") + post("/4", 999) + get("/5"))
        # One reader for all answers, because it may read ahead.
        with client.socket.makefile("rb") as stream:
            text = stream.read().decode()
    assert app.paths == ["/1", "/2", "/3", "/4"]
    assert text.count("HTTP/1.1 200 OK") == 4
    assert text.count("Connection: close") == 1
    assert text.index('"length": 3') < text.index("body_too_large")


def test_head_has_the_length_and_no_body() -> None:
    with running(App()) as server, connected(server) as client:
        client.send(get("/", "HEAD") + get("/"))
        with client.socket.makefile("rb") as stream:
            assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
            headers = list(iter(stream.readline, b"\r\n"))
            assert any(line.startswith(b"Content-Length: ") for line in headers)
            assert stream.readline() == b"HTTP/1.1 200 OK\r\n"


def test_http_1_0_is_closed_after_the_answer() -> None:
    with running(App()) as server, connected(server) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.report()["method"] == "GET"
        assert client.socket.recv(1) == b""


# Large answers


@pytest.mark.parametrize("held_bytes", [256 * MIB, 0])
def test_large_answer_arrives_whole(held_bytes: int, tmp_path: Path) -> None:
    with running(App(), spool_dir=tmp_path) as server, connected(server) as client:
        server.held_answers = Budget(held_bytes)
        for listener in server._listeners:
            listener.held_answers = server.held_answers
        client.send(get("/large"))
        _, body = client.answer()
        eventually(lambda: not spooled_files(tmp_path))
        eventually(lambda: server.held_answers.used_bytes == 0)
    assert body == b"x" * (40 * MIB)


def test_answer_is_sent_from_where_it_lies() -> None:
    data = b"0123456789"
    held = HeldBytes(data, budget := Budget(100))
    assert budget.reserve(len(data))
    part = held.get(4)
    assert (part.obj is data, bytes(part)) == (True, b"0123")
    held.skip(4, True)
    assert (bytes(held.get()), len(held)) == (b"456789", 6)
    held.close()
    held.close()
    assert budget.used_bytes == 0


def test_memory_of_an_unread_answer_is_given_back_when_the_client_leaves() -> None:
    with running(App()) as server:
        with connected(server) as client:
            client.send(get("/large"))
            eventually(lambda: server.held_answers.used_bytes == 40 * MIB)
        eventually(lambda: server.held_answers.used_bytes == 0)


# Clients that are slow, leave, or are too many


def test_client_that_leaves_is_known_to_the_application() -> None:
    app = App()
    with running(app) as server:
        with connected(server) as client:
            client.send(get("/leave") + b"GET /pipelined HT")
            assert app.entered.wait(PATIENCE_S)
        assert app.saw_client_leave.wait(PATIENCE_S)


def test_client_that_stops_in_the_middle_of_a_body_is_closed() -> None:
    with running(App(), channel_timeout_s=0.3) as server, connected(server) as client:
        client.send(post("/", 1000) + b"x")
        assert client.is_closed()
        assert server.reception.budget.used_bytes == 0


def test_idle_connection_is_closed() -> None:
    with running(App(), idle_timeout_s=0.3) as server, connected(server) as client:
        client.send(get("/"))
        client.report()
        assert client.is_closed()


def test_short_idle_time_does_not_cut_off_a_request_that_pauses() -> None:
    with running(App(), idle_timeout_s=0.2) as server, connected(server) as client:
        client.send(post("/", 2) + b"x")
        time.sleep(0.8)
        client.send(b"y")
        assert client.report()["method"] == "POST"


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n", post("/", 100_000)])
def test_trickle_of_bytes_does_not_hold_a_connection(start: bytes) -> None:
    with running(App(), channel_timeout_s=0.3) as server, connected(server) as client:
        client.send(start)

        def is_closed() -> bool:
            try:
                client.send(b"x")
            except ConnectionError:
                return True
            return False

        eventually(is_closed)


def test_client_that_does_not_read_its_answers_holds_one_and_no_worker() -> None:
    app = App()
    with (
        running(app, threads=1) as server,
        connected(server) as deaf,
        connected(server) as other,
    ):
        deaf.send(get("/large") * 3)
        eventually(lambda: server.held_answers.used_bytes)
        other.send(get("/"))
        assert other.report()["method"] == "GET"
        assert app.paths == ["/large", "/"]
        assert server.held_answers.used_bytes == 40 * MIB
        with deaf.socket.makefile("rb") as stream:  # one reader for all, because it reads ahead
            for _ in range(3):
                assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
                while stream.readline() != b"\r\n":
                    pass
                assert len(stream.read(40 * MIB)) == 40 * MIB


def test_slow_reader_is_not_cut_off_while_the_kernel_holds_what_it_reads() -> None:
    with running(App(), channel_timeout_s=1.0) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        client.settimeout(PATIENCE_S)
        client.connect(("127.0.0.1", server.port))
        client.sendall(get("/large"))
        deadline, received = time.monotonic() + 2.5, 0
        while time.monotonic() < deadline:
            received += len(client.recv(4096))
            time.sleep(0.02)
        while received < 40 * MIB:
            part = client.recv(MIB)
            assert part, f"cut off after {received} bytes"
            received += len(part)


def test_client_that_resets_its_connection_after_the_answer_is_nothing_special(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running(App()) as server:
        for number in range(100):
            with connected(server) as client:
                linger = struct.pack("ii", 1, 0)
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                client.send(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                time.sleep(0.0002 * (number % 10))
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_what_was_pipelined_by_a_client_that_left_is_given_back() -> None:
    app = App()
    with running(app) as server:
        with connected(server) as client:
            client.send(get("/large") + post("/", 100_000) + b"x" * 100_000)
            eventually(lambda: server.held_answers.used_bytes)
            assert server.reception.budget.used_bytes == 100_000
        eventually(lambda: server.reception.budget.used_bytes == 0)


def test_timeout_does_not_close_a_connection_that_is_being_served() -> None:
    app = App()
    with running(app, channel_timeout_s=0.2) as server, connected(server) as client:
        client.send(get("/wait"))
        assert app.entered.wait(PATIENCE_S)
        time.sleep(0.6)
        app.release.set()
        assert client.report()["method"] == "GET"


def test_urgent_data_closes_the_connection() -> None:
    with running(App()) as server, connected(server) as client:
        client.socket.send(b"!", socket.MSG_OOB)
        assert client.is_closed()


def test_head_that_takes_too_long_is_closed_though_bytes_come() -> None:
    with running(App(), head_timeout_s=0.3) as server, connected(server) as client:
        client.send(post("/", 2) + b"x")
        with connected(server) as slow:
            slow.send(b"GET / HTTP/1.1\r\n")

            def is_closed() -> bool:
                try:
                    slow.send(b"x")
                except ConnectionError:
                    return True
                return False

            eventually(is_closed)
        client.send(b"y")
        assert client.report()["length"] == 2


def test_connection_over_the_limit_waits_for_a_free_place() -> None:
    app = App()
    with running(app, connection_limit=2) as server, contextlib.ExitStack() as stack:
        served, uploading = (stack.enter_context(connected(server)) for _ in range(2))
        served.send(get("/wait"))
        uploading.send(post("/", 2) + b"x")
        assert app.entered.wait(PATIENCE_S)
        eventually(lambda: len(server._connections()) == 2)
        late = stack.enter_context(connected(server))
        late.send(get("/"))
        late.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.socket.recv(1)
        late.socket.settimeout(PATIENCE_S)
        uploading.send(b"y")
        assert uploading.report()["length"] == 2
        assert late.report()["method"] == "GET"


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost"])
def test_connection_without_a_request_gives_way_at_the_limit(start: bytes) -> None:
    app, limits = App(), {"connection_limit": 2, "idle_timeout_s": 2 * PATIENCE_S}
    with running(app, **limits) as server, contextlib.ExitStack() as stack:
        served, waiting = (stack.enter_context(connected(server)) for _ in range(2))
        served.send(get("/wait"))
        waiting.send(start)
        assert app.entered.wait(PATIENCE_S)
        eventually(lambda: len(server._connections()) == 2)
        late = stack.enter_context(connected(server))
        late.send(get("/"))
        assert late.report()["method"] == "GET"
        assert waiting.is_closed()
        app.release.set()
        assert served.report()["method"] == "GET"


def test_body_that_comes_too_slowly_gives_way_at_the_limit() -> None:
    with (
        running(App(), connection_limit=1) as server,
        connected(server) as slow,
    ):
        slow.send(post("/", 100_000) + b"x")
        eventually(lambda: [one for one in server._connections() if one.request is not None])
        server._connections()[0].request.began -= 30
        with connected(server) as late:
            late.send(get("/"))
            assert late.report()["method"] == "GET"


# The spool's own arithmetic


def test_budget_takes_nothing_when_it_does_not_fit() -> None:
    budget = Budget(10)
    assert budget.reserve(10)
    assert not budget.reserve(1)
    budget.release(4)
    assert budget.reserve(4)
    assert budget.used_bytes == 10


def test_body_that_is_closed_takes_nothing_more() -> None:
    budget = Budget(10 * MIB)
    body = SpooledBody(budget, None, cap_bytes=100)
    body.append(b"x")
    body.close()
    body.close()
    body.append(b"x")
    assert budget.used_bytes == 0


# Starting and stopping


def test_port_in_use_is_told_in_a_sentence() -> None:
    with running(App()) as server, pytest.raises(ServeError, match="Address already in use"):
        Server(App(), ServeConfig("127.0.0.1", server.port, 1))


def test_unknown_host_is_told_in_a_sentence() -> None:
    with pytest.raises(ServeError, match="no such host"):
        Server(App(), ServeConfig("no host", 0, 1))


def test_spool_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ServeError, match="for uploads"):
        Server(App(), ServeConfig("127.0.0.1", 0, 1, spool_dir=file / "spool"))


def test_serve_works_outside_the_main_thread() -> None:
    app = App()
    ready = threading.Event()
    urls: list[str] = []

    def on_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    config = ServeConfig("127.0.0.1", 0, 1)
    threading.Thread(
        target=serve, args=(app, config), kwargs={"on_ready": on_ready}, daemon=True
    ).start()
    assert ready.wait(PATIENCE_S)
    client = Client(int(urls[0].rpartition(":")[2]))
    client.send(get("/"))
    assert client.report()["method"] == "GET"
    client.close()


def test_stopping_gives_up_on_requests_that_take_too_long() -> None:
    app = App()
    server = Server(app, ServeConfig("127.0.0.1", 0, 1, shutdown_s=0.2))
    thread = threading.Thread(target=server.run)
    thread.start()
    client = Client(server.port)
    client.send(get("/wait"))
    assert app.entered.wait(PATIENCE_S)
    server.stop()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    app.release.set()
    client.close()


PROGRAM = """
import sys, time
from pathlib import Path
from openrembg.server.serve import ServeConfig, serve

def app(environ, start_response):
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/wait":
        print("entered", flush=True)
        while not Path(sys.argv[1]).exists():
            time.sleep(0.01)
    answer = str(len(body)).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]

config = ServeConfig("127.0.0.1", 0, threads=2)
sys.exit(serve(app, config, on_ready=lambda url: print(url, flush=True)))
"""


@contextlib.contextmanager
def program(
    gate: Path, open_files: int | None = None
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    limit = f"ulimit -n {open_files}; " if open_files else ""
    process = subprocess.Popen(
        ["sh", "-c", f'{limit}exec "$@"', "sh", sys.executable, "-c", PROGRAM, str(gate)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline().rpartition(":")[2])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def refuses_connections(port: int) -> bool:
    try:
        Client(port).close()
    except ConnectionError:
        return True
    return False


def test_sigterm_lets_everything_in_flight_finish(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with program(gate) as (process, port):
        assert process.stdout is not None
        waiting, uploading, idle = (Client(port) for _ in range(3))
        idle.send(get("/"))
        assert idle.answer()[1] == b"0"
        uploading.send(post("/", 100_000, "Expect: 100-continue"))
        assert uploading.socket.recv(100).startswith(b"HTTP/1.1 100")
        uploading.send(b"x" * 50_000)
        waiting.send(get("/wait"))
        assert process.stdout.readline() == "entered\n"
        process.send_signal(signal.SIGTERM)
        assert idle.is_closed()
        eventually(lambda: refuses_connections(port))
        uploading.send(b"x" * 50_000)
        response, body = uploading.answer()
        assert (body, response.getheader("Connection")) == (b"100000", "close")
        gate.touch()
        assert waiting.answer()[1] == b"0"
        for client in (waiting, uploading, idle):
            client.close()
        assert process.wait(PATIENCE_S) == 0


def test_second_signal_exits_at_once(tmp_path: Path) -> None:
    with program(tmp_path / "never") as (process, port):
        assert process.stdout is not None
        client = Client(port)
        client.send(get("/wait"))
        assert process.stdout.readline() == "entered\n"
        process.send_signal(signal.SIGINT)
        eventually(lambda: refuses_connections(port))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 128 + signal.SIGTERM
        client.close()


def test_more_connections_than_open_files_wait_for_a_free_place(tmp_path: Path) -> None:
    places = 10
    with (
        program(tmp_path / "gate", open_files=256 + 3 * places) as (process, port),
        contextlib.ExitStack() as stack,
    ):
        seated = [stack.enter_context(contextlib.closing(Client(port))) for _ in range(places)]
        for client in seated:
            client.send(post("/", 2) + b"x")
        late = stack.enter_context(contextlib.closing(Client(port)))
        late.send(get("/"))
        late.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.socket.recv(1)
        late.socket.settimeout(PATIENCE_S)
        seated[0].send(b"y")
        assert seated[0].answer()[1] == b"2"
        assert late.answer()[1] == b"0"
        for client in seated:
            client.close()
        process.terminate()
        assert process.stderr is not None
        assert f"serving {places} connections" in process.stderr.read()


def test_request_that_waits_to_be_accepted_is_served_when_stopping() -> None:
    app = App()
    server = Server(app, ServeConfig("127.0.0.1", 0, 1, drain_s=0.1))
    client = Client(server.port)
    client.send(get("/"))
    server.stop()
    server.run()
    assert client.report()["method"] == "GET"
    client.close()
    assert app.paths == ["/"]
