"""`openrembg serve --processes 2`: one server to whoever asks it, whatever ends underneath."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path

import pytest

from crowd import ask_at_once
from forms import FORM, field, form, photo, post
from houses import House, house, usage, wait_until
from openrembg.matting.weights import DEFAULT_MODEL, PACKAGED_DIR
from pictures import picture
from services import HOST, NO_LIMITS, Service, children_of, clean_environment, free_port, put_tables

pytestmark = pytest.mark.wire

SMALL = form(photo(picture("JPEG"), "photo.jpg"))
SHARED = {
    "OPENREMBG_PROCESSES": "2",
    "OPENREMBG_WORKERS": "2",
    "OPENREMBG_REQUEST_TIMEOUT_S": "3",
    "OPENREMBG_ANONYMOUS_PER_MINUTE": "6",
    "OPENREMBG_ANONYMOUS_PER_DAY": "3",
    "OPENREMBG_TRUSTED_PROXIES": "127.0.0.1",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A SQLite file and nothing else, which several tests share."""
    with house(tmp_path_factory.mktemp("house")) as built:
        yield built


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a model by the name `mine`, which a test may take away for a while."""
    file = tmp_path_factory.mktemp("models") / "mine.onnx"
    file.symlink_to(PACKAGED_DIR / f"{DEFAULT_MODEL}.onnx")
    card = json.loads((PACKAGED_DIR / f"{DEFAULT_MODEL}.json").read_text())
    file.with_suffix(".json").write_text(json.dumps({**card, "name": "mine"}))
    return file


@pytest.fixture(scope="module")
def pair(home: House, model: Path) -> Service:
    """A server of two processes with limits, behind a proxy that names the client."""
    mine = {"OPENREMBG_MODEL": "mine", "OPENREMBG_MODELS_DIR": str(model.parent)}
    server = home.start(**SHARED, **mine)
    wait_until(lambda: "is ready on" in server.text())
    return server


def members(pid: int) -> dict[int, int]:
    """Return the process ids of a server's processes by their place."""
    found = {}
    for child in children_of(pid):
        with suppress(OSError):
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if words[-2].startswith(b"{"):
                found[int(json.loads(words[-2])["index"])] = child
    return found


def metrics(server: Service) -> dict[str, float]:
    """Return the samples of /metrics by name and labels, as they are written."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    pairs = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in pairs}


def is_alive(pid: int) -> bool:
    """Return whether there is such a process that has not ended."""
    try:
        return not re.search(r"^State:\s+Z", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return False


def test_both_processes_answer_and_are_counted_as_one(pair: Service) -> None:
    health = 'openrembg_requests_total{route="/api/openapi",status="200"}'
    before = metrics(pair).get(health, 0.0)

    def told() -> Counter[int]:
        lines = (json.loads(line) for line in pair.text().splitlines() if line.startswith("{"))
        return Counter(line["process"] for line in lines if line.get("route") == "/api/openapi")

    asked = 0
    while len(told()) < 2:
        asked += 1
        assert asked < 500, "one process answers everything"
        urllib.request.urlopen(f"{pair.url}/api/openapi", timeout=30).close()
    seen = metrics(pair)
    assert seen[health] == before + asked
    assert (seen["openrembg_processes"], seen["openrembg_ready"]) == (2, 1)
    assert (seen["openrembg_workers"], seen["openrembg_computing"]) == (2, 0)
    assert seen["openrembg_queue_limit"] == 300
    assert seen["openrembg_spool_limit_bytes"] == 4096 * 1024 * 1024
    assert 1 <= seen["openrembg_connections"] <= seen["openrembg_connections_limit"] == 1000
    for process in ("0", "1", "supervisor"):
        assert seen[f'process_resident_memory_bytes{{process="{process}"}}'] > 0


def test_the_limits_of_an_anonymous_client_are_one_set(pair: Service) -> None:
    wrong = form(photo(picture()), field("w", "abc"))
    answers = ask_at_once([pair.port], 40, wrong, {"X-Forwarded-For": "192.0.2.1"})
    assert Counter(answer.status for answer in answers) == {400: 6, 429: 34}
    answers = ask_at_once([pair.port], 6, SMALL, {"X-Forwarded-For": "192.0.2.2"})
    assert Counter(answer.status for answer in answers) == {200: 3, 429: 3}


def test_a_hundred_at_once_get_as_many_pictures_as_there_are_credits(
    home: House, pair: Service
) -> None:
    key = home.member(included=12)
    charged = 'openrembg_credits_total{event="charged",source="included"}'
    before = metrics(pair)[charged]
    answers = ask_at_once([pair.port], 100, SMALL, {"X-Api-Key": key})
    assert Counter(answer.status for answer in answers) == {200: 12, 429: 88}
    assert sum(int(answer.headers["x-credits-charged"]) for answer in answers) == 12
    assert usage(pair, key)["api_usage"] == 12
    # Both processes' counts, whichever is asked.
    assert metrics(pair)[charged] == before + 12
    assert home.reservations() == 0


def test_a_killed_process_is_replaced_and_takes_no_credits_with_it(
    home: House, pair: Service
) -> None:
    key = home.member(included=500)
    victim = members(pair.process.pid)[0]
    restarts = metrics(pair)["openrembg_process_restarts_total"]
    replaced, delivered = threading.Event(), []

    def ask_again_and_again() -> None:
        while not replaced.is_set():
            # What the killed process had accepted is lost; the next one is another's.
            with suppress(OSError, HTTPException):
                answer = post(pair, photo(picture("JPEG"), "p.jpg"), headers={"X-Api-Key": key})
                assert answer.status == 200, answer.body
                delivered.append(int(answer.headers["X-Credits-Charged"]))

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(ask_again_and_again) for _ in range(4)]
        try:
            wait_until(lambda: len(delivered) > 4)
            os.kill(victim, signal.SIGKILL)
            at_the_kill = len(delivered)
            wait_until(lambda: victim not in children_of(pair.process.pid))
            # What it had sent and not yet written down as delivered will be free.
            may_be_free = home.undelivered()
            wait_until(lambda: len(delivered) > at_the_kill + 4)
            wait_until(lambda: metrics(pair)["openrembg_processes"] == 2)
        finally:
            replaced.set()
        for client in clients:
            client.result()
    assert metrics(pair)["openrembg_process_restarts_total"] == restarts + 1
    assert '"signal": "SIGKILL"' in pair.text()
    assert members(pair.process.pid)[0] != victim
    assert metrics(pair)['openrembg_requests_total{route="/rmbg",status="200"}'] >= len(delivered)
    # The replacement leads: it gives back what the dead one held.
    wait_until(lambda: home.reservations() + home.undelivered() == 0, 90)
    charged = usage(pair, key)["api_usage"]
    assert sum(delivered) - may_be_free <= charged <= sum(delivered)
    home.admin("verify-ledger")


def test_a_replacement_without_a_model_does_not_take_requests_and_the_next_one_tries_again(
    pair: Service, model: Path
) -> None:
    away = model.with_suffix(".away")
    model.rename(away)
    try:
        os.kill(members(pair.process.pid)[1], signal.SIGKILL)
        wait_until(lambda: "does not join the others" in pair.text())
        for _ in range(20):
            urllib.request.urlopen(f"{pair.url}/ready", timeout=30).close()
        assert metrics(pair)["openrembg_processes"] == 1
    finally:
        away.rename(model)
    wait_until(lambda: metrics(pair)["openrembg_processes"] == 2)


def test_every_request_that_was_sent_is_answered_when_the_server_is_told_to_end(
    home: House,
) -> None:
    server = home.start(may_die=True, OPENREMBG_PROCESSES="2", OPENREMBG_WORKERS="2")
    key = f"X-Api-Key: {home.member(included=50)}"
    with ExitStack() as stack:
        clients = [
            stack.enter_context(half_a_request(server.port, SMALL, f"Content-Type: {FORM}", key))
            for _ in range(12)
        ]
        for pid in members(server.process.pid).values():
            # As a service manager does that tells all processes of a service.
            os.kill(pid, signal.SIGTERM)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not answers_at(server.port))
        for client in clients:
            client.sendall(SMALL[-2:])
        for client in clients:
            answer = HTTPResponse(client)
            answer.begin()
            assert (answer.status, answer.headers["X-Credits-Charged"]) == (200, "1")
            assert len(answer.read()) == int(answer.headers["Content-Length"])
    assert server.process.wait(60) == 0
    assert "another one takes its place" not in server.text()


@contextmanager
def without_a_model(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Run a server of two processes that has no model; yield it and its port."""
    port = free_port()
    put_tables(folder / "openrembg.db")
    environment = {"OPENREMBG_DATA_DIR": str(folder), "OPENREMBG_MODEL": "no-such-model"}
    process = subprocess.Popen(
        [sys.executable, "-m", "openrembg", "serve", "--processes", "2", "--port", str(port)],
        env={**clean_environment(), **NO_LIMITS, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert "without a model" in process.stdout.readline()
        yield process, port
    finally:
        process.kill()
        process.communicate()


@contextmanager
def half_a_request(port: int, body: bytes, *headers: str) -> Iterator[socket.socket]:
    """Send a request but for the body's last two bytes; the server has begun to read it."""
    lines = ["POST /rmbg HTTP/1.1", "Host: test", f"Content-Length: {len(body)}", *headers]
    with socket.create_connection((HOST, port), timeout=60) as client:
        client.sendall("\r\n".join([*lines, "Expect: 100-continue", "", ""]).encode())
        assert client.recv(1024).startswith(b"HTTP/1.1 100")
        client.sendall(body[:-2])
        yield client


def answers_at(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=5).close()
    except OSError:
        return False
    return True


def test_a_killed_supervisor_leaves_nothing_behind(tmp_path: Path) -> None:
    with without_a_model(tmp_path) as (process, port):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://{HOST}:{port}/ready", timeout=30)
        assert refused.value.code == 503
        assert "no-such-model" in json.load(refused.value)["reason"]
        pids = members(process.pid).values()
        assert len(pids) == 2
        with half_a_request(port, b"abcd") as client:
            process.kill()
            process.wait()
            wait_until(lambda: not answers_at(port))
            with socket.socket() as next_server:
                next_server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                next_server.bind((HOST, port))
                next_server.listen()
            client.sendall(b"cd")
            assert client.recv(1024).startswith(b"HTTP/1.1 ")
        wait_until(lambda: not any(map(is_alive, pids)))
    assert not list((tmp_path / "spool").iterdir())


def test_a_closed_terminal_lets_requests_end_and_a_second_signal_does_not(tmp_path: Path) -> None:
    with without_a_model(tmp_path) as (process, port):
        pids = members(process.pid).values()
        assert not {os.getsid(pid) for pid in pids} & {process.pid}, "they have no terminal"
        with half_a_request(port, b"abcd"):
            for _ in range(2):  # a shell tells of it, and so does the system
                os.killpg(process.pid, signal.SIGHUP)
            wait_until(lambda: not answers_at(port))
            assert process.poll() is None, "it waits for the request"
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 128 + signal.SIGTERM
        assert not any(map(is_alive, pids))
    assert not list((tmp_path / "counts").iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_database_is_prepared_ends_the_start_without_a_word(
    number: signal.Signals, tmp_path: Path
) -> None:
    with (tmp_path / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [sys.executable, "-m", "openrembg", "serve", "--processes", "2"],
            env={**clean_environment(), "OPENREMBG_DATA_DIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            wait_until(lambda: children.read_text() != "")
            os.killpg(process.pid, number)
            said, _ = process.communicate(timeout=30)
            assert (process.returncode, said) == (0, b"")
        finally:
            process.kill()
            process.communicate()


def test_a_process_that_cannot_start_ends_all_of_them_with_its_sentence(tmp_path: Path) -> None:
    put_tables(tmp_path / "openrembg.db")
    (tmp_path / "spool").touch()
    environment = {"OPENREMBG_DATA_DIR": str(tmp_path), "OPENREMBG_MODEL": "no-such-model"}
    done = subprocess.run(
        [sys.executable, "-m", "openrembg", "serve", "--processes", "2"],
        env={**clean_environment(), **environment, "OPENREMBG_PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "for uploads" in done.stderr
    assert "Traceback" not in done.stderr
