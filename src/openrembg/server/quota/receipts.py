"""What the server tells of answers that were paid for, written down in a thread of its own.

Whoever sends an answer only leaves word here. The thread forgets what was delivered, many at once,
undoes what was not, and says of the rest, again and again, that it is still being sent: a slow
reader may take minutes, and only a dead server's deliveries become overdue. The database away: it
is asked again, and nothing is lost. No more can wait than was charged while the database answered.
What fails for another reason is tried a few times more, beside the rest, and then given up, as if
the server had died.
"""

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

from django.db import connection

from openrembg.server.database import give_back_connection, is_trouble
from openrembg.server.observability.metrics import count_credit_fault
from openrembg.server.quota import deliveries
from openrembg.server.sending import Receipt

# SQLite has one writer: twenty times a second is often enough.
GATHER_S: Final = 0.05
# Well within the time after which a second look takes them for a dead server's, quota/overdue.py.
PROLONG_EVERY_S: Final = 10.0
TRY_AGAIN_AFTER_S: Final = 1.0
# For errors that are not the database being away.
TRIES: Final = 10
STOP_S: Final = 5.0

logger = logging.getLogger("openrembg.receipts")


@dataclass(slots=True)
class _Task:
    """Something to write down. failures: how often it went wrong as it should not."""

    work: Callable[[], object]
    failures: int = 0

    def is_over(self) -> bool:
        """Try it; return whether it was done, or is given up. Raises for a database away."""
        try:
            self.work()
        except Exception as error:
            if is_trouble(error):
                raise
            connection.close()
            self.failures += 1
            return self._is_given_up(error)
        self.failures = 0
        return True

    def _is_given_up(self, error: Exception) -> bool:
        fields = {"error": type(error).__name__, "failures": self.failures}
        if self.failures == 1:
            logger.exception("A delivery cannot be written down", extra={"fields": fields})
        if self.failures < TRIES:
            return False
        logger.error("A delivery is not written down: given up", extra={"fields": fields})
        count_credit_fault()
        self.failures = 0
        return True


class Receipts:
    """The deliveries of one process, and the thread that looks after them."""

    def __init__(self, prolong_every_s: float = PROLONG_EVERY_S) -> None:
        self._prolong_every_s = prolong_every_s
        self._lock = threading.Lock()
        self._expected: set[uuid.UUID] = set()
        self._delivered: deque[uuid.UUID] = deque()
        self._failed: deque[_Task] = deque()
        self._forgetting = _Task(lambda: deliveries.forget(self._some_delivered()))
        self._prolonging = _Task(self._prolong)
        self._prolong_at = time.monotonic() + prolong_every_s
        self._wake, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="receipts", daemon=True)
        self._thread.start()

    def for_credit(self, hold_id: uuid.UUID, user_id: int) -> Receipt:
        """Return what is to be told whether the picture that a charge paid for was sent."""
        with self._lock:
            self._expected.add(hold_id)
        return CreditReceipt(self, hold_id, user_id)

    def for_unit(self, give_back: Callable[[], object]) -> Receipt:
        """Return the same for what needs no row: `give_back` is called when it was not sent."""
        return UnitReceipt(self, give_back)

    def delivered(self, hold_id: uuid.UUID) -> None:
        """Have a charge stand."""
        with self._lock:
            self._expected.discard(hold_id)
            self._delivered.append(hold_id)
        self._wake.set()

    def failed(self, give_back: Callable[[], object], hold_id: uuid.UUID | None = None) -> None:
        """Have something given back."""
        with self._lock:
            if hold_id is not None:
                self._expected.discard(hold_id)
            self._failed.append(_Task(give_back))
        self._wake.set()

    def expected(self) -> set[uuid.UUID]:
        """Return what is being sent, and what has just been."""
        with self._lock:
            return self._expected | set(self._delivered)

    @property
    def sending(self) -> int:
        """How many charged pictures are on their way."""
        return len(self._expected)

    @property
    def unwritten(self) -> int:
        """How many of which it is known what became of them, and not written down."""
        return len(self._delivered) + len(self._failed)

    def stop(self) -> None:
        """Write down what was told, then end; not for longer than a few seconds."""
        self._over.set()
        self._wake.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        while not self._over.is_set():
            self._wake.wait(max(0.0, self._prolong_at - time.monotonic()))
            self._over.wait(GATHER_S)
            self._wake.clear()
            if not self._settle():
                self._wake.set()
                self._over.wait(TRY_AGAIN_AFTER_S)
        self._settle()
        connection.close()

    def _settle(self) -> bool:
        """Write down what was told; return False when there is something to be tried again.

        Whatever goes wrong: the thread must not end of it.
        """
        try:
            # Living deliveries first: they are said to live while there is time.
            is_all = self._prolong_in_time() & self._forget_delivered() & self._undo_failed()
            give_back_connection()
        except Exception as error:
            self._bear_with(error)
            return False
        return is_all

    def _bear_with(self, error: Exception) -> None:
        fields = {"error": type(error).__name__, "waiting": len(self._delivered)}
        # A database that is away says enough with the name of its error.
        logger.warning(
            "Deliveries cannot be written down yet",
            exc_info=not is_trouble(error),
            extra={"fields": fields},
        )
        with suppress(Exception):
            connection.close()

    def _prolong_in_time(self) -> bool:
        if time.monotonic() < self._prolong_at:
            return True
        if not self._prolonging.is_over():
            return False
        self._prolong_at = time.monotonic() + self._prolong_every_s
        return True

    def _forget_delivered(self) -> bool:
        # Taken away only afterwards, so that an error loses none; others only add at the end, and
        # what they add meanwhile may be forgotten twice.
        while ids := self._some_delivered():
            if not self._forgetting.is_over():
                return False
            with self._lock:
                for _ in ids:
                    self._delivered.popleft()
        return True

    def _some_delivered(self) -> list[uuid.UUID]:
        with self._lock:
            return list(islice(self._delivered, deliveries.AT_ONCE))

    def _undo_failed(self) -> bool:
        """Undo each, once; what has to be tried again goes behind the rest."""
        is_all = True
        for _ in range(len(self._failed)):
            if not self._failed[0].is_over():
                self._failed.append(self._failed[0])
                is_all = False
            self._failed.popleft()
        return is_all

    def _prolong(self) -> None:
        with self._lock:
            expected = list(self._expected)
        for first in range(0, len(expected), deliveries.AT_ONCE):
            deliveries.prolong(expected[first : first + deliveries.AT_ONCE])


@dataclass(frozen=True, slots=True)
class CreditReceipt:
    """Tells of the picture of one charge."""

    receipts: Receipts
    hold_id: uuid.UUID
    user_id: int

    def delivered(self) -> None:
        """Let the charge stand."""
        self.receipts.delivered(self.hold_id)

    def failed(self) -> None:
        """Have the charge undone."""
        self.receipts.failed(lambda: deliveries.undo(self.hold_id, self.user_id), self.hold_id)


@dataclass(frozen=True, slots=True)
class UnitReceipt:
    """Tells of a picture that took something else than a credit."""

    receipts: Receipts
    give_back: Callable[[], object]

    def delivered(self) -> None:
        """Do nothing: it is counted already."""

    def failed(self) -> None:
        """Have it given back."""
        self.receipts.failed(self.give_back)


_running: Receipts | None = None


def start() -> Callable[[], None]:
    """Let this process look after its deliveries from now on; return how to end it."""
    global _running
    receipts = _running = Receipts()

    def stop() -> None:
        global _running
        receipts.stop()
        _running = None

    return stop


def running() -> Receipts | None:
    """Return this process's receipts; None where nobody tells what became of an answer."""
    return _running
