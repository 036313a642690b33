"""`openrembg remove --server` when the server refuses, is away, is slow, or somebody stops it."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cli_photos import Run, called, draw_photo, environment, running
from server_accounts import key_with

from odd_server import (
    WEBP,
    Behaviour,
    OddServer,
    answers,
    dies_after,
    dies_at_once,
    odd_server,
    read_head,
    stays_silent,
)
from services import Service, free_port

DEADLINE_S = 60
MIB = 1 << 20
PICTURE = WEBP


def results(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def photos(folder: Path, count: int) -> None:
    for number in range(count):
        draw_photo(folder / f"in/{number}.jpg")


def refusal(code: str, message: str, status: int, **headers: str) -> Behaviour:
    body = {"error": message, "status": status, "code": code}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answers(body, status, named)


TOO_FAST = refusal("rate_limited", "You're making requests too quickly.", 429, Retry_After="1")
BUSY = refusal("busy", "The service is busy right now.", 503, Retry_After="1")
PAID = {
    "X-Credits-Charged": "1",
    "X-Credits-Source": "included",
    "X-Foreground-Detected": "true",
}


def reads_no_more(server: OddServer, line: socket.socket) -> None:
    """Read the request's head, and leave the client alone with its upload."""
    read_head(line)
    server.requests.append(None)  # type: ignore[arg-type]
    server.stopped.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_a_wrong_key_ends_the_run_and_is_said_once(
    openrembg: Run, server: Service, tmp_path: Path
) -> None:
    photos(tmp_path, 12)
    key = "openrembg_nobody_has_this_key"
    ended = openrembg("remove", "in", "--server", server.url, "-j", "2", REMBG_API_KEY=key)
    assert ended.returncode == 1
    assert ended.stderr.count(b"invalid api key") == 1
    assert ended.stderr.startswith(b"0 cut out, ")
    assert b"were not sent.\n" in ended.stderr
    assert key.encode() not in ended.stderr
    assert len(results(tmp_path)) == 12


def test_when_the_credits_are_used_up_the_rest_is_not_sent(
    openrembg: Run, server: Service, tmp_path: Path
) -> None:
    photos(tmp_path, 6)
    key = key_with(server, credits_=2)
    there = ("--server", server.url, "-o", "out", "--jobs", "1")
    ended = openrembg("remove", "in", *there, REMBG_API_KEY=key)
    sentence = "You've reached your monthly limit. Consider purchasing more credits"
    assert (ended.returncode, ended.stderr.decode().splitlines()) == (
        1,
        [
            "2 cut out, 1 failed. 2 credits used.",
            f"Stopped: {sentence}. 3 photos were not sent.",
        ],
    )
    assert results(tmp_path / "out") == ["0.webp", "1.webp"]
    ended = openrembg("remove", "in/5.jpg", *there, REMBG_API_KEY=key)
    assert (ended.returncode, ended.stderr.decode()) == (1, f"failed: in/5.jpg: {sentence}\n")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "invalid_api_key"),
        (403, "email_not_verified"),
        (404, "not_found"),
        (429, "daily_limit"),
        (429, "key_cap"),
    ],
)
def test_an_answer_that_all_photos_would_get_ends_the_run(
    status: int, code: str, openrembg: Run, tmp_path: Path
) -> None:
    photos(tmp_path, 3)
    with odd_server(refusal(code, "This is why.", status)) as odd:
        ended = openrembg("remove", "in", "--server", odd.url, "-j", "1", "--quiet")
        assert len(odd.requests) == 1
    said = b"Stopped: This is why. 2 photos were not sent.\n"
    assert (ended.returncode, ended.stderr) == (1, said)


def test_a_page_that_is_no_picture_ends_the_run(openrembg: Run, tmp_path: Path) -> None:
    photos(tmp_path, 3)
    page = answers(b"<html>", 200, {"Content-Type": "text/html"})
    with odd_server(page) as odd:
        ended = openrembg("remove", "in", "--server", odd.url, "-j", "1")
        assert len(odd.requests) == 1
    assert ended.returncode == 1
    assert b"2 photos were not sent." in ended.stderr
    assert len(results(tmp_path)) == 3


def test_a_server_that_is_not_there_ends_the_run(openrembg: Run, tmp_path: Path) -> None:
    photos(tmp_path, 8)
    address = f"http://127.0.0.1:{free_port()}"
    ended = openrembg("remove", "in", "--server", address, "-j", "2")
    assert ended.returncode == 1
    assert ended.stderr.count(b"cannot be reached") == 1
    assert ended.stderr.startswith(b"0 cut out, 2 failed.\nStopped: ")
    assert ended.stderr.endswith(b" (2 photos). 6 photos were not sent.\n")
    ended = openrembg("remove", "in/0.jpg", "--server", address)
    assert (ended.returncode, ended.stderr.count(b"\n")) == (1, 1)
    assert ended.stderr.startswith(b"failed: in/0.jpg: ")


def test_a_photo_that_breaks_the_line_does_not_end_the_run(openrembg: Run, tmp_path: Path) -> None:
    photos(tmp_path, 3)
    # Four attempts for the second photo.
    behaviours = (answers(PICTURE), *[dies_at_once] * 4, answers(PICTURE))
    with odd_server(*behaviours) as odd:
        ended = openrembg("remove", "in", "-o", "out", "--server", odd.url, "-j", "1")
    assert ended.returncode == 1
    assert ended.stderr.startswith(b"2 cut out, 1 failed.\nfailed: in/1.jpg: ")
    assert results(tmp_path / "out") == ["0.webp", "2.webp"]


def test_a_server_that_takes_no_photo_any_more_ends_the_run(openrembg: Run, tmp_path: Path) -> None:
    photos(tmp_path, 6)
    with odd_server(answers(PICTURE), stays_silent) as odd:
        ended = openrembg(
            "remove", "in", "-o", "out", "--server", odd.url, "-j", "1", "--timeout", "1"
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith(b"1 cut out, 3 failed.\n")
    assert b"2 photos were not sent." in ended.stderr
    assert results(tmp_path / "out") == ["0.webp"]


@pytest.mark.parametrize("later", [TOO_FAST, BUSY])
def test_a_run_that_is_too_fast_gets_through_slowly_and_pays_once(
    later: Behaviour, openrembg: Run, tmp_path: Path
) -> None:
    photos(tmp_path, 2)
    with odd_server(*[later] * 6, answers(PICTURE, 200, PAID)) as odd:
        ended = openrembg("remove", "in", "--server", odd.url, "-j", "1", REMBG_API_KEY="key")
        keys = [request.headers["idempotency-key"] for request in odd.requests]
    assert (ended.returncode, ended.stderr) == (0, b"2 cut out. 2 credits used.\n")
    assert len(keys) == 8
    assert len(set(keys[:7])) == 1
    assert keys[7] != keys[0]


def test_many_photos_at_once_get_through_a_small_limit(openrembg: Run, tmp_path: Path) -> None:
    photos(tmp_path, 8)
    lock, windows = threading.Lock(), Counter[int]()

    def two_a_second(server: OddServer, line: socket.socket) -> None:
        with lock:
            window = int(time.monotonic())
            windows[window] += 1
            taken = windows[window] <= 2
        (answers(PICTURE, 200, PAID) if taken else TOO_FAST)(server, line)

    with odd_server(two_a_second) as odd:
        ended = openrembg("remove", "in", "--server", odd.url, "-j", "8", REMBG_API_KEY="key")
    assert (ended.returncode, ended.stderr) == (0, b"8 cut out. 8 credits used.\n")


def test_patience_has_an_end(openrembg: Run, tmp_path: Path) -> None:
    photos(tmp_path, 3)
    with odd_server(TOO_FAST) as odd:
        there = ("--server", odd.url, "-j", "1", "--timeout", "3")
        ended = openrembg("remove", "in", *there)
    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines() == [
        "0 cut out, 1 failed.",
        "Stopped: You're making requests too quickly. 2 photos were not sent.",
    ]


def test_an_answer_lost_on_its_way_is_paid_and_counted_once(openrembg: Run, tmp_path: Path) -> None:
    photos(tmp_path, 1)
    replayed = {**PAID, "X-Credits-Charged": "0", "Idempotent-Replayed": "true"}
    with odd_server(dies_after(WEBP, 20), answers(PICTURE, 200, replayed)) as odd:
        ended = openrembg(
            "remove", "in/0.jpg", "-o", "out.webp", "--server", odd.url, REMBG_API_KEY="key"
        )
        assert len({request.headers["idempotency-key"] for request in odd.requests}) == 1
    assert (ended.returncode, ended.stderr) == (0, b"in/0.jpg -> out.webp (1 credit)\n")
    assert (tmp_path / "out.webp").read_bytes() == PICTURE


def test_an_answer_that_always_breaks_leaves_no_file(openrembg: Run, tmp_path: Path) -> None:
    photos(tmp_path, 1)
    with odd_server(dies_after(WEBP, 20)) as odd:
        ended = openrembg("remove", "in", "-o", "out/", "--server", odd.url)
    assert (ended.returncode, ended.stderr.count(b"\n")) == (1, 1)
    assert results(tmp_path) == ["in/0.jpg"]


def test_a_file_where_a_folder_must_go_is_a_failure(openrembg: Run, tmp_path: Path) -> None:
    draw_photo(tmp_path / "in/sub/photo.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub").write_bytes(b"mine")
    with odd_server(answers(PICTURE)) as odd:
        ended = openrembg("remove", "in", "-o", "out", "--server", odd.url)
        assert (ended.returncode, odd.requests) == (1, [])
    assert b"sub is a file, and no folder" in ended.stderr
    assert (tmp_path / "out/sub").read_bytes() == b"mine"


def on_a_full_disk(folder: Path, *arguments: str, **settings: str) -> tuple[int, str]:
    """Run `openrembg remove` where a file takes no byte, and return how it ended."""
    program = f"ulimit -f 0; exec '{sys.executable}' -m openrembg remove \"$@\""
    ended = subprocess.run(
        ["bash", "-c", program, "bash", *arguments],
        capture_output=True,
        cwd=folder,
        env=environment(folder) | settings,
        check=False,
    )
    return ended.returncode, ended.stderr.decode()


def test_a_full_disk_ends_the_run_and_what_it_cost_is_counted(tmp_path: Path) -> None:
    photos(tmp_path, 5)
    before = results(tmp_path)
    with odd_server(answers(PICTURE, 200, PAID)) as odd:
        there = ("--server", odd.url, "-j", "1", "-o", "out/")
        code, said = on_a_full_disk(tmp_path, "in", *there, REMBG_API_KEY="key")
        assert len(odd.requests) == 1
        assert (code, said.splitlines()) == (
            1,
            [
                "0 cut out, 1 failed. 1 credit used.",
                "Stopped: No result can be written: File too large. 4 photos were not sent.",
            ],
        )
        code, said = on_a_full_disk(tmp_path, "in/0.jpg", *there, REMBG_API_KEY="key")
    failed = "failed: in/0.jpg: out/0.webp cannot be written: File too large (1 credit)\n"
    assert (code, said) == (1, failed)
    assert results(tmp_path) == before


def test_a_target_that_cannot_be_written_is_named(openrembg: Run, tmp_path: Path) -> None:
    photos(tmp_path, 1)
    with odd_server(answers(PICTURE)) as odd:
        for server in (("--server", odd.url), ()):
            ended = openrembg("remove", "in/0.jpg", "-o", "/proc/x.webp", *server)
            reason = b"/proc/x.webp cannot be written: No such file or directory"
            assert (ended.returncode, ended.stderr) == (1, b"failed: in/0.jpg: " + reason + b"\n")
        assert odd.requests == []


def test_an_address_is_no_file() -> None:
    said = (
        "openrembg: https://a.test/b.jpg?c: This takes files, not addresses. Download it first.\n"
    )
    for more in ((), ("--server", "http://127.0.0.1:9"), ("-o", "-")):
        assert called("https://a.test/b.jpg?c", *more) == (2, said)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("hang", [reads_no_more, stays_silent, dies_after(WEBP, 20), TOO_FAST])
def test_a_signal_ends_a_hanging_run_and_leaves_no_half_file(
    hang: Behaviour, number: signal.Signals, code: int, tmp_path: Path
) -> None:
    photos(tmp_path, 6)
    for path in (tmp_path / "in").iterdir():
        with path.open("ab") as file:
            file.truncate(20 * MIB)
    before = results(tmp_path)
    with (
        odd_server(hang) as odd,
        running(tmp_path, "in", "-o", "out", "--server", odd.url) as process,
    ):
        wait_until(lambda: len(odd.requests) >= 3)
        process.send_signal(number)
        # Far below the 300 s that a photo may take.
        assert process.wait(30) == code
        assert process.stderr is not None
        said = process.stderr.read()
    assert b"Traceback" not in said
    assert said in (b"", b"Stopped. Results written so far are whole.\n")
    assert results(tmp_path) == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_many_signals_together_are_one_clean_end(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    photos(tmp_path, 6)
    before = results(tmp_path)
    with (
        odd_server(stays_silent) as odd,
        running(tmp_path, "in", "-o", "out", "--server", odd.url) as process,
    ):
        wait_until(lambda: len(odd.requests) >= 4)
        other = signal.SIGTERM if number == signal.SIGINT else signal.SIGINT
        process.send_signal(number)
        time.sleep(0.01)  # Two that wait at once come in any order.
        for more in range(40):
            process.send_signal(other if more % 2 else number)
            time.sleep(0.005)
        assert process.wait(30) == code
        assert process.stderr is not None
        said = process.stderr.read()
    assert said == (b"" if code == 143 else b"Stopped. Results written so far are whole.\n")
    assert results(tmp_path) == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_hanging_stream(number: signal.Signals, code: int, tmp_path: Path) -> None:
    photos(tmp_path, 1)
    arguments = ("in/0.jpg", "-o", "-", "--server")
    with odd_server(stays_silent) as odd, running(tmp_path, *arguments, odd.url) as process:
        wait_until(lambda: len(odd.requests) >= 1)
        process.send_signal(number)
        assert process.wait(30) == code
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


def watched(folder: Path, behaviours: Sequence[Behaviour], *arguments: str) -> str:
    """Watch `in` until there is a result, end it with Ctrl-C, and return what it said."""
    with (
        odd_server(*behaviours) as odd,
        running(folder, "in", "-o", "out", "--watch", "--server", odd.url, *arguments) as process,
    ):
        wait_until((folder / "out/0.webp").is_file)
        wait_until(lambda: not list((folder / "out").glob(".*")))
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 0
        assert process.stderr is not None
        return process.stderr.read().decode()


def test_a_watch_waits_for_a_server_that_is_busy_for_long(tmp_path: Path) -> None:
    photos(tmp_path, 1)
    busy = refusal("busy", "The service is busy right now.", 503, Retry_After="100")
    said = watched(tmp_path, [busy, busy, answers(PICTURE)], "--timeout", "5")
    assert said.splitlines() == [
        "Watching. Ctrl-C ends it.",
        "Waiting for the server: The service is busy right now.",
        "in/0.jpg -> out/0.webp",
    ]


def test_a_watch_ends_when_the_key_is_wrong(tmp_path: Path) -> None:
    photos(tmp_path, 1)
    with (
        odd_server(refusal("invalid_api_key", "invalid api key", 401)) as odd,
        running(tmp_path, "in", "-o", "out", "--watch", "--server", odd.url) as process,
    ):
        assert process.wait(DEADLINE_S) == 1
        assert process.stderr is not None
        assert b"Stopped: invalid api key.\n" in process.stderr.read()
