"""The verb `fuzz`: what it posts, what it calls a finding, and what it says in the end."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from corpus import NoCorpus, read_corpus
from fuzz_command import arguments, main
from posting import DECLARED, Posted
from quoting import shown

from pictures import empty_picture, picture

REFUSAL = json.dumps({"error": "no", "field": "image", "status": 400}).encode()
FREE = {"X-Credits-Charged": "0"}
PAID = {
    "X-Credits-Charged": "1",
    "X-Foreground-Detected": "true",
    "X-Width": "320",
    "X-Height": "240",
}


Answer = tuple[int, bytes, dict[str, str]]


@dataclass(slots=True)
class OddServer:
    """A server that says what a test wants. bodies: what it was sent."""

    url: str
    listening: socket.socket
    bodies: list[bytes] = field(default_factory=list)


@contextmanager
def odd_server(*answers: Answer, at_post: Callable[[], object] = str) -> Iterator[OddServer]:
    """Serve these answers to one POST after another, the last for ever; counters never move."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            odd.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            at_post()
            self._answer(*answers[min(len(odd.bodies), len(answers)) - 1])

        def do_GET(self) -> None:
            usage = {"app_usage": 0, "api_usage": 0, "prepaidCredits": 0}
            self._answer(200, json.dumps(usage).encode(), {})

        def _answer(self, code: int, text: bytes, fields: dict[str, str]) -> None:
            self.send_response(code)
            for name, value in {**fields, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        odd = OddServer(f"http://127.0.0.1:{server.server_port}", server.socket)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield odd
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one picture."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "it's.png").write_bytes(picture())
    return tmp_path / "in"


def test_only_regular_files_that_can_be_read_are_posted(folder: Path) -> None:
    (folder / "deeper").mkdir()
    (folder / "deeper" / "empty").touch()
    os.mkfifo(folder / "pipe.png")
    (folder / "out.png").symlink_to("/etc/passwd")
    (folder / "away").symlink_to("/etc")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "s"))
        corpus = read_corpus(folder)
    assert [path.name for path in corpus.files] == ["it's.png", "empty"]
    assert {path.name: why for path, why in corpus.passed_over} == {
        "pipe.png": "no regular file",
        "s": "no regular file",
        "out.png": "a link",
        "away": "a link",
    }


def test_a_folder_without_files_is_told_in_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere", Path(__file__)):
        with pytest.raises(NoCorpus, match=r"has no file|There is no|is not a folder"):
            read_corpus(path)
    assert main([str(tmp_path)]) == 2


@pytest.mark.parametrize(
    "words",
    [
        *([], ["DIR", "--mutate"], ["DIR", "--server", "http://a"], ["DIR", "--jobs", "0"]),
        *(
            ["DIR", "--limit-s", "0"],
            ["--mutate", "--minutes", "-1"],
            ["--mutate", "--minutes", "nan"],
        ),
        *(["DIR", "--limit-s", "inf"], ["DIR", "--limit-gb", "nan"], ["DIR", "--jobs", "1e9"]),
        *(["DIR", "--save", f"{__file__}/kept"], ["DIR", "--save", "/proc/kept"]),
        *(
            ["DIR", "--api-key", "k", "--server", url]
            for url in ("ftp://a", "http://", "http://a:99999", "a:b", "http://[")
        ),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2


def test_an_address_may_come_without_its_scheme() -> None:
    given = arguments(["DIR", "--server", "localhost:8000/", "--api-key", "k"])
    assert given.server == "http://localhost:8000"


@pytest.mark.parametrize(
    ("status", "body", "headers", "fault"),
    [
        (500, b"oops", FREE, "status 500"),
        (413, REFUSAL, FREE, "status 413"),
        (400, b"<p>no</p>", FREE, "no JSON"),
        (400, b"[]", FREE, "another shape"),
        (400, b'{"error": "no", "status": 400}', FREE, "names no field"),
        (400, REFUSAL, {}, "costs nothing"),
        (200, b"nonsense", FREE, "not the"),
        (200, picture()[:200], FREE, "does not decode"),
        (200, empty_picture(), PAID, "every pixel is transparent"),
        (200, picture(), {**FREE, "X-Width": "320", "X-Height": "1"}, "X-Height"),
        (200, picture(), {**PAID, "X-Foreground-Detected": "false"}, "charged 1, found False"),
    ],
)
def test_an_answer_against_the_contract_is_a_finding(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    status: int,
    body: bytes,
    headers: dict[str, str],
    fault: str,
) -> None:
    with odd_server((status, body, headers)) as odd:
        code = main([str(folder), *member_of(odd)])
    said = capsys.readouterr()
    assert (code, fault in said.err) == (1, True), said.err
    assert "findings     6" in said.out or "findings     7" in said.out
    assert "secret" not in said.err + said.out


def test_a_finding_is_saved_and_comes_with_the_command_that_repeats_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with odd_server((500, b"", FREE)) as odd:
        words = [*member_of(odd), "--save", str(tmp_path / "kept")]
        assert main([str(folder), *words, "--jobs", "3"]) == 1
    said = capsys.readouterr().err
    assert said.count("curl -sS") == len(DECLARED)
    assert "filename=x.webp;type=image/webp" in said
    assert said.count("-F angle=45") == 1
    kept = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert kept == [f"000{number}-it's.png" for number in range(1, 7)]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (b'we;ird, "q" $(x) \\ it\'s.png', 'we;ird, "q" $(x) \\ it\'s.png'),
        (b"a\x1b[31m\x07\nb.png", r"a\x1b[31m\x07\nb.png"),
        (b"latin\xff'\\.png", r"latin\udcff"),
    ],
)
def test_a_name_does_no_harm_to_a_terminal_or_a_shell(
    tmp_path: Path, name: bytes, told: str
) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"the bytes of this file")
    declared = DECLARED[-1]
    assert told in shown(path)
    assert shown(path).isprintable()
    with odd_server((400, REFUSAL, FREE)) as odd:
        command = Posted(path, declared, 0, 0.0, 0, ()).curl(odd.url)
        assert command.isprintable()
        subprocess.run(["bash", "-c", command], check=True, capture_output=True, cwd=tmp_path)
    assert b"the bytes of this file" in odd.bodies[0]
    assert b'filename="x.jpg"' in odd.bodies[0]
    assert b'name="angle"' in odd.bodies[0]


def test_a_right_answer_is_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with odd_server((400, REFUSAL, FREE)) as odd:
        assert main([str(folder), *member_of(odd)]) == 0
    assert "6 × 400" in capsys.readouterr().out


def test_a_server_that_wants_us_slower_gets_us_slower(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slower = (429, b"{}", {"Retry-After": "0"})
    with odd_server(slower, slower, (400, REFUSAL, FREE), slower, (400, REFUSAL, FREE)) as odd:
        assert main([str(folder), *member_of(odd)]) == 0
    said = capsys.readouterr()
    assert "6 × 400" in said.out
    assert said.err.count("too many requests") == 1


def test_a_member_without_credits_ends_the_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with odd_server((400, REFUSAL, FREE), (429, b"monthly limit", {})) as odd:
        assert main([str(folder), *member_of(odd)]) == 1
    said = capsys.readouterr()
    assert "lets this member post no more" in said.err
    assert "1 × 400" in said.out


def test_a_file_that_vanishes_is_passed_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "last.png").write_bytes(picture())

    def vanish() -> None:
        (folder / "last.png").unlink(missing_ok=True)

    with odd_server((400, REFUSAL, FREE), at_post=vanish) as odd:
        assert main([str(folder), *member_of(odd)]) == 0
    said = capsys.readouterr()
    assert said.err.count("passed over") == 1
    assert "6 × 400" in said.out
    assert "passed over  1" in said.out


def test_a_server_that_goes_away_ends_the_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "more.png").write_bytes(picture())
    going = threading.Event()
    with odd_server((400, REFUSAL, FREE), at_post=going.set) as odd:

        def close() -> None:
            going.wait(60)
            odd.listening.shutdown(socket.SHUT_RDWR)

        closing = threading.Thread(target=close)
        closing.start()
        assert main([str(folder), *member_of(odd)]) == 1
        closing.join()
    said = capsys.readouterr()
    assert "refused 3 connections in a row" in said.err
    assert "3 × none" in said.out


def test_a_server_of_our_own_that_does_not_start_says_why(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    assert main([str(folder)]) == 1
    said = capsys.readouterr().err
    assert "does not start" in said
    assert "encodings" in said


def test_a_server_that_is_not_there_is_told_in_a_sentence(folder: Path) -> None:
    assert main([str(folder), "--server", "http://127.0.0.1:1", "--api-key", "secret"]) == 2


def test_our_server_is_started_again_and_ctrl_c_sums_up(folder: Path, tmp_path: Path) -> None:
    for number in range(500):
        (folder / f"{number}.bmp").write_bytes(b"BM")
    (folder / "link").symlink_to("nowhere")
    with fuzz(str(folder), "--save", str(tmp_path / "kept")) as running:
        read_until(running, "passed over")  # as the first post begins
        os.kill(served_by(running), signal.SIGKILL)
        read_until(running, "started again")
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Stopping…" in err
    assert "findings     1" in out
    assert "not compared" in out
    assert "Traceback" not in err
    assert len([*(tmp_path / "kept").iterdir()]) == 1


def test_ctrl_c_ends_a_run_of_broken_pictures_with_its_summary(tmp_path: Path) -> None:
    with fuzz("--mutate", "--save", str(tmp_path)) as running:
        read_until(running, "Judging")
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Stopping…" in err
    assert "0 findings" in err
    assert "Traceback" not in err


def member_of(odd: OddServer) -> list[str]:
    """Return the words that name a server and a member on it."""
    return ["--server", odd.url, "--api-key", "secret"]


@contextmanager
def fuzz(*words: str) -> "Iterator[subprocess.Popen[str]]":
    """Run the verb as a process of its own."""
    tests = Path(__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, str(tests / "fuzz" / "fuzz_command.py"), *words],
        env={**os.environ, "PYTHONPATH": str(tests)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.terminate()  # it has a server to end


def read_until(running: "subprocess.Popen[str]", words: str) -> None:
    """Read what a process says until it has said some words."""
    assert running.stderr is not None
    said = []
    for line in running.stderr:
        said.append(line)
        if words in line:
            return
    pytest.fail(f"It ended without {words!r}: {''.join(said)}")


def served_by(running: "subprocess.Popen[str]") -> int:
    """Return the process id of the server that a run has started."""
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    (server,) = (
        int(pid) for pid in children if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    return server
