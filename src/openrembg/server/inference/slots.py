"""Who may compute now: a bounded queue, first come first served, and a budget of pixels.

Memory is bounded however many clients push giant pictures: only so many are decoded at once, and
only so many megapixels of them.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from openrembg.server.errors import Busy, ClientGone

LOOK_FOR_CLIENT_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """How full the house is."""

    computing: int
    waiting: int
    pixels_in_flight: int


@dataclass(slots=True, eq=False)
class _Ticket:
    pixels: int
    admitted: threading.Event = field(default_factory=threading.Event)


class Slots:
    """At most `workers` pictures and `max_pixels` pixels at once, at most `max_waiting` waiting.

    A picture of more than `max_pixels` runs alone. Strictly in order: a big picture at the head
    holds up the small ones behind it, else it might wait for ever.
    """

    def __init__(
        self, *, workers: int, max_pixels: int, max_waiting: int, timeout_s: float
    ) -> None:
        self._workers = workers
        self._max_pixels = max_pixels
        self._max_waiting = max_waiting
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._queue: deque[_Ticket] = deque()
        self._running: set[_Ticket] = set()

    @contextmanager
    def admit(
        self,
        pixels: int,
        client_gone: Callable[[], bool] | None = None,
        before_waiting: Callable[[], None] | None = None,
    ) -> Iterator[None]:
        """Hold a slot for a picture of `pixels` while the block runs.

        before_waiting: what to do first if there is no slot at once. Raises Busy when the queue is
        full or the wait took too long, ClientGone when nobody waits for the answer any more.
        """
        ticket = self._enter(pixels)
        try:
            if before_waiting is not None and not ticket.admitted.is_set():
                before_waiting()
            self._wait(ticket, client_gone)
            yield
        finally:
            self._leave(ticket)

    def load(self) -> Load:
        """Return how many compute and wait, and how many pixels are in flight."""
        with self._lock:
            return Load(len(self._running), len(self._queue), self._pixels_in_flight())

    def _enter(self, pixels: int) -> _Ticket:
        ticket = _Ticket(pixels)
        with self._lock:
            self._queue.append(ticket)
            self._advance()
            if len(self._queue) > self._max_waiting:
                self._queue.remove(ticket)
                raise Busy("the queue is full")
        return ticket

    def _wait(self, ticket: _Ticket, client_gone: Callable[[], bool] | None) -> None:
        deadline = time.monotonic() + self._timeout_s
        while not ticket.admitted.is_set():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise Busy("the wait in the queue was too long")
            ticket.admitted.wait(min(left_s, LOOK_FOR_CLIENT_EVERY_S))
            if client_gone is not None and client_gone():
                raise ClientGone("left the queue")

    def _leave(self, ticket: _Ticket) -> None:
        with self._lock:
            self._running.discard(ticket)
            if ticket in self._queue:
                self._queue.remove(ticket)
            self._advance()

    def _advance(self) -> None:
        while self._queue and self._fits(self._queue[0]):
            ticket = self._queue.popleft()
            self._running.add(ticket)
            ticket.admitted.set()

    def _fits(self, ticket: _Ticket) -> bool:
        if len(self._running) >= self._workers:
            return False
        return not self._running or self._pixels_in_flight() + ticket.pixels <= self._max_pixels

    def _pixels_in_flight(self) -> int:
        return sum(ticket.pixels for ticket in self._running)
