"""What became of each answer on one connection: told once to whoever asked.

An answer is delivered when its last byte was handed to the kernel, and also when the client left,
or stopped reading, in the middle of it: that is the client's doing. It has failed when none of it
was sent, when it was not the picture that was promised, or when it was the server that broke off.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

_ON_SENT: Final = "openrembg.on_sent"


class Receipt(Protocol):
    """One of the two is called, once, from any thread and under a lock: it must return at once."""

    def delivered(self) -> None:
        """Take note that the answer was sent."""

    def failed(self) -> None:
        """Take note that the answer was not sent."""


def how_to_register(environ: Mapping[str, Any]) -> Callable[[Receipt], None] | None:
    """Return how to ask what becomes of a request's answer; None where the server cannot tell."""
    register = environ.get(_ON_SENT)
    return register if callable(register) else None


@dataclass(slots=True)
class _Answer:
    """An answer that somebody asked about. begin, end: its bytes among the connection's."""

    receipt: Receipt
    begin: int
    end: int = 0


class Sending:
    """The bytes that one connection has sent; the methods are called under its outbuf_lock.

    queued: how many bytes the connection has been given to send, ever.
    """

    def __init__(self) -> None:
        self.sent = 0
        self._in_work: _Answer | None = None
        self._queued: deque[_Answer] = deque()
        self._is_over = False

    def expect(self, receipt: Receipt, queued: int) -> None:
        """Tell `receipt` what becomes of the answer in work, of which nothing is queued yet."""
        if self._is_over:
            receipt.failed()
            return
        self._in_work = _Answer(receipt, queued)

    def is_about_to_begin(self, queued: int) -> bool:
        """Return whether the next byte is the first of an answer that somebody asked about."""
        return self._in_work is not None and self._in_work.begin == queued

    def add(self, size: int) -> None:
        """Count bytes that were handed to the kernel."""
        self.sent += size
        while self._queued and self._queued[0].end <= self.sent:
            self._queued.popleft().receipt.delivered()

    def finish(self, queued: int, *, is_whole: bool) -> None:
        """Take note that no more of the answer in work is queued; is_whole: all of it was."""
        answer, self._in_work = self._in_work, None
        if answer is None:
            return
        if not is_whole:
            answer.receipt.failed()
            return
        answer.end = queued
        self._queued.append(answer)
        self.add(0)

    def close(self, *, by_us: bool) -> None:
        """Settle what is left, for nothing more is sent. by_us: the server broke off."""
        self._is_over = True
        left = [*self._queued, *([self._in_work] if self._in_work else [])]
        self._queued.clear()
        self._in_work = None
        for answer in left:
            if by_us or self.sent <= answer.begin:
                answer.receipt.failed()
            else:
                answer.receipt.delivered()
