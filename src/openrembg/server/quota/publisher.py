"""Publish usage beside the requests: a server writes into Redis in a thread of its own.

The version in each copy makes that safe: whoever reads before it is written sees that the copy is
older than the account. Of many changes of one user that wait together, the last is written once.
What could not be written, because Redis or the database was away, is tried again.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from django.db import Error, connection

AGAIN_AFTER_S: Final = 2.0
# Of those beyond, each is written at the next change or by the next reader.
MAX_MISSED: Final = 100_000
STOP_S: Final = 5.0


class Publisher:
    """Users whose copies have to be written, and the thread that writes them.

    publish: writes a user's copy, and returns False when that was not possible.
    """

    def __init__(
        self, publish: Callable[[int], bool], again_after_s: float = AGAIN_AFTER_S
    ) -> None:
        self._publish = publish
        self._again_after_s = again_after_s
        # Dictionaries, because they keep the order and know each user once.
        self._waiting: dict[int | None, None] = {}
        self._missed: dict[int | None, None] = {}
        self._again_at = 0.0
        self._changed = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="publish-usage", daemon=True)
        self._thread.start()

    def add(self, user_id: int) -> None:
        """Have a user's copy written soon."""
        with self._changed:
            # What was missed is the same copy.
            self._missed.pop(user_id, None)
            self._waiting[user_id] = None
            self._changed.notify()

    def stop(self) -> None:
        """Write what waits, then end; not for longer than a few seconds."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        while (user_id := self._next()) is not None:
            try:
                is_written = self._publish(user_id)
            except Error:
                connection.close()
                is_written = False
            if not is_written:
                self._miss(user_id)
        connection.close()

    def _next(self) -> int | None:
        with self._changed:
            self._take_up_missed()
            while not self._waiting and not self._is_over:
                left_s = self._again_at - time.monotonic() if self._missed else None
                self._changed.wait(left_s)
                self._take_up_missed()
            user_id = next(iter(self._waiting), None)
            self._waiting.pop(user_id, None)
            return user_id

    def _miss(self, user_id: int) -> None:
        if not self._missed:
            self._again_at = time.monotonic() + self._again_after_s
        if len(self._missed) < MAX_MISSED:
            self._missed[user_id] = None

    def _take_up_missed(self) -> None:
        if self._missed and not self._is_over and time.monotonic() >= self._again_at:
            self._waiting |= self._missed
            self._missed = {}


_running: Publisher | None = None


def start(publish: Callable[[int], bool]) -> Callable[[], None]:
    """Let this process publish in a thread from now on; return how to end it."""
    global _running
    publisher = _running = Publisher(publish)

    def stop() -> None:
        global _running
        _running = None
        publisher.stop()

    return stop


def running() -> Publisher | None:
    """Return this process's publisher; None where publishing is done on the spot."""
    return _running
