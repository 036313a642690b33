"""The threads that answer requests; one that only waits for another request does not count."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from waitress.task import ThreadedTaskDispatcher  # type: ignore[import-untyped]

# A thread that waits holds a stack and little more: some ten megabytes for all of them.
MOST_WAITING: Final = 256


class TooManyWaiting(Exception):
    """No thread can be spared for one more request that waits."""


class Stack:
    """Where idle threads sleep: the last that lay down is woken first; used under `lock`.

    A condition wakes the one that has slept longest. So each thread gets its turn, and each fills
    its connection to the database, its caches and its part of the heap, though one has to do
    little: a server that is asked one thing at a time grew by 8 MB with each thousand requests.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._beds: list[threading.Lock] = []

    def wait(self) -> None:
        """Sleep until woken, without the lock."""
        bed = threading.Lock()
        bed.acquire()
        self._beds.append(bed)
        self._lock.release()
        try:
            bed.acquire()
        finally:
            self._lock.acquire()

    def notify(self) -> None:
        """Wake one thread, if one sleeps."""
        if self._beds:
            self._beds.pop().release()

    def notify_all(self) -> None:
        """Wake all."""
        while self._beds:
            self.notify()


class Workers(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Worker threads: `set_thread_count` is how many may work, those in `waiting` not counted."""

    # Without waitress' warning for every single request that waits for a thread.
    queue_logger = logging.Logger("queue", level=logging.CRITICAL)

    def __init__(self, on_thread_end: Callable[[], None]) -> None:
        super().__init__()
        self.queue_cv = Stack(self.lock)
        self._on_thread_end = on_thread_end
        # Over both numbers and the pool's size, so that the last to change them has the last word.
        self._sizing = threading.Lock()
        self._working = 0
        self._waiting = 0

    def handler_thread(self, thread_no: int) -> None:
        """Work until told to end, and let go of what the application keeps for each thread."""
        try:
            super().handler_thread(thread_no)
        finally:
            self._on_thread_end()

    def set_thread_count(self, count: int) -> None:
        """Let `count` threads work; 0 ends all, those that wait as soon as they have waited."""
        with self._sizing:
            self._working = count
            self._resize()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let another thread work in this one's place while the block does nothing but wait.

        Raises TooManyWaiting when too many do so already.
        """
        self._wait(1)
        try:
            yield
        finally:
            self._wait(-1)

    def _wait(self, more: int) -> None:
        with self._sizing:
            if self._waiting + more > MOST_WAITING:
                raise TooManyWaiting
            self._waiting += more
            self._resize()

    def _resize(self) -> None:
        # While the server stops, nobody takes a place.
        super().set_thread_count(self._working and self._working + self._waiting)
