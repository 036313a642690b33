"""Our Node client before servers and lines that fail: clear errors, retries, an end in time."""

import email.utils
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from node_client_calls import WEBP, Outcome, call_node, run_script

from odd_server import (
    Behaviour,
    OddServer,
    answers,
    dies_after,
    dies_at_once,
    dies_unanswered,
    drips,
    odd_server,
    read_head,
    read_request,
    stays_silent,
    talks_nonsense,
)

pytestmark = pytest.mark.wire

CUT_OUT = WEBP
GOOD = answers(CUT_OUT)
BROKE_OFF = "❌ The answer broke off before its end."
# To tell "at once" from "when the time was over".
LONG_S = 60.0


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"a photo")
    return path


def refusal(status: int, code: str | None = None, **headers: str) -> Behaviour:
    body = {"error": "Not now"} | ({} if code is None else {"code": code})
    return answers(body, status, {name.replace("_", "-"): headers[name] for name in headers})


def called(folder: Path, *behaviours: Behaviour, **call: Any) -> tuple[Outcome, OddServer]:
    """Call a server that does so; the temporary folder must be empty after it."""
    with odd_server(*behaviours) as odd:
        outcome = call_node(folder, odd.url, "path", folder / "photo.jpg", **call)
    assert outcome.left == []
    return outcome, odd


def reads_the_head(server: OddServer, line: Any) -> None:
    """Close when the head is there; bytes that are not read make that a reset."""
    read_head(line)


def gives_headers_only(server: OddServer, line: Any) -> None:
    """Answer 200 in the middle of a header."""
    read_head(line)
    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Ty")


def without_length(server: OddServer, line: Any) -> None:
    """Answer with a picture that ends when the line ends."""
    read_head(line)
    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: image/webp\r\n\r\n" + CUT_OUT)


def in_chunks(end: bytes) -> Behaviour:
    def behave(server: OddServer, line: Any) -> None:
        read_head(line)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: image/webp\r\nTransfer-Encoding: chunked\r\n\r\n"
        line.sendall(head + b"%x\r\n%b\r\n" % (len(CUT_OUT), CUT_OUT) + end)

    return behave


@pytest.mark.parametrize(
    ("behaviour", "name", "words"),
    [
        (dies_at_once, "ConnectionFailed", "failed"),
        (dies_unanswered, "ConnectionFailed", "failed: socket hang up"),
        (reads_the_head, "ConnectionFailed", "failed"),
        (gives_headers_only, "ConnectionFailed", "failed"),
        (dies_after(b"part", 1000), "ConnectionFailed", BROKE_OFF),
        (in_chunks(b""), "ConnectionFailed", BROKE_OFF),
        (in_chunks(b"5\r\nab"), "ConnectionFailed", BROKE_OFF),
        (in_chunks(b"no chunk"), "ConnectionFailed", BROKE_OFF),
        (talks_nonsense, "UnexpectedAnswer", "answered what is not HTTP"),
        (without_length, "UnexpectedAnswer", "answered with a picture without its length."),
        (answers(b""), "UnexpectedAnswer", "answered with an empty picture."),
        (answers({"a": 1}), "UnexpectedAnswer", "with application/json instead of a picture."),
        (
            answers(b"x", headers={"Content-Type": "text/html; charset=utf-8"}),
            "UnexpectedAnswer",
            "answered with text/html instead of a picture.",
        ),
        (
            answers(b"x", headers={"Content-Type": "image/svg+xml"}),
            "UnexpectedAnswer",
            "answered with image/svg+xml instead of image/webp.",
        ),
        (
            answers(b"x", headers={"Content-Type": "image/png"}),
            "UnexpectedAnswer",
            "answered with image/png instead of image/webp.",
        ),
        (
            answers(b"<html>This is no picture</html>"),
            "UnexpectedAnswer",
            "answered with bytes that are not image/webp.",
        ),
        (answers(b"RIFF"), "UnexpectedAnswer", "answered with bytes that are not image/webp."),
        (
            answers(b"x", headers={"Content-Encoding": "gzip"}),
            "UnexpectedAnswer",
            "answered with packed bytes, which nobody asked for.",
        ),
        (
            answers(b"x", headers={"Content-Length": str(2**31)}),
            "UnexpectedAnswer",
            "answered with more bytes than a picture has.",
        ),
        (answers(b"x", headers={"Content-Length": "many"}), "UnexpectedAnswer", "not HTTP"),
        (answers(b"x", 204), "UnexpectedAnswer", "answered with the status 204."),
        (answers(b"x", 206), "UnexpectedAnswer", "answered with the status 206."),
        (answers(b"x", 304), "UnexpectedAnswer", "answered with the status 304."),
        (
            answers(b"x", 307, {"Location": "https://other.example/rmbg?secret=1"}),
            "UnexpectedAnswer",
            "answered with a redirect (307) to https://other.example/rmbg.",
        ),
        (
            answers(b"x", 301, {"Location": "/rmbg/"}),
            "UnexpectedAnswer",
            "answered with a redirect (301) to http://127.0.0.1",
        ),
    ],
)
def test_a_fault_is_one_clear_error(
    tmp_path: Path, photo_file: Path, behaviour: Behaviour, name: str, words: str
) -> None:
    error = called(tmp_path, behaviour, retries=0)[0].error
    assert (error["name"], words in error["message"]) == (name, True), error["message"]
    assert error["message"].startswith("❌ ")
    assert "\n" not in error["message"]


def test_half_a_data_url_is_none(tmp_path: Path, photo_file: Path) -> None:
    options = {"returnBase64": True}
    fault = dies_after(b"part", 1000)
    outcome, _ = called(tmp_path, fault, retries=0, options=options)
    assert outcome.summary == ("ConnectionFailed", BROKE_OFF)


def test_a_picture_in_chunks_is_taken(tmp_path: Path, photo_file: Path) -> None:
    outcome, _ = called(tmp_path, in_chunks(b"0\r\n\r\n"))
    assert outcome.picture == CUT_OUT
    event = outcome.said["progress"]["down"][-1]
    assert ("total" in event, event["loaded"], event["lengthComputable"]) == (
        False,
        len(CUT_OUT),
        False,
    )


def test_a_server_that_is_not_there_is_told(tmp_path: Path, photo_file: Path) -> None:
    for host in ("127.0.0.1", "localhost"):
        outcome = call_node(tmp_path, f"http://{host}:9", "path", photo_file, retries=0)
        name, message = outcome.summary
        assert name == "ConnectionFailed"
        assert message.startswith(f"❌ The connection to http://{host}:9/rmbg failed: ")
        assert "ECONNREFUSED" in message


@pytest.mark.parametrize(
    "fault",
    [
        *(dies_at_once, dies_unanswered, reads_the_head, dies_after(b"part", 1000), in_chunks(b"")),
        *(refusal(502), refusal(503), refusal(504), refusal(503, "busy", Retry_After="0")),
        *(refusal(429, "rate_limited"), refusal(429, Retry_After="1")),
        refusal(409, "idempotency_key_in_use"),
    ],
)
def test_a_fault_that_passes_is_tried_again(
    tmp_path: Path, photo_file: Path, fault: Behaviour
) -> None:
    outcome, odd = called(tmp_path, fault, GOOD, apiKey="the key")
    assert outcome.picture == CUT_OUT
    assert odd.requests[-1].headers["idempotency-key"]
    # Each attempt's upload is told from its begin.
    starts = [event for event in outcome.said["progress"]["up"] if event["loaded"] == 0]
    assert len(starts) == 2


@pytest.mark.parametrize(
    "fault",
    [
        *(refusal(400), refusal(401), refusal(404), refusal(409), refusal(500), refusal(501)),
        *(refusal(429), refusal(429, "daily_limit", Retry_After="0")),
        *(refusal(429, "monthly_limit"), refusal(429, "key_cap", Retry_After="0")),
        *(talks_nonsense, answers({}), answers(b"", 302)),
    ],
)
def test_a_fault_that_stays_is_not_tried_again(
    tmp_path: Path, photo_file: Path, fault: Behaviour
) -> None:
    outcome, odd = called(tmp_path, fault, GOOD)
    assert "error" in outcome.said
    assert len(odd.requests) == 1


def test_all_attempts_have_one_idempotency_key_and_the_same_bytes(
    tmp_path: Path, photo_file: Path
) -> None:
    outcome, odd = called(tmp_path, dies_unanswered, refusal(502), GOOD, apiKey="the key")
    assert outcome.picture == CUT_OUT
    assert len(odd.requests) == 3
    assert len({request.headers["idempotency-key"] for request in odd.requests}) == 1
    assert all(b"a photo" in request.body for request in odd.requests)


def test_calls_have_keys_of_their_own_but_for_the_callers(tmp_path: Path, photo_file: Path) -> None:
    with odd_server(GOOD) as odd:
        for more in ({}, {}, {"idempotencyKey": "mine"}, {"idempotencyKey": "mine"}):
            call_node(tmp_path, odd.url, "path", photo_file, apiKey="the key", **more)
    keys = [request.headers["idempotency-key"] for request in odd.requests]
    assert len(set(keys)) == 3
    assert keys[2:] == ["mine", "mine"]


@pytest.mark.parametrize(("retries", "requests"), [(0, 1), (1, 2), (3, 4)])
def test_there_are_as_many_retries_as_wanted(
    tmp_path: Path, photo_file: Path, retries: int, requests: int
) -> None:
    outcome, odd = called(tmp_path, refusal(503, "busy", Retry_After="0"), retries=retries)
    assert outcome.error["name"] == "Busy"
    assert len(odd.requests) == requests


def test_a_stream_can_be_sent_twice(tmp_path: Path, photo_file: Path) -> None:
    with odd_server(refusal(502), GOOD) as odd:
        outcome = call_node(tmp_path, odd.url, "readstream", photo_file)
    assert (outcome.picture, outcome.left) == (CUT_OUT, [])
    assert [b"a photo" in request.body for request in odd.requests] == [True, True]


@pytest.mark.parametrize("as_date", [False, True])
def test_a_wait_that_does_not_fit_ends_the_call_with_the_servers_words(
    tmp_path: Path, photo_file: Path, as_date: bool
) -> None:
    after = email.utils.formatdate(time.time() + 3600, usegmt=True) if as_date else "3600"
    began = time.monotonic()
    fault = refusal(503, "busy", Retry_After=after)
    outcome, odd = called(tmp_path, fault, GOOD, timeout=LONG_S * 1000)
    assert (outcome.error["name"], len(odd.requests)) == ("Busy", 1)
    assert time.monotonic() - began < LONG_S


def test_retry_after_is_waited_for(tmp_path: Path, photo_file: Path) -> None:
    began = time.monotonic()
    outcome, _ = called(tmp_path, refusal(503, Retry_After="2"), GOOD)
    assert outcome.picture == CUT_OUT
    assert time.monotonic() - began >= 2


@pytest.mark.parametrize(
    "behaviour",
    [stays_silent, drips(CUT_OUT + bytes(10_000)), drips(b"", {"X-Long": "x" * 10_000})],
)
def test_the_time_is_for_the_whole_call(
    tmp_path: Path, photo_file: Path, behaviour: Behaviour
) -> None:
    outcome, odd = called(tmp_path, behaviour, timeout=1500)
    assert outcome.summary == ("TimedOut", "❌ The call was not over within 1.5 s.")
    assert len(odd.requests) == 1


def test_the_time_is_over_while_the_upload_stalls(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        file.truncate(50_000_000)

    def reads_nothing(server: OddServer, line: Any) -> None:
        read_head(line)
        server.stopped.wait()

    with odd_server(reads_nothing) as odd:
        outcome = call_node(tmp_path, odd.url, "path", path, timeout=1000)
    assert outcome.error["name"] == "TimedOut"


@pytest.mark.parametrize("kind", ["silent", "silentweb", "silentiterable"])
def test_the_time_is_over_while_a_stream_is_silent(tmp_path: Path, kind: str) -> None:
    outcome = call_node(tmp_path, "http://127.0.0.1:9", kind, timeout=300)
    assert (outcome.error["name"], outcome.left) == ("TimedOut", [])


def test_the_time_is_over_while_an_address_is_silent(tmp_path: Path) -> None:
    with odd_server(stays_silent) as odd:
        outcome = call_node(tmp_path, odd.url, "json", f"{odd.url}/a.jpg", timeout=500)
    assert (outcome.error["name"], outcome.left) == ("TimedOut", [])


def is_abort(outcome: Outcome) -> bool:
    # As fetch does it: a DOMException.
    return outcome.summary == ("AbortError", "This operation was aborted")


def test_a_call_that_is_aborted_before_it_begins_sends_nothing(
    tmp_path: Path, photo_file: Path
) -> None:
    outcome, odd = called(tmp_path, GOOD, driver={"abort": "before"})
    assert is_abort(outcome)
    assert odd.requests == []


def test_a_call_can_be_aborted_in_its_upload(tmp_path: Path, photo_file: Path) -> None:
    with photo_file.open("wb") as file:
        file.truncate(50_000_000)

    def hesitates(server: OddServer, line: Any) -> None:
        server.stopped.wait(0.5)  # More bytes than fit into the line go after that.
        read_request(server, line)

    outcome, odd = called(tmp_path, hesitates, driver={"abort": "upload"})
    assert is_abort(outcome)
    assert odd.requests == []


@pytest.mark.parametrize(
    "behaviour", [drips(CUT_OUT + bytes(1000)), answers(CUT_OUT + bytes(20_000_000))]
)
def test_a_call_can_be_aborted_in_its_download(
    tmp_path: Path, photo_file: Path, behaviour: Behaviour
) -> None:
    assert is_abort(called(tmp_path, behaviour, driver={"abort": "download"})[0])


@pytest.mark.parametrize("behaviour", [stays_silent, refusal(503, "busy", Retry_After="200")])
def test_a_call_can_be_aborted_while_it_waits(
    tmp_path: Path, photo_file: Path, behaviour: Behaviour
) -> None:
    began = time.monotonic()
    outcome, odd = called(tmp_path, behaviour, driver={"abort": 500})
    assert (is_abort(outcome), len(odd.requests)) == (True, 1)
    assert time.monotonic() - began < LONG_S


@pytest.mark.parametrize("kind", ["silent", "silentweb", "silentiterable", "endless"])
def test_a_call_can_be_aborted_while_it_reads_a_stream(tmp_path: Path, kind: str) -> None:
    driver: dict[str, object] = {"abort": 100 if kind != "endless" else "before"}
    outcome = call_node(tmp_path, "http://127.0.0.1:9", kind, driver=driver)
    assert (is_abort(outcome), outcome.left) == (True, [])


@pytest.mark.parametrize("direction", ["upload", "download", "async"])
def test_what_a_callback_raises_ends_the_call(
    tmp_path: Path, photo_file: Path, direction: str
) -> None:
    slow = drips(CUT_OUT + bytes(200))
    outcome, odd = called(tmp_path, slow, driver={"raise": direction})
    assert outcome.summary == ("TypeError", "from the callback")
    assert len(odd.requests) <= 1


def test_a_temporary_folder_that_is_not_there_is_told_before_anything_is_paid(
    tmp_path: Path, photo_file: Path
) -> None:
    missing = {"TMPDIR": f"{tmp_path}/missing"}
    with odd_server(GOOD) as odd:
        for kind in ("path", "readstream"):
            outcome = call_node(tmp_path, odd.url, kind, photo_file, environment=missing)
            assert outcome.error["name"] == "RembgError"
            assert f"'{tmp_path}/missing' cannot be used" in outcome.error["message"]
    assert odd.requests == []


def test_a_kept_connection_that_the_server_closed_is_no_error(
    tmp_path: Path, photo_file: Path
) -> None:
    """A second call finds the connection of the first dead; even without retries it succeeds."""
    with photo_file.open("wb") as file:
        file.truncate(20_000_000)  # More than can be sent before that is seen.
    script = f"""
    const {{ rembg }} = require(process.argv[1]);
    const [, , baseUrl] = process.argv;
    (async () => {{
      for (let round = 0; round < 2; round += 1) {{
        const given = await rembg({{ baseUrl, inputImage: {str(photo_file)!r}, retries: 0,
          options: {{ returnBase64: true }} }});
        console.log(given.base64Image);
      }}
    }})();
    """
    first, done = threading.Event(), threading.Event()

    def keeps_then_resets(server: OddServer, line: Any) -> None:
        _answer_and_keep(server, line)
        first.set()
        read_head(line)  # The second request begins: gone.
        done.set()

    with odd_server(keeps_then_resets, GOOD) as odd:
        output = run_script(script, odd.url, tmp_path)
    assert len(output.split()) == 2
    assert (first.is_set(), done.is_set()) == (True, True)


def _answer_and_keep(server: OddServer, line: Any) -> None:
    read_request(server, line)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/webp\r\nContent-Length: {len(CUT_OUT)}\r\n\r\n"
    line.sendall(head.encode() + CUT_OUT)
