"""What nobody looks after any more, told apart from what a clock only says is too late.

A clock is set, a machine sleeps, a process stands still: every deadline has passed then, also those
of deliveries whose server lives and will say so in a moment. They are overdue only once they have
been seen so twice, with the same deadline and a while apart by a clock that nobody sets.
"""

import datetime as dt
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from django.db.models import Q

from openrembg.server.database import is_trouble
from openrembg.server.observability.metrics import count_credit_fault

# Twice as long as a living server needs to prolong its deliveries, see quota/receipts.py.
AGAIN_AFTER_S: Final = 20.0
# Far beyond every deadline that is set: 60 s for a delivery, an hour at most for a reservation.
FAR_AHEAD: Final = dt.timedelta(hours=2)
# Of what dead servers left, so many are settled at a time.
AT_ONCE: Final = 1000
_REMEMBERED_S: Final = 600.0

logger = logging.getLogger("openrembg.quota")


def is_overdue(now: dt.datetime) -> Q:
    """Return the condition of rows with a deadline that has passed, or that no clock can mean.

    One so far ahead was set while the clock was ahead.
    """
    return Q(deadline__lte=now) | Q(deadline__gt=now + FAR_AHEAD)


@dataclass(frozen=True, slots=True)
class _Seen:
    deadline: dt.datetime
    at: float


class Watch:
    """What one process has seen overdue, and when; for any thread.

    clock: returns seconds that never jump.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[uuid.UUID, _Seen] = {}

    def seen_twice(self, rows: Iterable[tuple[uuid.UUID, dt.datetime]]) -> list[uuid.UUID]:
        """Return those whose deadline was the same a while ago, at most AT_ONCE, in their order.

        rows: ids and deadlines of what is overdue now. What is returned counts as seen now for the
        first time: whoever cannot settle it gets it again later, and others have their turn.
        """
        now = self._clock()
        with self._lock:
            self._forget_old(now)
            long_ago = [one for one, deadline in rows if self._is_old(one, deadline, now)]
            for one in long_ago[:AT_ONCE]:
                self._seen[one] = _Seen(self._seen[one].deadline, now)
        return long_ago[:AT_ONCE]

    def _is_old(self, one: uuid.UUID, deadline: dt.datetime, now: float) -> bool:
        seen = self._seen.get(one)
        if seen is None or seen.deadline != deadline:
            seen = self._seen[one] = _Seen(deadline, now)
        return now - seen.at >= AGAIN_AFTER_S

    def _forget_old(self, now: float) -> None:
        since = now - _REMEMBERED_S
        self._seen = {one: seen for one, seen in self._seen.items() if seen.at > since}


# Complained about already.
_hopeless: Final[set[uuid.UUID]] = set()


def settle_each(of: Iterable[tuple[uuid.UUID, Callable[[], bool]]]) -> int:
    """Settle one after the other, and return how many were; none holds up the others.

    What cannot be settled is logged once: somebody has changed a counter, for instance, and
    `openrembg admin verify-ledger` says which. Raises Django's errors of a database that is away.
    """
    return sum(_is_settled(one, settle) for one, settle in of)


def _is_settled(one: uuid.UUID, settle: Callable[[], bool]) -> bool:
    try:
        return settle()
    except Exception as error:
        if is_trouble(error):
            raise
        if one not in _hopeless:
            _hopeless.add(one)
            count_credit_fault()
            fields = {"charge": str(one)}
            logger.exception("A credit cannot be given back", extra={"fields": fields})
        return False
