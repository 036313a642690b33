"""Lines that break and servers that are away, slow or mad: what is tried again, and what is not."""

import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from odd_server import (
    WEBP,
    OddServer,
    answers,
    dies_after,
    dies_at_once,
    dies_unanswered,
    drips,
    odd_server,
    read_head,
    read_request,
    refuses_early,
    stays_silent,
    talks_nonsense,
)
from openrembg.client import (
    APIError,
    Client,
    ConnectionFailed,
    DailyLimit,
    Internal,
    InvalidKey,
    MonthlyLimit,
    Progress,
    RateLimited,
    StillRunning,
    TimedOut,
    TooFast,
    UnexpectedAnswer,
)
from pictures import picture
from services import HOST, Service, free_port

LARGE = b"BM" + bytes((50 << 20) - 2)
REFUSED = {"error": "invalid api key", "code": "invalid_api_key", "status": 401}
NOW = {"Retry-After": "0"}


def coded(code: str, status: int, headers: Any = NOW) -> Any:
    return answers({"error": "No", "code": code, "status": status}, status, headers)


PASSING = [
    dies_at_once,
    dies_unanswered,
    dies_after(b"part", 100),
    dies_after(b"", 100),
    answers(b"<html>", 502, NOW),
    answers(b"", 503, NOW),
    answers({"error": "Timeout"}, 504, NOW),
    coded("busy", 503),
    coded("rate_limited", 429),
    answers(b"", 429, NOW),
    coded("idempotency_key_in_use", 409),
]


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_tried_again_under_the_same_key(ask: Any, fault: Any) -> None:
    with odd_server(fault, answers(WEBP)) as odd:
        told = ask("remove_background", b"photo", base_url=odd.url, key="k")
    assert told.data == WEBP
    assert len({request.headers["idempotency-key"] for request in odd.requests}) == 1
    assert len({request.sha256 for request in odd.requests}) == 1


def test_an_anonymous_call_is_tried_again_too(ask: Any) -> None:
    with odd_server(dies_unanswered, answers(WEBP)) as odd:
        assert ask("remove_background", b"photo", base_url=odd.url).data == WEBP


def test_usage_is_asked_again_too(ask: Any) -> None:
    with odd_server(dies_at_once, answers({"billingCycles": []})) as odd:
        assert ask("billing_cycles", base_url=odd.url, key="k") == ()


LASTING = [
    (coded("invalid_request", 400), APIError),
    (coded("invalid_api_key", 401), InvalidKey),
    (coded("internal", 500), Internal),
    (coded("daily_limit", 429), DailyLimit),
    (coded("monthly_limit", 429), MonthlyLimit),
    (coded("key_cap", 429), MonthlyLimit),
    (answers(b"", 429), RateLimited),
    (answers({"error": "Conflict"}, 409, NOW), StillRunning),
    (coded("idempotency_key_reused", 422), APIError),
    (answers(b"", 408, NOW), APIError),
    (answers(b"<html>", 200, {"Content-Type": "text/html"}), UnexpectedAnswer),
    (talks_nonsense, UnexpectedAnswer),
]


@pytest.mark.parametrize(("fault", "kind"), LASTING)
def test_what_lasts_is_asked_once(ask: Any, fault: Any, kind: type) -> None:
    with odd_server(fault) as odd, pytest.raises(kind):
        ask("remove_background", b"photo", base_url=odd.url, key="k")
    assert len(odd.requests) == 1


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_so_many_retries_as_asked_for_are_made(ask: Any, retries: int) -> None:
    with odd_server(coded("busy", 503)) as odd, pytest.raises(APIError):
        ask("remove_background", b"photo", base_url=odd.url, key="k", retries=retries)
    assert len(odd.requests) == retries + 1


def test_the_error_of_the_last_attempt_is_told(ask: Any) -> None:
    with odd_server(dies_unanswered, coded("rate_limited", 429)) as odd, pytest.raises(TooFast):
        ask("remove_background", b"photo", base_url=odd.url, key="k", retries=1)


def passes_on(service: Service, part: int | None = None) -> Any:
    """Let a server of ours answer; only the first `part` bytes arrive, then the line is cut."""

    def behave(server: OddServer, line: socket.socket) -> None:
        request = read_request(server, line)
        kept = {**request.headers, "connection": "close"}
        lines = [request.line, *(f"{name}: {value}" for name, value in kept.items()), "", ""]
        with socket.create_connection((HOST, service.port)) as onward:
            onward.sendall("\r\n".join(lines).encode("latin-1") + request.body)
            with onward.makefile("rb") as answer:
                line.sendall(answer.read()[:part])

    return behave


def test_a_lost_answer_is_charged_once(ask: Any, start_server: Any) -> None:
    from manual_reader import key_on

    server = start_server()
    key = key_on(server)
    with odd_server(passes_on(server, 20), answers(b"", 502, NOW), passes_on(server)) as line:
        told = ask("remove_background", picture(), base_url=line.url, key=key)
    assert (told.foreground_detected, told.replayed, told.credits_charged) == (True, True, 0)
    assert ask("usage", base_url=server.url, key=key).api_usage == 1


def test_a_server_that_asks_to_wait_is_waited_for(ask: Any) -> None:
    with odd_server(coded("busy", 503, {"Retry-After": "1"}), answers(WEBP)) as odd:
        start = time.monotonic()
        ask("remove_background", b"photo", base_url=odd.url, key="k")
    assert time.monotonic() - start >= 1


def test_a_wait_that_does_not_fit_is_not_begun(ask: Any) -> None:
    with odd_server(coded("rate_limited", 429, {"Retry-After": "60"})) as odd:
        start = time.monotonic()
        with pytest.raises(TooFast) as caught:
            ask("remove_background", b"photo", base_url=odd.url, key="k", timeout_s=20)
    assert caught.value.retry_after_s == 60
    assert time.monotonic() - start < 15
    assert len(odd.requests) == 1


def test_nobody_at_the_address_is_said(ask: Any) -> None:
    with pytest.raises(
        ConnectionFailed, match=r"^http://127\.0\.0\.1:\d+ cannot be reached: Connection refused\.$"
    ) as caught:
        ask("remove_background", b"photo", base_url=f"http://{HOST}:{free_port()}", retries=0)
    assert (caught.value.may_pass, caught.value.reached) == (True, False)


def test_an_unknown_host_is_said(ask: Any) -> None:
    with pytest.raises(
        ConnectionFailed, match=r"^http://no\.such\.invalid cannot be reached"
    ) as caught:
        ask("remove_background", b"photo", base_url="http://no.such.invalid", retries=0)
    assert not caught.value.reached


def test_a_name_with_several_addresses_is_tried_at_each(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = socket.getaddrinfo

    def several(host: str, *rest: Any, **named: Any) -> Any:
        if host != "two.example":
            return found(host, *rest, **named)
        away = found("::1", *rest, **named)
        return away + found("127.0.0.2", *rest, **named) + found(HOST, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", several)
    with odd_server(answers(WEBP)) as odd:
        ask("remove_background", b"p", base_url=f"http://two.example:{odd.port}", retries=0)
        assert odd.requests[0].headers["host"] == f"two.example:{odd.port}"
    with pytest.raises(ConnectionFailed, match=r"cannot be reached: Connection refused\."):
        ask("remove_background", b"p", base_url=f"http://two.example:{odd.port}", retries=0)


def talks_slowly(server: OddServer, line: socket.socket) -> None:
    """Send headers for ever."""
    read_head(line)
    line.sendall(b"HTTP/1.1 200 OK\r\n")
    while not server.stopped.wait(0.02):
        line.sendall(b"X-More: and more\r\n")


def accepts_only(server: OddServer, line: socket.socket) -> None:
    """Read nothing."""
    server.stopped.wait()


SLOW = [stays_silent, drips(bytes(10_000)), talks_slowly, accepts_only]


@pytest.mark.parametrize("photo", [b"photo", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("behaviour", SLOW)
def test_a_slow_server_ends_with_the_time(ask: Any, behaviour: Any, photo: bytes) -> None:
    with odd_server(behaviour) as odd:
        start = time.monotonic()
        with pytest.raises(TimedOut, match="did not end within 2 seconds"):
            ask("remove_background", photo, base_url=odd.url, key="k", timeout_s=2)
        assert time.monotonic() - start < 30


def test_the_time_is_for_all_attempts(ask: Any) -> None:
    with odd_server(dies_at_once) as odd:
        start = time.monotonic()
        with pytest.raises(ConnectionFailed):
            ask("remove_background", b"p", base_url=odd.url, timeout_s=2, retries=1_000_000)
        assert time.monotonic() - start < 30


def resets(server: OddServer, line: socket.socket) -> None:
    """Answer early, then cut the line."""
    refuses_early_head(line)
    time.sleep(0.05)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reads_no_more(server: OddServer, line: socket.socket) -> None:
    """Answer early, and leave the rest of the body where it is."""
    refuses_early_head(line)
    server.stopped.wait()


def refuses_in_the_middle(server: OddServer, line: socket.socket) -> None:
    """Answer when the client has been stuck for a while."""
    read_head(line)
    server.stopped.wait(0.3)
    line.sendall(_refusal())
    server.stopped.wait()


def refuses_early_head(line: socket.socket) -> None:
    read_head(line)
    line.sendall(_refusal())


def _refusal() -> bytes:
    body = b'{"error": "invalid api key", "code": "invalid_api_key", "status": 401}'
    head = f"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


EARLY = [refuses_early(REFUSED, 401), resets, reads_no_more, refuses_in_the_middle]


@pytest.mark.parametrize("behaviour", EARLY)
def test_an_answer_while_the_upload_runs_is_heard(ask: Any, behaviour: Any) -> None:
    seen: list[Progress] = []
    with odd_server(behaviour) as odd, pytest.raises(InvalidKey, match="invalid api key"):
        ask("remove_background", LARGE, base_url=odd.url, key="k", on_upload=seen.append)
    assert seen[-1].loaded < len(LARGE)


def test_our_servers_refusal_of_a_large_upload_is_heard(ask: Any, server: Service) -> None:
    for _ in range(5):
        with pytest.raises(InvalidKey):
            ask("remove_background", LARGE, base_url=server.url, key="bad")


def test_an_interim_answer_does_not_end_the_upload(ask: Any) -> None:
    def interim(server: OddServer, line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        answers(WEBP)(server, line)

    with odd_server(interim) as odd:
        ask("remove_background", LARGE, base_url=odd.url, key="k", retries=0)
    assert odd.requests[0].size > len(LARGE)


def test_an_answer_after_an_interim_one_is_heard(ask: Any) -> None:
    def interim(server: OddServer, line: socket.socket) -> None:
        read_head(line)
        line.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n")
        server.stopped.wait(0.3)
        line.sendall(_refusal())
        server.stopped.wait()

    with odd_server(interim) as odd, pytest.raises(InvalidKey):
        ask("remove_background", LARGE, base_url=odd.url, key="k", retries=0, timeout_s=60)


def says_nothing_to_tls(server: OddServer, line: socket.socket) -> None:
    """Wait for the line's end, as a web server does for the end of a head."""
    while line.recv(1024):
        pass


def answers_in_plain_text(server: OddServer, line: socket.socket) -> None:
    """Refuse what is no HTTP."""
    line.recv(1024)
    line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("behaviour", [says_nothing_to_tls, answers_in_plain_text])
def test_a_server_without_tls_is_said_and_not_asked_again(
    ask: Any, monkeypatch: pytest.MonkeyPatch, behaviour: Any
) -> None:
    monkeypatch.setattr("openrembg.client.connections.CONNECT_S", 0.5)
    lines: list[None] = []

    def behave(server: OddServer, line: socket.socket) -> None:
        lines.append(None)
        behaviour(server, line)

    with odd_server(behave) as odd, pytest.raises(ConnectionFailed, match="not speak TLS") as told:
        ask("remove_background", b"photo", base_url=odd.url.replace("http", "https"))
    assert (told.value.may_pass, told.value.reached, len(lines)) == (False, False, 1)


def test_our_server_without_tls_is_said(
    ask: Any, server: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openrembg.client.connections.CONNECT_S", 2.0)
    with pytest.raises(ConnectionFailed, match="not speak TLS"):
        ask("usage", base_url=server.url.replace("http", "https"))


def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    with odd_server(answers(WEBP)) as odd, Client(base_url=odd.url, retries=0) as client:
        for _ in range(5):
            client.remove_background(b"photo")


def test_a_chunked_picture_is_believed_when_its_end_has_come(ask: Any) -> None:
    def chunked(*parts: bytes) -> Any:
        def behave(server: OddServer, line: socket.socket) -> None:
            read_request(server, line)
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: image/webp\r\n")
            line.sendall(b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
            for part in parts:
                line.sendall(b"%x\r\n%b\r\n" % (len(part), part))

        return behave

    seen: list[Progress] = []
    named = {"retries": 0, "on_download": seen.append}
    with odd_server(chunked(WEBP[:3], WEBP[3:], b"")) as odd:
        told = ask("remove_background", b"photo", base_url=odd.url, **named)
    assert told.data == WEBP
    assert (seen[-1].loaded, seen[-1].total, seen[-1].fraction) == (len(WEBP), None, None)
    with odd_server(chunked(b"pic")) as odd, pytest.raises(ConnectionFailed, match="broke"):
        ask("remove_background", b"photo", base_url=odd.url, **named)


def test_a_picture_whose_end_nobody_sees_is_not_believed(ask: Any) -> None:
    def endless(server: OddServer, line: socket.socket) -> None:
        read_head(line)
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\npicture")

    with odd_server(endless) as odd, pytest.raises(UnexpectedAnswer, match="without its length"):
        ask("remove_background", b"photo", base_url=odd.url)


def test_nothing_is_left_after_faults(ask: Any, tmp_path: Path, descriptors: Any) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(b"photo")
    before, threads = descriptors(), threading.active_count()
    for fault in (dies_at_once, dies_after(b"part", 9), stays_silent, talks_nonsense):
        with odd_server(fault) as odd, pytest.raises((ConnectionFailed, UnexpectedAnswer)):
            ask("remove_background", path, base_url=odd.url, retries=0, timeout_s=0.5)
    assert descriptors() == before
    deadline = time.monotonic() + 30
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= threads
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]
