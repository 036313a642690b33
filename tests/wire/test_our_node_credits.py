"""Our Node client under an API key: what it costs, what it costs not twice, and usage()."""

import datetime as dt
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from manual_reader import key_on
from node_client_calls import call_node, run_script

from forms import send
from odd_server import (
    Behaviour,
    OddServer,
    answers,
    dies_at_once,
    dies_unanswered,
    odd_server,
    read_request,
    stays_silent,
)
from pictures import opened, picture
from services import NO_LIMITS, Service, openrembg_server

pytestmark = pytest.mark.wire

USAGE = {"membership": "Free", "credits": 50, "prepaidCredits": 0, "app_usage": 0, "api_usage": 1}
PERIOD = {"periodStartUnix": 1, "periodEndUnix": 2, "appUsage": 0, "apiUsage": 1}
CYCLE = PERIOD | {
    "includedCredits": 50,
    "prepaidCredits": 0,
    "usedIncludedCredits": 1,
    "remainingIncludedCredits": 49,
    "stripeBillingSynced": False,
}


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """A server, and the key of an account with credits on it."""
    with openrembg_server(tmp_path_factory.mktemp("paid"), NO_LIMITS) as running:
        yield running, key_on(running)


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(picture("JPEG"))
    return path


def ask(folder: Path, url: str, **call: Any) -> Any:
    """Return what usage() gives."""
    said = call_node(folder, url, driver={"usage": True}, **call).said
    assert "error" not in said, said["error"]
    return said["usage"]


def passed_on(server: Service, *, lost: bool = False) -> Behaviour:
    """Pass a request on to the server; lost: its answer never arrives."""

    def behave(odd: OddServer, line: socket.socket) -> None:
        request = read_request(odd, line)
        method, path, _ = request.line.split()
        answer = send(server, method, path, request.body, request.headers)
        if lost:
            return
        head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        line.sendall(f"HTTP/1.1 {answer.status} OK\r\n{head}\r\n".encode() + answer.body)

    return behave


def test_a_call_whose_answer_is_lost_is_paid_once(
    paid: tuple[Service, str], tmp_path: Path, photo_file: Path
) -> None:
    server, key = paid
    before = ask(tmp_path, server.url, apiKey=key)["api_usage"]
    with odd_server(
        passed_on(server, lost=True), answers({}, 502), dies_at_once, passed_on(server)
    ) as odd:
        outcome = call_node(tmp_path, odd.url, "path", photo_file, apiKey=key)
    assert opened(outcome.picture).format == "WEBP"
    assert (outcome.info["creditsCharged"], outcome.info["replayed"]) == (0, True)
    assert len({request.headers["idempotency-key"] for request in odd.requests}) == 1
    assert ask(tmp_path, server.url, apiKey=key)["api_usage"] == before + 1


def test_an_answer_that_was_lost_is_given_again(
    paid: tuple[Service, str], tmp_path: Path, photo_file: Path
) -> None:
    server, key = paid
    call = {"apiKey": key, "idempotencyKey": f"lost {tmp_path.name}"}
    first = call_node(tmp_path, server.url, "path", photo_file, **call)
    again = call_node(tmp_path, server.url, "path", photo_file, **call)
    assert (first.info["creditsCharged"], first.info["replayed"]) == (1, False)
    assert (again.info["creditsCharged"], again.info["replayed"]) == (0, True)
    assert first.picture == again.picture


def test_one_key_for_two_requests_is_refused(
    paid: tuple[Service, str], tmp_path: Path, photo_file: Path
) -> None:
    server, key = paid
    call: dict[str, Any] = {"apiKey": key, "idempotencyKey": f"two {tmp_path.name}"}
    call_node(tmp_path, server.url, "path", photo_file, **call)
    other = call_node(tmp_path, server.url, "path", photo_file, options={"w": 20}, **call)
    assert other.error["name"] == "OtherPayload"
    long = call_node(tmp_path, server.url, "path", photo_file, apiKey=key, idempotencyKey="x" * 256)
    assert long.error["name"] == "IdempotencyKeyTooLong"


def test_usage_tells_what_the_server_tells(paid: tuple[Service, str], tmp_path: Path) -> None:
    server, key = paid
    plain = ask(tmp_path, server.url, apiKey=key)
    assert (plain["membership"], plain["credits"], plain["prepaidCredits"]) == ("Many", 1000, 0)
    assert "billingCycle" not in plain
    cycle = ask(tmp_path, server.url, apiKey=key, billingCycle=True)["billingCycle"]
    assert (cycle["includedCredits"], cycle["stripeBillingSynced"]) == (1000, False)
    assert ask(tmp_path, server.url, apiKey=key, year=2020, month=1)["api_usage"] == 0
    at_start = ask(tmp_path, server.url, apiKey=key, periodStartUnix=1)
    assert at_start["api_usage"] == 0
    cycles = ask(tmp_path, server.url, apiKey=key, listBillingCycles=True)
    assert set(cycles) == {"billingCycles"}


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ({"month": 13}, "month"),
        ({"year": 0}, "year"),
        ({"periodStartUnix": 1, "year": 2020}, "periodStartUnix"),
    ],
)
def test_what_makes_no_sense_is_the_servers_to_refuse(
    paid: tuple[Service, str], tmp_path: Path, call: dict[str, Any], field: str
) -> None:
    server, key = paid
    outcome = call_node(tmp_path, server.url, driver={"usage": True}, apiKey=key, **call)
    assert (outcome.error["name"], outcome.error["field"]) == ("InvalidRequest", field)


def test_usage_needs_a_key(paid: tuple[Service, str], tmp_path: Path) -> None:
    for call in ({}, {"apiKey": "wrong"}, {"apiKey": None}):
        outcome = call_node(tmp_path, paid[0].url, driver={"usage": True}, **call)
        assert outcome.error["name"] == "InvalidKey"
    outcome = call_node(tmp_path, paid[0].url, driver={"usage": True}, apiKey="")
    assert "API key not provided" in outcome.error["message"]


def test_a_date_is_seconds(tmp_path: Path) -> None:
    script = """
    const { usage } = require(process.argv[1]);
    const [, , baseUrl] = process.argv;
    usage({ baseUrl, periodStartUnix: new Date("2026-11-01T00:00:00.900Z") })
      .then(() => usage({ baseUrl, periodStartUnix: new Date(NaN) }))
      .catch((error) => console.log(`${error.name}: ${error.message}`));
    """
    with odd_server(answers(USAGE)) as odd:
        said = run_script(script, odd.url, tmp_path)
    assert said == "InputError: ❌ periodStartUnix is not a valid Date.\n"
    seconds = int(dt.datetime(2026, 11, 1, tzinfo=dt.UTC).timestamp())
    assert [request.line for request in odd.requests] == [
        f"GET /api/membership-usage?periodStartUnix={seconds} HTTP/1.1"
    ]


def test_usage_is_asked_for_again_when_the_line_breaks(tmp_path: Path) -> None:
    with odd_server(dies_unanswered, answers({}, 503), answers(USAGE)) as odd:
        assert ask(tmp_path, odd.url) == USAGE
    assert len(odd.requests) == 3


def test_usage_keeps_what_it_does_not_know(tmp_path: Path) -> None:
    with odd_server(answers({**USAGE, "new": [1]})) as odd:
        assert ask(tmp_path, odd.url)["new"] == [1]


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "headers", "call"),
    [
        (b"<html>", {"Content-Type": "text/html"}, {}),
        (b"{", JSON, {}),
        (b"null", JSON, {}),
        (b"[]", JSON, {}),
        (json.dumps({**USAGE, "credits": "50"}).encode(), JSON, {}),
        (json.dumps({**USAGE, "credits": 1.5}).encode(), JSON, {}),
        (json.dumps(USAGE).encode(), JSON, {"billingCycle": True}),
        (json.dumps({**USAGE, "billingCycle": PERIOD}).encode(), JSON, {"billingCycle": True}),
        (json.dumps(USAGE).encode(), JSON, {"listBillingCycles": True}),
        (b'{"billingCycles": [{}]}', JSON, {"listBillingCycles": True}),
        (b" " * (16 * 1024 * 1024 + 1), JSON, {}),
    ],
)
def test_an_answer_that_tells_no_usage_is_refused(
    tmp_path: Path, body: bytes, headers: dict[str, str], call: dict[str, Any]
) -> None:
    with odd_server(answers(body, headers=headers)) as odd:
        outcome = call_node(tmp_path, odd.url, driver={"usage": True}, **call)
    assert outcome.error["name"] == "UnexpectedAnswer"
    assert outcome.error["message"].startswith("❌ The server answered with ")


def test_whole_answers_are_taken(tmp_path: Path) -> None:
    whole = {**USAGE, "billingCycle": CYCLE}
    with odd_server(answers(whole), answers({"billingCycles": [PERIOD]})) as odd:
        assert ask(tmp_path, odd.url, billingCycle=True) == whole
        assert ask(tmp_path, odd.url, listBillingCycles=True) == {"billingCycles": [PERIOD]}


def test_usage_ends_in_time_and_when_it_is_aborted(tmp_path: Path) -> None:
    with odd_server(stays_silent) as odd:
        late = call_node(tmp_path, odd.url, driver={"usage": True}, timeout=300)
        aborted = call_node(tmp_path, odd.url, driver={"usage": True, "abort": 300})
    assert (late.error["name"], aborted.error["name"]) == ("TimedOut", "AbortError")
