"""Who may compute now: a bounded queue in which callers take turns, and a budget of pixels.

Memory is bounded however many clients push giant pictures: only so many are decoded at once, and
only so many megapixels of them. However much one caller asks for, the others have their share:
max-min fairness (Demers, Keshav, Shenker 1989, "Analysis and Simulation of a Fair Queueing
Algorithm"), in pictures; when the queue is full, the longest one loses its last (RFC 2309).
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from openrembg.server.errors import Busy, ClientGone
from openrembg.server.observability.stages import stage

LOOK_FOR_CLIENT_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """How full the house is."""

    computing: int
    waiting: int
    pixels_in_flight: int


@dataclass(slots=True, eq=False)
class _Ticket:
    """One picture's. called: it was admitted or pushed out, and `is_out` says which."""

    pixels: int
    caller: Hashable
    called: threading.Event = field(default_factory=threading.Event)
    is_out: bool = False


class Slots:
    """At most `workers` pictures and `max_pixels` pixels at once, at most `max_waiting` waiting.

    A picture of more than `max_pixels` runs alone. The next is always of the caller who computes
    the fewest, in turn among equals; each caller's own come in order. Nothing is served out of that
    order: a big picture whose turn it is holds up the small ones, else it might wait for ever.

    One caller alone may fill the queue. Into a full one, another comes in place of the last picture
    of the caller who computes and waits for the most, if that is more than the newcomer then has.
    """

    def __init__(
        self, *, workers: int, max_pixels: int, max_waiting: int, timeout_s: float
    ) -> None:
        self._workers = workers
        self._max_pixels = max_pixels
        self._max_waiting = max_waiting
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        # In the order of their turns; nobody is in it who does not wait.
        self._waiting: dict[Hashable, deque[_Ticket]] = {}
        self._running: set[_Ticket] = set()

    @contextmanager
    def admit(
        self,
        pixels: int,
        caller: Hashable,
        client_gone: Callable[[], bool] | None = None,
        before_waiting: Callable[[], None] | None = None,
    ) -> Iterator[None]:
        """Hold a slot for a picture of `pixels` while the block runs.

        caller: who asks; equal ones share their turns. before_waiting: what to do first if there is
        no slot at once. Raises Busy when the queue is full or the wait took too long, ClientGone
        when nobody waits for the answer any more.
        """
        ticket = self._enter(_Ticket(pixels, caller))
        try:
            if before_waiting is not None and not ticket.called.is_set():
                before_waiting()
            with stage("queue"):
                self._wait(ticket, client_gone)
            yield
        finally:
            self._leave(ticket)

    def load(self) -> Load:
        """Return how many compute and wait, and how many pixels are in flight."""
        with self._lock:
            return Load(len(self._running), self._count_waiting(), self._pixels_in_flight())

    def _enter(self, ticket: _Ticket) -> _Ticket:
        with self._lock:
            self._waiting.setdefault(ticket.caller, deque()).append(ticket)
            self._advance()
            if self._count_waiting() > self._max_waiting:
                self._push_out(self._last_of_fullest(ticket))
        return ticket

    def _last_of_fullest(self, newcomer: _Ticket) -> _Ticket:
        """Return the last ticket of the caller with the most; the newcomer where that is a tie."""
        fullest = max(self._waiting, key=self._count)
        if self._count(fullest) == self._count(newcomer.caller):
            return newcomer
        return self._waiting[fullest][-1]

    def _push_out(self, ticket: _Ticket) -> None:
        # It lets nobody in: the one whose turn it is never is the last of the fullest caller.
        self._forget(ticket)
        ticket.is_out = True
        ticket.called.set()

    def _wait(self, ticket: _Ticket, client_gone: Callable[[], bool] | None) -> None:
        deadline = time.monotonic() + self._timeout_s
        while not ticket.called.is_set():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise Busy("the wait in the queue was too long")
            ticket.called.wait(min(left_s, LOOK_FOR_CLIENT_EVERY_S))
            if client_gone is not None and client_gone():
                raise ClientGone("left the queue")
        if ticket.is_out:
            raise Busy("the queue is full")

    def _leave(self, ticket: _Ticket) -> None:
        with self._lock:
            self._running.discard(ticket)
            self._forget(ticket)
            self._advance()

    def _forget(self, ticket: _Ticket) -> None:
        """Take a ticket out of the queue, if it is there."""
        own = self._waiting.get(ticket.caller, deque())
        if ticket in own:
            own.remove(ticket)
        if not own:
            self._waiting.pop(ticket.caller, None)

    def _advance(self) -> None:
        while self._waiting:
            caller = min(self._waiting, key=self._count_running)
            if not self._fits(self._waiting[caller][0]):
                return
            self._running.add(self._take(caller))

    def _take(self, caller: Hashable) -> _Ticket:
        """Return the caller's first ticket, called; the caller's next turn is after the others'."""
        own = self._waiting.pop(caller)
        ticket = own.popleft()
        if own:
            self._waiting[caller] = own
        ticket.called.set()
        return ticket

    def _fits(self, ticket: _Ticket) -> bool:
        if len(self._running) >= self._workers:
            return False
        return not self._running or self._pixels_in_flight() + ticket.pixels <= self._max_pixels

    def _pixels_in_flight(self) -> int:
        return sum(ticket.pixels for ticket in self._running)

    def _count_waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    def _count_running(self, caller: Hashable) -> int:
        return sum(ticket.caller == caller for ticket in self._running)

    def _count(self, caller: Hashable) -> int:
        return len(self._waiting[caller]) + self._count_running(caller)
