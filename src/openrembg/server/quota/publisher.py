"""Publish usage beside the requests: a server writes into Redis in a thread of its own.

The version in each copy makes that safe: whoever reads before it is written sees that the copy is
older than the account. Of many changes of one user that wait together, the last is written once.
"""

import threading
from collections.abc import Callable
from typing import Final

from django.db import Error, connection

STOP_S: Final = 5.0


class Publisher:
    """Users whose copies have to be written, and the thread that writes them."""

    def __init__(self, publish: Callable[[int], None]) -> None:
        self._publish = publish
        # A dictionary, because it keeps the order and knows each user once.
        self._waiting: dict[int | None, None] = {}
        self._changed = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="publish-usage", daemon=True)
        self._thread.start()

    def add(self, user_id: int) -> None:
        """Have a user's copy written soon."""
        with self._changed:
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
                self._publish(user_id)
            except Error:
                # The next change or the next reader writes it.
                connection.close()
        connection.close()

    def _next(self) -> int | None:
        with self._changed:
            while not self._waiting and not self._is_over:
                self._changed.wait()
            user_id = next(iter(self._waiting), None)
            self._waiting.pop(user_id, None)
            return user_id


_running: Publisher | None = None


def start(publish: Callable[[int], None]) -> Callable[[], None]:
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
