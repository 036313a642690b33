"""The whole server as a process: the real model, real sockets, real settings."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import requests
from rmbg_client import photo

from openrembg.matting.weights import DEFAULT_MODEL
from services import Service, free_port

RUN = "from openrembg.server.start import run; raise SystemExit(run())"
StartServer = Callable[..., Service]


def run(tmp_path: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", RUN],
        env={**os.environ, "OPENREMBG_DATA_DIR": str(tmp_path / "data"), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_nonsense_in_a_setting_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = run(tmp_path, OPENREMBG_PORT="eighty")
    assert done.returncode == 2
    assert done.stderr == ("OPENREMBG_PORT must be a whole number from 1 to 65535, not 'eighty'.\n")
    assert not (tmp_path / "data").exists()


def test_a_port_that_is_taken_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(tmp_path, OPENREMBG_PORT=str(port))
    assert done.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr.splitlines()[-1]


def test_a_shop_that_could_not_deliver_says_that_it_is_closed(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        closed = run(tmp_path, OPENREMBG_PORT=port, STRIPE_SECRET_KEY="sk_test_1")
        opened = run(
            tmp_path,
            OPENREMBG_PORT=port,
            STRIPE_SECRET_KEY="sk_test_1",
            STRIPE_WEBHOOK_SECRET="whsec_1",
        )
    assert "STRIPE_SECRET_KEY is set without STRIPE_WEBHOOK_SECRET" in closed.stderr
    assert "sk_test_1" not in closed.stderr
    assert "STRIPE" not in opened.stderr


def test_it_says_when_it_is_ready_and_ends_on_sigterm(tmp_path: Path) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", RUN],
        env={**os.environ, "OPENREMBG_DATA_DIR": str(tmp_path), "OPENREMBG_PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(f"openrembg is ready on http://127.0.0.1:{port} ({DEFAULT_MODEL}, ")
        answer = requests.get(f"http://127.0.0.1:{port}/ready", timeout=10)
        assert answer.json()["model"] == DEFAULT_MODEL
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_photo_comes_back_from_the_real_model(start_server: StartServer) -> None:
    server = start_server(OPENREMBG_ANONYMOUS_PER_DAY="20")
    answer = requests.post(
        f"{server.url}/rmbg", files={"image": ("p.jpg", photo(320, 240, "JPEG"))}, timeout=60
    )
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/webp"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert answer.headers["X-Model"] == DEFAULT_MODEL
    assert answer.headers["X-Provider"] in server.text()


def test_a_model_that_is_not_there_leaves_a_server_that_says_so(tmp_path: Path) -> None:
    port = free_port()
    environ = {
        **os.environ,
        "OPENREMBG_DATA_DIR": str(tmp_path),
        "OPENREMBG_PORT": str(port),
        "OPENREMBG_MODEL": "no-such-model",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", RUN], env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert "without a model" in process.stdout.readline()
        url = f"http://127.0.0.1:{port}"
        ready = requests.get(f"{url}/ready", timeout=10)
        assert (ready.status_code, ready.json()["status"]) == (503, "failed")
        assert "no-such-model" in ready.json()["reason"]
        answer = requests.post(f"{url}/rmbg", files={"image": photo()}, timeout=10)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        process.send_signal(signal.SIGHUP)  # its terminal is closed
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_redis_that_dies_stops_nobody(redis: Service, start_server: StartServer) -> None:
    server = start_server(
        REDIS_URL=f"redis://127.0.0.1:{redis.port}/0", OPENREMBG_ANONYMOUS_PER_MINUTE="100"
    )

    def ask() -> requests.Response:
        return requests.post(f"{server.url}/rmbg", files={"image": ("p.png", photo())}, timeout=60)

    assert ask().headers["X-RateLimit-Remaining"] == "99"
    redis.process.kill()
    redis.process.wait()
    started = [ask().status_code for _ in range(3)]
    assert started == [200, 200, 200]
    assert server.text().count("Redis does not answer") == 1
