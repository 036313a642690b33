"""What clients see through nginx with the files of deploy/nginx: the same, and no more."""

import http.client
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest
from nginx_house import name_server, nginx, upstream

from forms import FORM, Answer, field, form, photo, post, send, send_head
from houses import House, house, usage, wait_until
from pictures import picture
from services import HOST, NO_LIMITS, Service, free_port, program

MIB = 1024 * 1024
MAX_FILE = 50 * MIB
# These differ from answer to answer, or belong to one connection.
OWN_TO_EACH = {"date", "server", "server-timing", "connection", "keep-alive"}
# These tell seconds.
TICKING = {"ratelimit", "x-ratelimit-reset"}
TRUSTS = {"OPENREMBG_TRUSTED_PROXIES": f"{HOST}/32"}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Service, Service]]:
    """A house, a server in it, and nginx before that."""
    with house(tmp_path_factory.mktemp("gate")) as built:
        server = built.start(**NO_LIMITS, **TRUSTS)
        with nginx(upstream(server)) as gate:
            yield built, server, gate.service


@pytest.fixture(scope="module")
def key(two: tuple[House, Service, Service]) -> str:
    return two[0].member(included=5)


@pytest.fixture
def server(two: tuple[House, Service, Service]) -> Service:
    return two[1]


@pytest.fixture
def gate(two: tuple[House, Service, Service]) -> Service:
    return two[2]


def padded(size: int) -> bytes:
    """Return a JPEG that is followed by nothing until it has `size` bytes."""
    return picture("JPEG").ljust(size, b"\0")


def is_ours(answer: Answer, status: int) -> bool:
    """Return whether an error of nginx' is in the API's shape."""
    told = answer.json
    return (
        (answer.status, told["status"]) == (status, status)
        and set(told) == {"error", "status", "code", "request_id"}
        and answer.headers["Content-Type"] == "application/json"
        and answer.headers["X-Credits-Charged"] == "0"
        and answer.headers["X-Request-Id"] == told["request_id"]
        and answer.headers["Access-Control-Allow-Origin"] == "*"
    )


def comparable(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    headers |= dict.fromkeys(TICKING & set(headers), "")
    return answer.status, {n: v for n, v in headers.items() if n not in OWN_TO_EACH}, answer.body


REQUESTS: dict[str, tuple[str, str, bytes | None, dict[str, str]]] = {
    "a picture": ("POST", "/rmbg", form(photo(picture())), {"Content-Type": FORM}),
    "a mask": (
        "POST",
        "/api/rmbg",
        form(photo(picture()), field("mask", "1")),
        {"Content-Type": FORM},
    ),
    "a wrong field": (
        "POST",
        "/rmbg",
        form(photo(picture()), field("w", "x")),
        {"Content-Type": FORM},
    ),
    "a wrong key": (
        "POST",
        "/rmbg",
        form(photo(picture())),
        {"Content-Type": FORM, "X-Api-Key": "x"},
    ),
    "no form": ("POST", "/rmbg", b"{}", {"Content-Type": "application/json"}),
    "a preflight": ("OPTIONS", "/rmbg", None, {"Origin": "https://example.com"}),
    "a wrong method": ("DELETE", "/rmbg", None, {}),
    "the head of a page": ("HEAD", "/en/", None, {}),
    "a page, compressed": ("GET", "/en/api-usage/", None, {"Accept-Encoding": "gzip"}),
    "an unknown page": ("GET", "/nothing?a=%2F", None, {}),
    "an unknown route": ("GET", "/api/a%2Fb//c", None, {}),
    "the description": ("GET", "/api/openapi", None, {"Host": "pictures.example:81"}),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_answers_are_the_same_as_without_nginx(server: Service, gate: Service, name: str) -> None:
    method, path, body, headers = REQUESTS[name]
    headers = {"Host": "pictures.example", "X-Request-Id": "the-same", **headers}
    directly, through = (
        comparable(send(one, method, path, body, headers)) for one in (server, gate)
    )
    assert dict(set(through[1].items()) ^ set(directly[1].items())) == {}
    assert through == directly


def test_a_large_answer_comes_whole(server: Service, gate: Service) -> None:
    fields = [field("format", "bmp"), field("w", "4000"), field("h", "4000")]
    fields += [field("exact_resize", "1")]
    directly, through = (post(one, photo(picture("JPEG")), *fields) for one in (server, gate))
    assert through.status == 200
    assert len(through.body) > 40 * MIB
    assert through.body == directly.body


def test_files_may_be_as_large_as_the_server_takes_them(gate: Service) -> None:
    assert post(gate, photo(padded(MAX_FILE), "photo.jpg")).status == 200
    too_large = post(gate, photo(padded(MAX_FILE + 1), "photo.jpg"))
    assert too_large.status == 400
    assert "exceeds the maximum allowed size" in too_large.json["error"]
    body = form(photo(padded(MAX_FILE), "photo.jpg"))
    chunks = (body[start : start + MIB] for start in range(0, len(body), MIB))
    assert send(gate, "POST", "/rmbg", chunks, {"Content-Type": FORM}).status == 200


def test_bodies_of_any_length_are_refused_by_the_server_not_by_nginx(gate: Service) -> None:
    head = ("POST /rmbg HTTP/1.1", f"Content-Type: {FORM}", "Content-Length: 999999999")
    answer = send_head(gate, *head)
    assert answer.status == 400
    assert "exceeds the maximum allowed size of 50 MB" in answer.json["error"]
    endless = (b"\0" * MIB for _ in range(80))
    chunked = send(gate, "POST", "/rmbg", endless, {"Content-Type": FORM})
    assert (chunked.status, chunked.json["code"]) == (413, "body_too_large")


def test_a_slow_body_is_taken(gate: Service) -> None:
    body = form(photo(picture()))
    pieces = [
        body[start : start + len(body) // 6 + 1]
        for start in range(0, len(body), len(body) // 6 + 1)
    ]

    def slowly() -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            time.sleep(0.2)

    assert send(gate, "POST", "/rmbg", slowly(), {"Content-Type": FORM}).status == 200


def test_a_client_that_leaves_before_its_answer_pays_nothing(
    two: tuple[House, Service, Service], key: str
) -> None:
    built, server, gate = two
    body = form(photo(picture("JPEG", 3000, 3000)))
    head = f"POST /rmbg HTTP/1.1\r\nHost: x\r\nX-Api-Key: {key}\r\nContent-Type: {FORM}\r\n"
    with socket.create_connection((HOST, gate.port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(lambda: built.reservations() == 1)
    wait_until(lambda: built.reservations() == 0 and built.undelivered() == 0)
    assert usage(server, key)["api_usage"] == 0


def test_an_idempotency_key_passes(server: Service, gate: Service, key: str) -> None:
    headers = {"X-Api-Key": key, "Idempotency-Key": "order-1"}
    first, again = (post(gate, photo(picture()), headers=headers) for _ in range(2))
    assert first.body == again.body
    assert [one.headers["X-Credits-Charged"] for one in (first, again)] == ["1", "0"]
    assert usage(server, key)["api_usage"] == 1


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/ready", "//metrics", "/%6detrics", "/a/../ready", "/metrics?x", "/./ready"],
)
def test_what_is_for_machines_inside_is_not_answered(gate: Service, path: str) -> None:
    answer = send(gate, "GET", path)
    assert answer.status == 404
    assert b"process_" not in answer.body
    assert b"openvino" not in answer.body
    if path in ("/metrics", "/ready"):
        assert is_ours(answer, 404)


def raw(gate: Service, request: bytes) -> Answer:
    """Send bytes as they are."""
    with socket.create_connection((HOST, gate.port), timeout=30) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return Answer(answer.status, answer.headers, answer.read())


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"POST /rmbg HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: odd\r\n\r\n", 501),
        (b"POST /rmbg HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/4.0\r\nHost: a\r\n\r\n", 505),
    ],
)
def test_nginx_refuses_in_the_apis_shape(gate: Service, request_: bytes, status: int) -> None:
    assert is_ours(raw(gate, request_), status)


def test_with_no_server_there_the_answer_is_json_and_says_when_to_come_back() -> None:
    with nginx(f"upstream web {{ server {HOST}:{free_port()}; }}") as gate:
        answer = post(gate.service, photo(picture()))
    assert is_ours(answer, 502)
    assert answer.headers["Retry-After"] == "5"


def test_one_address_cannot_take_all_connections(server: Service) -> None:
    waits = {"limit_conn per_address 100": "limit_conn per_address 2"}
    head = f"POST /rmbg HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM}\r\nContent-Length: 99\r\n\r\n"
    with nginx(upstream(server), more=waits) as gate:
        with ExitStack() as stack:

            def is_full_with_one_more() -> bool:
                # A question for /health takes a place too, which one of these may have lacked.
                line = socket.create_connection((HOST, gate.service.port))
                stack.enter_context(line).sendall(head.encode())
                return send(gate.service, "GET", "/health").status == 429

            wait_until(is_full_with_one_more)
            answer = send(gate.service, "GET", "/health")
        wait_until(lambda: send(gate.service, "GET", "/health").status == 200)
    assert is_ours(answer, 429)
    assert (answer.headers["Retry-After"], answer.json["code"]) == ("1", "rate_limited")


def asked_from(gate: Service, address: str, headers: Mapping[str, str]) -> int:
    body = form(photo(picture()))
    with closing(http.client.HTTPConnection(HOST, gate.port, source_address=(address, 0))) as line:
        line.request("POST", "/rmbg", body, {"Content-Type": FORM, **headers})
        with line.getresponse() as answer:
            answer.read()
            return answer.status


def test_a_client_cannot_say_who_it_is(tmp_path: Path) -> None:
    one_a_day = {"OPENREMBG_ANONYMOUS_PER_MINUTE": "-1", "OPENREMBG_ANONYMOUS_PER_DAY": "1"}
    with house(tmp_path) as built, nginx(upstream(built.start(**one_a_day, **TRUSTS))) as gate:
        claims: list[dict[str, str]] = [
            {"X-Forwarded-For": "203.0.113.9"},
            {"X-Forwarded-For": f"203.0.113.9, {HOST}"},
            {"Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.9"},
            {"X_Forwarded_For": "203.0.113.9"},
        ]
        assert asked_from(gate.service, "127.0.0.7", {}) == 200
        assert [asked_from(gate.service, "127.0.0.7", claim) for claim in claims] == [429] * 4
        assert asked_from(gate.service, "127.0.0.8", {}) == 200


def test_a_client_cannot_say_what_is_traced_or_where_it_asked() -> None:
    trace = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "a=b"}
    with socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
        before = nginx(f"upstream web {{ server {HOST}:{port}; }}")
        with before as gate, ThreadPoolExecutor(1) as server:
            handed_on = server.submit(_one_head, listening)
            claims = {"X-Forwarded-Host": "evil.example", "Host": "cut.example"}
            answer = send(gate.service, "GET", "/x?a=b", headers={**trace, **claims})
            line, *headers = handed_on.result().lower().split("\r\n")
    assert answer.status == 204
    assert line == "get /x?a=b http/1.1"
    assert "host: cut.example" in headers
    assert [one for one in headers if one.startswith("trace") or "evil" in one] == []


def _one_head(listening: socket.socket) -> str:
    """Take one request without a body, answer 204, and return its head."""
    listening.settimeout(30)
    connection, _ = listening.accept()
    with connection:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(65536)
        connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    return head.decode()


def test_every_address_of_the_name_is_a_server_and_a_dead_one_is_passed_over(
    server: Service,
) -> None:
    with name_server(["127.0.0.66", HOST]) as dns:
        resolver = f"resolver {HOST}:{dns} valid=1s ipv6=off; resolver_timeout 2s;"
        with nginx(resolver, f"web.house:{server.port}") as gate:
            answers = [post(gate.service, photo(picture())) for _ in range(8)]
    assert [answer.status for answer in answers] == [200] * 8


def test_over_tls_http_2_and_the_way_there(server: Service, tmp_path: Path) -> None:
    sent = tmp_path / "photo.png"
    sent.write_bytes(picture())
    with nginx(upstream(server), listens="https") as gate:
        url = f"https://{HOST}:{gate.secure_port}/rmbg"
        command = [program("curl"), "-sk", "--http2", "-D", "-", "-o", str(tmp_path / "out")]
        done = subprocess.run(
            [*command, "-F", f"image=@{sent}", url], capture_output=True, text=True, check=True
        )
        there = send(gate.service, "GET", "/en/?a=b", headers={"Host": "pictures.example:80"})
    assert done.stdout.startswith("HTTP/2 200")
    assert "strict-transport-security: max-age=" in done.stdout
    assert (tmp_path / "out").read_bytes() == post(server, photo(picture())).body
    assert there.status == 308
    assert there.headers["Location"] == "https://pictures.example/en/?a=b"


def test_a_server_that_dies_breaks_what_it_had_and_one_that_stops_breaks_nothing(
    tmp_path: Path,
) -> None:
    with house(tmp_path) as built:
        first, second, third = (built.start(may_die=True, **NO_LIMITS) for _ in range(3))
        with nginx(upstream(first, second, third)) as gate, ThreadPoolExecutor(4) as crowd:

            def ask_while(happens: Callable[[], None]) -> list[Answer]:
                ask = partial(post, gate.service, photo(picture()))
                asked = [crowd.submit(ask) for _ in range(24)]
                wait_until(lambda: sum(one.done() for one in asked) > 4)
                happens()
                return [one.result() for one in asked]

            broken = [one for one in ask_while(first.process.kill) if one.status != 200]
            assert len(broken) <= 4
            assert all(is_ours(answer, 502) for answer in broken)
            stopped = ask_while(second.process.terminate)
            assert [answer.status for answer in stopped] == [200] * 24
            assert second.process.wait(60) == 0
