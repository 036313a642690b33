"""How much memory a process and its children held at most, as the kernel counts it.

Source: proc(5), VmHWM in /proc/PID/status, and clear_refs. Standard library alone.
"""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
POLL_S: Final = 0.2


def peak_bytes(pid: int, proc: Path = PROC) -> int:
    """Return the largest resident size that a process ever had, 0 when it has ended."""
    return _status_bytes(pid, "VmHWM", proc)


def resident_bytes(pid: int, proc: Path = PROC) -> int:
    """Return the resident size that a process has now, 0 when it has ended."""
    return _status_bytes(pid, "VmRSS", proc)


def available_bytes(proc: Path = PROC) -> int:
    """Return how much memory the machine can still give without swapping."""
    return _field_bytes((proc / "meminfo").read_text(), "MemAvailable")


def total_bytes(proc: Path = PROC) -> int:
    """Return how much memory the machine has."""
    return _field_bytes((proc / "meminfo").read_text(), "MemTotal")


def forget_peak() -> None:
    """Let this process's largest resident size start anew; where that is refused, it stays."""
    with contextlib.suppress(OSError):
        (PROC / "self" / "clear_refs").write_text("5")


def family(pid: int, proc: Path = PROC) -> frozenset[int]:
    """Return a process and all its living descendants."""
    parents = {int(entry.name): _parent(entry) for entry in proc.glob("[0-9]*")}
    members = {pid}
    while more := {child for child, parent in parents.items() if parent in members} - members:
        members |= more
    return frozenset(members)


def _parent(process: Path) -> int:
    try:
        # The name in brackets may itself hold spaces and brackets.
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


class Peak:
    """Watches a process tree; `bytes` is the sum of the largest size each member ever had."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peaks: dict[int, int] = {}

    @property
    def bytes(self) -> int:
        return sum(self._peaks.values())

    def look(self) -> None:
        """Read the sizes once. The kernel keeps the peaks: only a member that ends is missed."""
        for pid in family(self._pid):
            self._peaks[pid] = max(self._peaks.get(pid, 0), peak_bytes(pid))


@contextlib.contextmanager
def watched(pid: int, floor_bytes: int = 0) -> Iterator[tuple[Peak, threading.Event]]:
    """Watch a process tree in the background.

    Yields its peak and an event that is set once the machine has less than `floor_bytes` left.
    """
    peak, short, done = Peak(pid), threading.Event(), threading.Event()

    def watch() -> None:
        while not done.wait(POLL_S):
            peak.look()
            if available_bytes() < floor_bytes:
                short.set()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak, short
    finally:
        peak.look()
        done.set()
        thread.join()


def _status_bytes(pid: int, field: str, proc: Path) -> int:
    try:
        return _field_bytes((proc / str(pid) / "status").read_text(), field)
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _field_bytes(text: str, field: str) -> int:
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return int(rest.split()[0]) * 1024
    return 0
