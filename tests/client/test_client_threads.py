"""Clients that are closed, cancelled, shared, forked and forgotten."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from odd_server import answers, drips, odd_server, stays_silent
from openrembg.client import AsyncClient, Client, ConnectionFailed, Options, Progress
from pictures import picture
from services import Service

LARGE = bytes(50 << 20)
NAME = "openrembg-client"


def running() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == NAME]


def test_one_client_serves_many_threads(server: Service, key: str) -> None:
    with Client(key, base_url=server.url) as client, ThreadPoolExecutor(8) as pool:
        sides = range(10, 34)
        jobs = [pool.submit(client.remove_background, picture(), Options(w=w)) for w in sides]
        assert [job.result().width for job in jobs] == list(sides)


def test_a_closed_client_refuses_calls(ask: Any) -> None:
    client = Client()
    client.close()
    client.close()
    with pytest.raises(ConnectionFailed, match=r"^The client is closed\.$"):
        client.remove_background(b"photo")

    async def asked() -> None:
        async with AsyncClient() as client:
            pass
        with pytest.raises(ConnectionFailed, match=r"^The client is closed\.$"):
            await client.usage()

    asyncio.run(asked())


@pytest.mark.parametrize("photo", [b"photo", LARGE], ids=["small", "large"])
def test_closing_ends_what_runs(tmp_path: Path, photo: bytes) -> None:
    began = threading.Event()
    errors: list[Exception] = []
    with odd_server(stays_silent) as odd:
        client = Client(base_url=odd.url)

        def run() -> None:
            try:
                client.save_cutout(photo, tmp_path / "out", on_upload=lambda _: began.set())
            except ConnectionFailed as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        assert began.wait(30)
        client.close()
        thread.join(30)
    assert [str(error) for error in errors] == ["The client was closed."]
    assert not list(tmp_path.iterdir())
    assert running() == []


def test_a_forgotten_client_ends_its_thread(server: Service) -> None:
    client = Client(base_url=server.url)
    client.remove_background(picture())
    assert running() == [NAME]
    del client
    gc.collect()
    assert running() == []


def _script(url: str, work: str) -> list[str]:
    lines = "import sys, threading", "from openrembg.client import Client"
    made = f"client = Client(base_url={url!r})"
    return [sys.executable, "-u", "-W", "error", "-c", "\n".join([*lines, made, work])]


def test_a_program_that_closes_nothing_ends(server: Service, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(picture("JPEG"))
    work = f"print(client.remove_background({str(photo)!r}).width)"
    done = subprocess.run(
        _script(server.url, work), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "320\n", "")


@pytest.mark.parametrize("work", ["bytes(9)", "bytes(50 << 20)", "'/dev/zero'"])
def test_ctrl_c_ends_a_call_in_every_phase(tmp_path: Path, work: str) -> None:
    call = f"""
import os, signal
threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    client.save_cutout({work}, {str(tmp_path / "out")!r})
except KeyboardInterrupt:
    print("ended")
except Exception as error:
    print(type(error))
"""
    with odd_server(stays_silent) as odd:
        script = _script(odd.url, call.replace("'/dev/zero'", f"{str(tmp_path / 'pipe')!r}"))
        os.mkfifo(tmp_path / "pipe")
        done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


SIGNALS = """
import os, random, signal, threading, time
from openrembg.client import Client

def descriptors():
    return len(os.listdir("/proc/self/fd"))

def calls(client, rounds, most_s):
    ended = 0
    for _ in range(rounds):
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, most_s))
            client.billing_cycles()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            ended += 1
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            pass
    return ended

signal.signal(signal.SIGALRM, signal.default_int_handler)
before = descriptors()
start_s = time.monotonic()
client.billing_cycles()
client.billing_cycles()
call_s = (time.monotonic() - start_s) / 2
begun_s = time.monotonic()
ended = calls(client, 300, 2 * call_s)
# A thread that begins: every client anew.
for _ in range(100):
    fresh = Client("k", base_url=sys.argv[1], retries=0)
    ended += calls(fresh, 1, 0.01)
    fresh.close()
client.billing_cycles()
client.close()
# Nothing waited for its limit.
assert time.monotonic() - begun_s < 60, time.monotonic() - begun_s
assert ended > 50, ended
deadline = time.monotonic() + 20
while threading.active_count() > 1 or descriptors() > before:
    assert time.monotonic() < deadline, (threading.enumerate(), before, descriptors())
    time.sleep(0.05)
print("nothing is left")
"""


def test_ctrl_c_at_any_moment_neither_hangs_nor_leaves_anything() -> None:
    with odd_server(answers({"billingCycles": []})) as odd:
        lines = [*_script(odd.url, SIGNALS), odd.url]
        done = subprocess.run(lines, capture_output=True, text=True, timeout=120, check=False)
    # A signal while Python runs a destructor is told on stderr, and otherwise ignored.
    assert (done.returncode, done.stdout) == (0, "nothing is left\n"), done.stderr


SLOW_NAMES = """
import os, signal, socket, time
from openrembg.client import RembgError
found = socket.getaddrinfo
socket.getaddrinfo = lambda *a, **k: time.sleep(300)
client.close()
client = Client(base_url="http://slow.example", timeout_s=1 if sys.argv[1] == "time" else None)
if sys.argv[1] == "close":
    threading.Timer(0.5, client.close).start()
if sys.argv[1] == "signal":
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    with client:
        client.usage()
except (RembgError, KeyboardInterrupt) as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(
    ("how", "error"),
    [("time", "TimedOut"), ("close", "ConnectionFailed"), ("signal", "KeyboardInterrupt")],
)
def test_a_name_that_nobody_resolves_holds_nothing_up(how: str, error: str) -> None:
    lines = [*_script("http://127.0.0.1", SLOW_NAMES), how]
    done = subprocess.run(lines, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{error}\n", "")


def test_a_file_that_never_ends_does_not_hold_the_program_up() -> None:
    work = """
import os
source, sink = os.pipe()
client.close()
client = Client(timeout_s=1)
try:
    client.remove_background(os.fdopen(source, "rb"))
except Exception as error:
    print(type(error).__name__)
"""
    lines = _script("http://127.0.0.1", work)
    done = subprocess.run(lines, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "TimedOut\n")


def test_the_environment_is_read_once(server: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMBG_API_URL", server.url)
    with Client() as client:
        monkeypatch.setenv("REMBG_API_URL", "no address")
        assert client.remove_background(picture()).width == 320


def test_a_forked_child_begins_anew(server: Service) -> None:
    work = """
import os
client.usage if client.remove_background else None
from PIL import Image
import io
file = io.BytesIO()
Image.new("RGB", (40, 30), "red").save(file, "PNG")
client.remove_background(file.getvalue())
child = os.fork()
print(client.remove_background(file.getvalue()).width, flush=True)
if child:
    print(os.waitpid(child, 0)[1])
"""
    done = subprocess.run(
        _script(server.url, work), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("40\n40\n0\n", "")


def test_the_blocking_client_works_inside_an_event_loop(server: Service) -> None:
    async def inside() -> int:
        with Client(base_url=server.url) as client:
            return client.remove_background(picture()).width or 0

    assert asyncio.run(inside()) == 320


PHASES = [
    (stays_silent, b"photo"),
    (stays_silent, LARGE),
    (drips(bytes(10_000)), b"photo"),
    (answers(b"", 503, {"Retry-After": "60"}), b"photo"),
]


@pytest.mark.parametrize(("behaviour", "photo"), PHASES)
def test_cancelling_leaves_nothing(
    tmp_path: Path, descriptors: Any, behaviour: Any, photo: bytes
) -> None:
    before = descriptors()

    async def cancelled(url: str) -> None:
        async with AsyncClient(base_url=url, timeout_s=None) as client:
            call = asyncio.create_task(client.save_cutout(photo, tmp_path / "out"))
            await asyncio.sleep(0.3)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    with odd_server(behaviour) as odd:
        asyncio.run(cancelled(odd.url))
    assert not list(tmp_path.iterdir())
    assert descriptors() == before


def test_closing_an_asynchronous_client_ends_what_runs() -> None:
    async def closed(url: str) -> None:
        client = AsyncClient(base_url=url)
        call = asyncio.create_task(client.remove_background(b"photo"))
        await asyncio.sleep(0.3)
        await client.aclose()
        with pytest.raises(ConnectionFailed, match=r"^The client is closed\.$"):
            await call

    with odd_server(stays_silent) as odd:
        asyncio.run(closed(odd.url))


def test_a_time_limit_of_the_callers_own_ends_a_call(tmp_path: Path) -> None:
    async def limited(url: str) -> None:
        async with AsyncClient(base_url=url) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await client.save_cutout(b"photo", tmp_path / "out")

    with odd_server(stays_silent) as odd:
        asyncio.run(limited(odd.url))
    assert not list(tmp_path.iterdir())


def test_cancelling_one_call_leaves_the_others(server: Service) -> None:
    async def both() -> int:
        async with AsyncClient(base_url=server.url) as client:
            ends = asyncio.create_task(client.remove_background(picture()))
            cancelled = asyncio.create_task(client.remove_background(picture()))
            await asyncio.sleep(0.01)
            cancelled.cancel()
            await asyncio.gather(cancelled, return_exceptions=True)
            return (await ends).width or 0

    assert asyncio.run(both()) == 320


def test_sigterm_needs_no_help(tmp_path: Path) -> None:
    with odd_server(stays_silent) as odd:
        work = f"client.save_cutout(bytes(9), {str(tmp_path / 'out')!r}, on_upload=print)"
        process = subprocess.Popen(_script(odd.url, work), stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM
        process.stdout.close()


def test_a_slow_callback_of_one_thread_does_not_hold_another(server: Service) -> None:
    held, ended = threading.Event(), threading.Event()

    def hold(_: Progress) -> None:
        held.set()
        assert ended.wait(60)

    with Client(base_url=server.url) as client:
        slow = threading.Thread(
            target=client.remove_background, args=(picture(),), kwargs={"on_upload": hold}
        )
        slow.start()
        assert held.wait(60)
        start = time.monotonic()
        client.remove_background(picture())
        ended.set()
        slow.join()
    assert time.monotonic() - start < 60
