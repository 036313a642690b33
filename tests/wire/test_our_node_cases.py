"""Our Node client in a process that calls it many times: streams, callbacks, arguments, lines."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from node_client_calls import CALL_S, CLIENT

from services import clean_environment, program

pytestmark = pytest.mark.wire

CASES = Path(__file__).parent / "node_client_cases.cjs"
PICTURE = "fbffbf01020304"
READ_ALREADY = "❌ The stream has been read or closed already."


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of every case."""
    folder, temporary = tmp_path_factory.mktemp("cases"), tmp_path_factory.mktemp("tmp")
    done = subprocess.run(
        [program("node"), str(CASES), str(CLIENT), str(folder), str(certificate(folder))],
        env={**clean_environment(), "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=CALL_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout))


def certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1, signed by itself, with its key in the same file."""
    file = folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=A test"]
    subprocess.run([*command, "-keyout", file, "-out", file], check=True, capture_output=True)
    return file


def summary(case: dict[str, Any]) -> tuple[str, str]:
    assert "name" in case, case
    return case["name"], case["message"]


def test_nothing_is_left_and_nothing_unheard(said: dict[str, Any]) -> None:
    assert (said["left"], said["unheard"], said["descriptors left"] <= 0) == ([], [], True)


def test_a_stream_of_empty_pieces_ends_in_time(said: dict[str, Any]) -> None:
    assert said["empty pieces"]["name"] == "TimedOut"
    assert summary(said["empty pieces of the web"]) == ("Error", "enough")


def test_a_stream_of_a_million_pieces_is_sent(said: dict[str, Any]) -> None:
    [request] = said["a million pieces"]["got"]
    assert request["size"] > 1_000_001


@pytest.mark.parametrize(
    "name", ["a Blob of somebody's", "a Blob of somebody's without a stream", *map(str, range(8))]
)
def test_bytes_arrive_however_they_are_written(said: dict[str, Any], name: str) -> None:
    [request] = said[f"base64 {name}" if name.isdigit() else name]["got"]
    assert request["picture"] == PICTURE


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a Blob of nothing", "❌ The Blob gives neither a stream nor an ArrayBuffer."),
        ("a stream that was begun", READ_ALREADY),
        ("a stream of the web that was begun", READ_ALREADY),
        ("detached bytes", "❌ The bytes are gone: their buffer is detached."),
        ("bytes that are detached soon", "❌ 'image' changed while it was read."),
        (
            "a wrong option with a missing stream",
            "❌ Invalid format 'gif'. Allowed formats: PNG, JPEG, WEBP, BMP",
        ),
        *(
            (
                f"no headers {at}",
                "❌ headers must be a plain object, Headers, a Map or a list of [name, value].",
            )
            for at in range(3)
        ),
    ],
)
def test_what_cannot_be_used_is_refused(said: dict[str, Any], name: str, message: str) -> None:
    assert summary(said[name]) == ("InputError", message)
    assert said[name]["got"] == []


def test_a_hundred_missing_streams_are_a_hundred_errors(said: dict[str, Any]) -> None:
    [message] = said["missing streams"]
    assert message.startswith("❌ The stream cannot be read: ENOENT")


def test_a_message_can_still_be_answered(said: dict[str, Any]) -> None:
    assert said["a message"] == ["well", "❌ The picture is larger than 50 MB."]


def test_what_a_callback_returns_is_waited_for(said: dict[str, Any]) -> None:
    assert summary(said["a thenable"]) == ("TypeError", "from a thenable")
    assert summary(said["a late rejection"]) == ("TypeError", "late")
    assert said["a promise that stays"]["name"] == "TimedOut"
    assert summary(said["an abort in the last callback"]) == ("TypeError", "mine")


def test_the_first_and_the_last_step_are_told(said: dict[str, Any]) -> None:
    steps = said["steps"]
    assert len(steps) in (2, 3)  # Two, but for a machine that stalls.
    assert (steps[0]["loaded"], steps[-1]["loaded"]) == (21, 33)
    assert sum(step["bytes"] for step in steps) == 33
    assert not any("total" in step or "progress" in step for step in steps)


def test_a_connection_that_died_idle_costs_no_retry(said: dict[str, Any]) -> None:
    begun, whole = said["stale begun"], said["stale whole"]
    assert (begun["kind"], begun["requests"]) == ("string", 3)
    # The server may have worked on a whole body: that is the caller's to decide.
    assert (whole["name"], whole["requests"]) == ("ConnectionFailed", 2)
    assert begun["negative"] == whole["negative"] == 0


@pytest.mark.parametrize(("at", "sent"), [(0, "1"), (1, "1"), (2, "1, 2")])
def test_headers_may_be_what_fetch_takes(said: dict[str, Any], at: int, sent: str) -> None:
    [request] = said[f"headers {at}"]["got"]
    assert request["headers"]["a"] == sent


@pytest.mark.parametrize(
    ("name", "words", "code"),
    [
        ("no host", "there is no such host.", "ENOTFOUND"),
        ("no TLS", "it does not speak TLS; perhaps its address begins with http://.", None),
        (
            "no trust",
            "its certificate is not trusted: self-signed certificate "
            "(DEPTH_ZERO_SELF_SIGNED_CERT).",
            "DEPTH_ZERO_SELF_SIGNED_CERT",
        ),
    ],
)
def test_a_line_that_stays_broken_is_told_in_words(
    said: dict[str, Any], name: str, words: str, code: str | None
) -> None:
    kind, message = summary(said[name])
    assert (kind, message.partition(" failed: ")[2]) == ("ConnectionFailed", words)
    assert code in (None, said[name]["code"])


def test_a_wait_that_no_timer_can_count_is_no_short_one(said: dict[str, Any]) -> None:
    case = said["a wait of a month"]
    assert (case["name"], case["asked"]) == ("TimeoutError", 1)
