"""What a terminal shows while photos travel to a server and back."""

import fcntl
import io
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cli_photos import environment
from rich.console import Console

from odd_server import CHUNK, WEBP, OddServer, answers, odd_server, read_head
from openrembg.cli.transfers import Transfers
from openrembg.client import Progress

MIB = 1 << 20
PICTURE = WEBP + bytes(2 * MIB - len(WEBP))
PAID = {"X-Credits-Charged": "1", "X-Credits-Source": "prepaid"}
SHOWN_S = 0.5  # The terminal is painted ten times a second.
SOME = 8


def slowly(server: OddServer, line: socket.socket) -> None:
    """Read and answer in pieces, with time between them to look at the terminal."""
    _, headers, part = read_head(line)
    left = int(headers["content-length"]) - len(part)
    pause_s = 2 * SHOWN_S * CHUNK / left
    while left > 0:
        part = line.recv(min(CHUNK, left))
        left -= len(part)
        time.sleep(pause_s)
    time.sleep(SHOWN_S)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/webp\r\nContent-Length: {len(PICTURE)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in PAID.items())
    line.sendall(f"{head}Connection: close\r\n\r\n".encode())
    for start in range(0, len(PICTURE), len(PICTURE) // SOME):
        line.sendall(PICTURE[start : start + len(PICTURE) // SOME])
        time.sleep(SHOWN_S / SOME)


@contextmanager
def terminal(columns: int) -> Iterator[tuple[int, int]]:
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    try:
        yield mine, theirs
    finally:
        os.close(mine)
        with suppress(OSError):
            os.close(theirs)


def seen(folder: Path, *arguments: str, columns: int = 100) -> str:
    """Run `openrembg remove` in a terminal and return all that it showed, without colours."""
    with terminal(columns) as (mine, theirs):
        process = subprocess.Popen(
            [sys.executable, "-m", "openrembg", "remove", *arguments],
            stderr=theirs,
            cwd=folder,
            env=environment(folder) | {"TERM": "xterm", "COLUMNS": str(columns)},
        )
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # Linux's way to say that nobody writes any more
            while part := os.read(mine, 65536):
                shown += part
        assert process.wait(60) == 0, shown
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())


def photos(folder: Path, *names: str) -> None:
    (folder / "in").mkdir()
    for name in names:
        (folder / "in" / name).write_bytes(bytes(20 * MIB))


@pytest.mark.parametrize("columns", [100, 40])
def test_one_photo_goes_up_is_worked_on_and_comes_down(columns: int, tmp_path: Path) -> None:
    photos(tmp_path, "a\x1b[31mb.jpg")
    with odd_server(slowly) as odd:
        shown = seen(tmp_path, "in", "-o", "out/", "--server", odd.url, columns=columns)
    steps = [shown.index(step) for step in ("↑", "working…", "↓", "(1 credit)")]
    assert steps == sorted(steps)
    assert "\\x1b[31mb.jpg -> " in shown
    if columns == 100:
        assert " of 21.0 MB" in shown
        assert " of 2.1 MB" in shown
        assert "MB/s" in shown
    assert "photos/s" not in shown


def test_several_photos_have_a_line_each_and_a_bar_together(tmp_path: Path) -> None:
    names = [f"{number} a long name of a photo from our summer.jpg" for number in range(3)]
    photos(tmp_path, *names)
    with odd_server(slowly) as odd:
        shown = seen(tmp_path, "in", "-o", "out/", "--server", odd.url)
    for number in range(3):
        assert re.search(rf"↑ +{number} a long name…our summer.jpg", shown)
    assert "0/3" in shown
    assert "3/3" in shown
    assert "photos/s" in shown
    assert shown.rstrip().endswith("3 cut out. 3 credits used.")


def test_quiet_and_a_pipe_show_no_progress(tmp_path: Path) -> None:
    photos(tmp_path, "a.jpg", "b.jpg")
    with odd_server(answers(PICTURE)) as odd:
        there = ("in", "-o", "out", "--overwrite", "--server", odd.url)
        assert seen(tmp_path, *there, "--quiet") == ""
        ended = subprocess.run(
            [sys.executable, "-m", "openrembg", "remove", *there],
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environment(tmp_path),
            check=True,
        )
    assert ended.stderr == b"2 cut out.\n"


@pytest.mark.parametrize("columns", [20, 30, 40, 59, 60, 80])
def test_every_line_fits_and_has_a_bar(columns: int) -> None:
    shown = io.StringIO()
    settings = {"TERM": "xterm"}
    console = Console(
        width=columns, file=shown, force_terminal=True, color_system=None, _environ=settings
    )
    transfers = Transfers(1200, console, visible=True)
    with transfers, transfers.photo("a long name of a photo from our summer.jpg") as line:
        line.goes_up(Progress(10_400_000, 21_000_000, 0.5, 1e7, 1.0))
        time.sleep(SHOWN_S)
    drawn = re.split(r"\r|\n|\x1b\[[0-9;?]*[a-zA-Z]", shown.getvalue())
    assert max(map(len, drawn)) <= columns
    (photo,) = {text for text in drawn if "↑" in text}
    assert "━" in photo
    overall = [text for text in drawn if "0/1200" in text]
    assert overall
    assert all(("left" in text) == (columns >= 45) for text in overall)
