"""Counters in this process's memory.

`limits` has a MemoryStorage, but two of its counts can both see the sum of both when they run at
once, so that a limit of 20 may let 19 pass, and it looks at every key 100 times a second. One lock
and one dictionary do it exactly.
"""

import threading
import time
from dataclasses import dataclass
from typing import Final

from limits.storage import Storage

SWEEP_EVERY_S: Final = 60.0


@dataclass(slots=True)
class _Count:
    number: int
    expires_at: float


class LocalStorage(Storage):
    """A `limits` storage: counts that start with their first increment and end after `expiry`.

    Whatever happens to the clock meanwhile.
    """

    STORAGE_SCHEME = None

    def __init__(self, sweep_every_s: float = SWEEP_EVERY_S) -> None:
        super().__init__()
        self._sweep_every_s = sweep_every_s
        self._counts: dict[str, _Count] = {}
        self._lock = threading.Lock()
        self._sweep_at = 0.0

    @property
    def base_exceptions(self) -> type[Exception]:
        """What may be raised: nothing but a bug."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a count and return the sum; `expiry` in seconds counts from the first time."""
        now = time.monotonic()
        with self._lock:
            self._sweep(now)
            count = self._alive(key, now)
            if count is None or count.number == 0:
                count = self._counts[key] = _Count(0, now + expiry)
            count.number += amount
            return count.number

    def get(self, key: str) -> int:
        """Return a count, 0 when it has ended."""
        with self._lock:
            count = self._alive(key, time.monotonic())
            return count.number if count else 0

    def get_expiry(self, key: str) -> float:
        """Return when a count ends in Unix seconds, now when there is none."""
        now = time.monotonic()
        with self._lock:
            count = self._alive(key, now)
            return time.time() + (count.expires_at - now if count else 0)

    def check(self) -> bool:
        """Return True: memory is always there."""
        return True

    def reset(self) -> int:
        """Forget every count and return how many there were."""
        with self._lock:
            number = len(self._counts)
            self._counts.clear()
            return number

    def clear(self, key: str) -> None:
        """Forget one count."""
        with self._lock:
            self._counts.pop(key, None)

    def _alive(self, key: str, now: float) -> _Count | None:
        count = self._counts.get(key)
        return count if count and count.expires_at > now else None

    def _sweep(self, now: float) -> None:
        if now < self._sweep_at:
            return
        self._sweep_at = now + self._sweep_every_s
        self._counts = {key: count for key, count in self._counts.items() if count.expires_at > now}
