"""`openrembg serve`: the options reach the server, and a missing package has a remedy."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

from cli_photos import Run, environment


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_the_server_starts_where_it_is_told_and_ends_on_sigterm(tmp_path: Path) -> None:
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--data-dir", str(tmp_path / "data")]
    process = subprocess.Popen(
        [sys.executable, "-m", "openrembg", "serve", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(tmp_path) | {"OPENREMBG_PORT": "1"},
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()
    assert f"http://127.0.0.1:{port}".encode() in said


def test_nonsense_in_the_settings_is_one_sentence(openrembg: Run) -> None:
    ended = openrembg("serve", OPENREMBG_WORKERS="many")
    assert (ended.returncode, ended.stderr.count(b"\n")) == (2, 1)
    assert b"OPENREMBG_WORKERS must be" in ended.stderr


def test_without_the_servers_packages_the_remedy_is_said(tmp_path: Path) -> None:
    probe = (
        "import sys; sys.modules['django'] = None; sys.argv = ['openrembg', 'serve']\n"
        "from openrembg.cli import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, env=environment(tmp_path), check=False
    )
    assert ended.returncode == 1
    assert b"pip install 'openrembg[server]'" in ended.stderr
    assert b"Traceback" not in ended.stderr
