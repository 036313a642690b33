"""What a process and its children hold of the machine besides memory, and their memory now.

Source: proc(5). Standard library alone.
"""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.memory import PROC, family, resident_bytes

POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Holdings:
    """One look. unnamed_bytes: in open files that no folder has, as O_TMPFILE makes them."""

    resident_bytes: int
    threads: int
    descriptors: int
    sockets: int
    unnamed_bytes: int


def holdings(pid: int, proc: Path = PROC) -> Holdings:
    """Look at a process and all its living descendants."""
    members = [_of_one(proc / str(member), proc) for member in family(pid, proc)]
    return Holdings(
        sum(one.resident_bytes for one in members),
        sum(one.threads for one in members),
        sum(one.descriptors for one in members),
        sum(one.sockets for one in members),
        sum(one.unnamed_bytes for one in members),
    )


class Most:
    """The most bytes that were seen in unnamed files."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.unnamed_bytes = 0

    def look(self) -> None:
        """Look once."""
        self.unnamed_bytes = max(self.unnamed_bytes, holdings(self._pid).unnamed_bytes)


@contextlib.contextmanager
def spool_watched(pid: int) -> Iterator[Most]:
    """Watch the unnamed files of a process and its children while the block runs."""
    most, done = Most(pid), threading.Event()

    def watch() -> None:
        while not done.wait(POLL_S):
            most.look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        done.set()
        thread.join()


def _of_one(process: Path, proc: Path) -> Holdings:
    try:
        threads = sum(1 for _ in (process / "task").iterdir())
        files = dict(_open_files(process))
    except (FileNotFoundError, ProcessLookupError):
        return Holdings(0, 0, 0, 0, 0)
    return Holdings(
        resident_bytes(int(process.name), proc),
        threads,
        len(files),
        sum(name.startswith("socket:") for name, _ in files.values()),
        sum(size for name, size in files.values() if name.endswith(" (deleted)")),
    )


def _open_files(process: Path) -> Iterator[tuple[str, tuple[str, int]]]:
    """Yield of each descriptor its number, its file's name and the file's size."""
    for link in (process / "fd").iterdir():
        with contextlib.suppress(OSError):  # closed in this moment
            yield link.name, (str(link.readlink()), link.stat().st_size)
