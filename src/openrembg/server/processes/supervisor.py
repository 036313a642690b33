"""Start the processes that answer as one server, start anew those that end, and end all together.

This process only looks after the others: it loads no model, opens no database and answers nobody.
"""

import contextlib
import logging
import logging.config
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Final

from openrembg.server.listening import listen, url_of
from openrembg.server.observability.logs import write_or_drop
from openrembg.server.processes.board import Board
from openrembg.server.processes.counts import Counts, counts_of
from openrembg.server.processes.interpreter import python
from openrembg.server.processes.member import Member
from openrembg.server.processes.membership import Membership
from openrembg.server.start import greeting

if TYPE_CHECKING:
    from openrembg.server.settings import Settings

# The processes give up on unfinished requests after 30 s by themselves, and then write down what
# is left to be written.
STOP_S: Final = 45.0
# How often the processes are looked at, whether they still say anything.
LOOK_EVERY_S: Final = 5.0
KILLED: Final = 1

logger = logging.getLogger("openrembg.processes")


def supervise(settings: "Settings", host: str, port: int) -> int:
    """Serve with several processes until a signal ends it, and return the exit code.

    0: all that was asked is answered. 1: a process had to be killed. 128 and a signal's number: it
    was the second one. Another one: a process could not start, and has said why. Raises ServeError.
    """
    # Not before: this import reads the environment.
    from openrembg.server.settings import LOGGING

    logging.config.dictConfig(LOGGING)
    with contextlib.ExitStack() as stack:
        signals = stack.enter_context(_noted())
        code = _prepare(signals)
        if code or signals.came:
            return code
        sockets = listen(host, port)
        stack.callback(_close, sockets)
        address = "{}:{}".format(*sockets[0].getsockname()[:2])
        counts = counts_of(settings.data_dir, address, settings.processes)
        board = Board.new(settings.processes)
        stack.callback(board.close)
        supervisor = Supervisor(
            settings.processes,
            sockets,
            board,
            stack.enter_context(counts),
            signals,
            url_of(host, sockets),
        )
        return supervisor.run()


@dataclass(frozen=True, slots=True)
class Signals:
    """What this process was told by signals, and a bell that rings when something has changed."""

    bell: socket.socket
    came: list[int] = field(default_factory=list)

    def note(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal; a closed terminal is told of by shell and system, and hurries nobody."""
        if number == signal.SIGCHLD or (number == signal.SIGHUP and self.came):
            return
        self.came.append(number)

    def wait(self, pipes: Iterable[int] = (), timeout_s: float | None = None) -> None:
        """Wait for a signal, which the end of a process is too, or for something in a pipe."""
        select.select([self.bell.fileno(), *pipes], [], [], timeout_s)
        with contextlib.suppress(BlockingIOError):
            while self.bell.recv(4096):
                pass


def _prepare(signals: Signals) -> int:
    """Prepare data folder and database; return what is to be the exit code, 0 to go on or stop."""
    with subprocess.Popen(
        python("openrembg.server.processes.preparation"),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        while process.poll() is None:
            if signals.came:
                process.terminate()
            signals.wait()
    return max(process.returncode, KILLED) if process.returncode and not signals.came else 0


class Supervisor:
    """Looks after `processes` of them; run() ends when all have ended, by signal or by failure."""

    def __init__(
        self,
        processes: int,
        sockets: tuple[socket.socket, ...],
        board: Board,
        counts: Counts,
        signals: Signals,
        url: str,
    ) -> None:
        self._members = [Member(index) for index in range(processes)]
        self._sockets = sockets
        self._board = board
        self._counts = counts
        self._url = url
        # Nobody writes to it: it ends when this process does, however that comes about.
        self._lifeline, self._held_end = os.pipe()
        self._signals = signals
        self._next_look = 0.0
        self._deadline: float | None = None
        # All have served once: from then on, none that ends takes the others with it.
        self._has_begun = False
        self._has_greeted = False
        self._is_killing = False
        self._code = 0

    def run(self) -> int:
        """Start all, look after them until all have ended, and return the exit code."""
        try:
            self._look_after()
            while not self._is_over():
                self._wait()
                self._look_after()
        finally:
            self._kill()
            os.close(self._held_end)
            os.close(self._lifeline)
        return self._code

    def _look_after(self) -> None:
        self._hear()
        self._obey()
        self._kill_the_silent()
        self._note_ends()
        self._start_due()
        self._greet()

    def _hear(self) -> None:
        for member in self._members:
            member.hear()
        self._has_begun = self._has_begun or all(member.report for member in self._members)

    def _obey(self) -> None:
        if self._signals.came and self._deadline is None:
            self._begin_to_stop(0)
        if self._is_killing:
            return
        if len(self._signals.came) > 1:
            self._code = 128 + self._signals.came[1]
            self._kill()
        elif self._deadline is not None and time.monotonic() >= self._deadline and self._left():
            logger.error(
                "Processes that did not end were killed", extra=_fields(n=len(self._left()))
            )
            self._code = self._code or KILLED
            self._kill()

    def _begin_to_stop(self, code: int) -> None:
        self._code = code
        self._deadline = time.monotonic() + STOP_S
        # Else clients that nobody will accept would go on connecting while the last ones finish.
        _close(self._sockets)
        for member in self._members:
            member.send(signal.SIGTERM)

    def _kill(self) -> None:
        self._is_killing = True
        for member in self._members:
            member.send(signal.SIGKILL)

    def _kill_the_silent(self) -> None:
        """Kill the processes that hang, so that others take their places."""
        if self._deadline is not None or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_EVERY_S
        for member in self._members:
            if member.has_gone_silent(self._board.written_at(member.index)):
                fields = _fields(process=member.index, pid=member.pid)
                logger.error("A process that hangs is killed", extra=fields)
                member.send(signal.SIGKILL)

    def _note_ends(self) -> None:
        for member in self._members:
            pid, has_served = member.pid, member.report is not None
            code = member.ended()
            if code is None:
                continue
            self._board.clear(member.index)
            if self._deadline is None and not (self._has_begun or has_served) and code > 0:
                # It has said why, and the others would say the same.
                self._begin_to_stop(code)
            if self._deadline is None:
                _tell_of_end(member, pid, code)

    def _start_due(self) -> None:
        now = time.monotonic()
        for member in self._members:
            if self._deadline is None and member.pid is None and member.due <= now:
                self._start(member)

    def _start(self, member: Member) -> None:
        if member.due:
            self._board.count_restart()
        try:
            member.start(lambda report: self._membership(member.index, report))
        except OSError as error:
            member.rest()
            logger.error("A process cannot be started", extra=_fields(reason=str(error)))

    def _membership(self, index: int, report: int) -> Membership:
        return Membership(
            index=index,
            places=len(self._members),
            sockets=tuple(one.fileno() for one in self._sockets),
            lifeline=self._lifeline,
            report=report,
            board=self._board.descriptor,
            counts=str(self._counts.folder),
            counts_lock=self._counts.lock,
            # Where nobody has a model, somebody has to say so.
            is_late=any(one.report and one.report.status == "ready" for one in self._members),
        )

    def _greet(self) -> None:
        """Say once on standard output that the first picture can come, or that none can."""
        reports = [member.report for member in self._members if member.report is not None]
        known = [report for report in reports if report.status != "loading"]
        if self._has_greeted or len(known) < len(self._members):
            return
        self._has_greeted = True
        reason = next((report.reason for report in known if report.reason), "")
        words = f"{known[0].model}, {known[0].provider}, {len(known)} processes"
        write_or_drop(sys.stdout, greeting(self._url, words, reason))

    def _wait(self) -> None:
        """Wait for a signal, a report, or what is due."""
        pipes = [member.pipe for member in self._members if member.pipe is not None]
        self._signals.wait(pipes, self._timeout_s())

    def _timeout_s(self) -> float | None:
        if self._is_killing:
            return None
        dues = [member.due for member in self._members if member.pid is None]
        until = min([self._next_look, *dues]) if self._deadline is None else self._deadline
        return max(0.0, until - time.monotonic())

    def _left(self) -> list[Member]:
        return [member for member in self._members if member.pid is not None]

    def _is_over(self) -> bool:
        return self._deadline is not None and not self._left()


def _tell_of_end(member: Member, pid: int | None, code: int) -> None:
    how = {"signal": signal.Signals(-code).name} if code < 0 else {"exit": code}
    logger.log(
        logging.INFO if code == 0 else logging.ERROR,
        "A process ended; another one takes its place",
        extra=_fields(process=member.index, pid=pid, **how, in_s=member.rest_s),
    )


def _fields(**fields: object) -> dict[str, dict[str, object]]:
    return {"fields": fields}


def _close(sockets: tuple[socket.socket, ...]) -> None:
    for one in sockets:
        one.close()


@contextlib.contextmanager
def _noted() -> Iterator[Signals]:
    """Note the signals that tell to end, and ring a bell for them and for the end of a process."""
    bell, clapper = socket.socketpair()
    with bell, clapper:
        bell.setblocking(False)
        clapper.setblocking(False)
        signals = Signals(bell)
        numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGCHLD]
        # Else it is ignored already, for a server that shall outlive its terminal (nohup).
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            numbers.append(signal.SIGHUP)
        previous = {number: signal.signal(number, signals.note) for number in numbers}
        before = signal.set_wakeup_fd(clapper.fileno(), warn_on_full_buffer=False)
        try:
            yield signals
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in previous.items():
                signal.signal(number, handler)
