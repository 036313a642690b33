"""One of the processes as its supervisor sees it: what it said, and when the next may come."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable
from typing import Final

from openrembg.server.inference.state import State
from openrembg.server.processes.interpreter import python
from openrembg.server.processes.membership import Membership

# One that ends sooner than this may have a reason that the next one has too.
YOUNG_S: Final = 60.0
FIRST_REST_S: Final = 1.0
LONGEST_REST_S: Final = 30.0
REPORT_BYTES: Final = 64 * 1024
# A process that has said nothing new in so many looks at it hangs.
SILENT_LOOKS: Final = 12


class Member:
    """A place: the process that is in it, and how long it stays empty after that one's end."""

    def __init__(self, index: int) -> None:
        self.index = index
        # What the process said last; None: it does not serve yet.
        self.report: State | None = None
        # When an empty place gets its next process, by time.monotonic().
        self.due = 0.0
        self.rest_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._unread = b""
        self._born = 0.0
        self._early_ends = 0
        self._last_word = 0.0
        self._silent_looks = 0

    @property
    def pid(self) -> int | None:
        """The process's id, None while the place is empty."""
        return None if self._process is None else self._process.pid

    @property
    def pipe(self) -> int | None:
        """Where its reports come from, None when there is nobody to report."""
        return None if self._pipe < 0 else self._pipe

    def start(self, membership: Callable[[int], Membership]) -> None:
        """Start a process, with the membership that has a given descriptor for its reports.

        It is in a session of its own: what is typed at a terminal reaches the supervisor alone, and
        no terminal stops it when it writes there (`stty tostop`). Raises OSError.
        """
        self._pipe, end = os.pipe()
        os.set_blocking(self._pipe, False)
        terms = membership(end)
        self._born = time.monotonic()
        try:
            self._process = subprocess.Popen(
                python("openrembg.server.processes.child", terms.written()),
                stdin=subprocess.DEVNULL,
                pass_fds=terms.descriptors,
                start_new_session=True,
            )
        except OSError:
            self._forget()
            raise
        finally:
            os.close(end)

    def hear(self) -> None:
        """Read what the process has reported."""
        with contextlib.suppress(BlockingIOError):
            while self._pipe >= 0:
                self._take(os.read(self._pipe, REPORT_BYTES))

    def ended(self) -> int | None:
        """Return the exit code of a process that has ended, negative for a signal, else None.

        The place is empty then, and stays so for a while when the process did not live for long.
        """
        code = None if self._process is None else self._process.poll()
        if code is not None:
            self._forget()
            self.rest()
        return code

    def rest(self) -> None:
        """Leave the place empty for a while, longer each time in a row that is soon over."""
        now = time.monotonic()
        self._early_ends = 0 if now - self._born >= YOUNG_S else self._early_ends + 1
        doubled = FIRST_REST_S * 2.0 ** min(self._early_ends - 1, 10)
        self.rest_s = min(doubled, LONGEST_REST_S) if self._early_ends else 0.0
        self.due = now + self.rest_s

    def has_gone_silent(self, last_word: float) -> bool:
        """Note one more look at when the process wrote on the board; return whether it hangs.

        last_word: 0 before the first one. Looks are counted, not seconds: when the supervisor, or
        the whole machine, was stopped for a while, nobody was silent but for one look.
        """
        same = last_word > 0 and last_word == self._last_word
        self._silent_looks = self._silent_looks + 1 if same else 0
        self._last_word = last_word
        if self._silent_looks < SILENT_LOOKS:
            return False
        self._silent_looks = 0
        return True

    def send(self, number: int) -> None:
        """Send a signal to the process, if there is one."""
        if self._process is not None:
            self._process.send_signal(number)

    def _take(self, data: bytes) -> None:
        if not data:
            self._close_pipe()
            return
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self.report = State(**json.loads(line))

    def _forget(self) -> None:
        self._process = None
        self.report = None
        self._unread = b""
        self._close_pipe()

    def _close_pipe(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
        self._pipe = -1
