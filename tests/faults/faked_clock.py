"""A clock that a test puts forward and back while a server runs.

Only what tells the date jumps: what is measured goes on, as it does when a machine's clock is set.
"""

import email.utils
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from houses import wait_until
from services import Service

# Python imports a module of this name before any program's own.
STARTED: Final = "sitecustomize.py"
OFFSET: Final = "offset"
# time_machine's thread is a daemon: it ends with the program.
FOLLOW: Final = f"""
import pathlib, threading, time, time_machine

offset = pathlib.Path(__file__).with_name({OFFSET!r})
booted_at = time.time() - time.monotonic()
traveller = time_machine.travel(time.time()).start()

def follow():
    last, pause = "", threading.Event()
    while not pause.wait(0.02):
        told = offset.read_text()
        if told and told != last:
            traveller.move_to(booted_at + time.monotonic() + int(told))
            last = told

threading.Thread(target=follow, daemon=True).start()
"""


@dataclass(frozen=True, slots=True)
class FakedClock:
    """A clock that is right at first."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a Python program is started with to live by it."""
        return {"PYTHONPATH": str(self.folder)}

    def jump(self, server: Service, off_by_s: int) -> None:
        """Let the server's clock be off by so many seconds from now on."""
        (self.folder / OFFSET).write_text(str(off_by_s))
        wait_until(lambda: abs(date_of(server) - time.time() - off_by_s) < 5)


def faked_clock(folder: Path) -> FakedClock:
    """Make a clock in a folder of its own."""
    folder.mkdir(parents=True)
    (folder / STARTED).write_text(FOLLOW)
    (folder / OFFSET).write_text("0")
    return FakedClock(folder)


def date_of(server: Service) -> float:
    """Return what time a server believes it is, in Unix seconds."""
    with urllib.request.urlopen(f"{server.url}/health", timeout=30) as answer:
        return email.utils.parsedate_to_datetime(answer.headers["Date"]).timestamp()
