"""How often an anonymous caller may ask: requests a minute and cut-outs a day.

Both are fixed windows that start with the caller's first request. A moving window would need a
list a caller instead of a number, could not give a cut-out back, and would not know one moment at
which everything is allowed again, which the answer's headers promise.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from limits.storage import Storage

from openrembg.server.errors import DailyLimit, TooFast
from openrembg.server.quota.storages import Storages

MINUTE_S: Final = 60
DAY_S: Final = 24 * 60 * 60
UNLIMITED: Final = -1
# "No limit" as a number that every client's integer can hold.
PLENTY: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Policy:
    """A number of units a window. A limit of -1 is none; 0 refuses everything."""

    name: str
    limit: int
    window_s: int

    @property
    def is_limited(self) -> bool:
        """Whether anything has to be counted."""
        return self.limit != UNLIMITED


@dataclass(frozen=True, slots=True)
class Window:
    """How a caller stands with one policy now; resets_at in Unix seconds."""

    policy: Policy
    remaining: int
    resets_at: float

    @property
    def resets_in_s(self) -> int:
        """Whole seconds until the window ends, at least 1 and at most the window."""
        left = math.ceil(self.resets_at - time.time())
        return min(max(left, 1), self.policy.window_s)


class Rates:
    """The two policies and where they are counted."""

    def __init__(self, storages: Storages, per_minute: int, per_day: int) -> None:
        self.minute = Policy("minute", per_minute, MINUTE_S)
        self.day = Policy("day", per_day, DAY_S)
        self._storages = storages

    def visit(self, block: str) -> "Visit":
        """Return one request's way through the limits of an address block."""
        return Visit(self, block)

    def look(self, policy: Policy, block: str) -> Window:
        """Return how a block stands, counting nothing."""
        if not policy.is_limited:
            return _unlimited(policy)
        key = _key(policy, block)
        (used, ends), _ = self._storages.call(
            lambda storage: (storage.get(key), storage.get_expiry(key))
        )
        return _window(policy, used, ends)

    def take(self, policy: Policy, block: str) -> tuple[bool, Window, Storage | None]:
        """Count one unit; return whether it was left, the standing, and who counted it."""
        if not policy.is_limited:
            return True, _unlimited(policy), None
        key = _key(policy, block)
        (used, ends), storage = self._storages.call(
            lambda storage: (storage.incr(key, policy.window_s), storage.get_expiry(key))
        )
        return used <= policy.limit, _window(policy, used, ends), storage

    def give_back(self, policy: Policy, block: str, storage: Storage | None) -> None:
        """Undo one `take`, where it was counted; a window that has ended stays as it is."""
        if storage is None:
            return
        key = _key(policy, block)
        self._storages.call_on(storage, lambda: _decrement(storage, key, policy.window_s))


@dataclass(slots=True)
class Visit:
    """One request's way through the limits: count the request, look at the day, reserve a unit."""

    rates: Rates
    block: str
    _seen: dict[str, Window] = field(default_factory=dict)
    _reserved_in: Storage | None = None
    _has_reserved: bool = False

    def count_request(self) -> None:
        """Count the request for the minute. Raises TooFast when that was one too many."""
        policy = self.rates.minute
        left, window, _ = self.rates.take(policy, self.block)
        self._seen[policy.name] = window
        if not left:
            raise TooFast(window.resets_in_s)

    def check_day(self) -> None:
        """Raise DailyLimit when nothing is left of the day, without taking anything."""
        policy = self.rates.day
        window = self.rates.look(policy, self.block)
        self._seen[policy.name] = window
        if window.remaining == 0:
            raise DailyLimit

    def reserve(self) -> None:
        """Take one cut-out from the day at once. Raises DailyLimit when none is left."""
        policy = self.rates.day
        left, window, storage = self.rates.take(policy, self.block)
        self._seen[policy.name] = window
        if not left:
            self.rates.give_back(policy, self.block, storage)
            raise DailyLimit
        self._has_reserved, self._reserved_in = True, storage

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Hold a reserved cut-out while the block runs; whatever it raises gives it back."""
        self.reserve()
        try:
            yield
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the reserved cut-out back, if there is one."""
        if not self._has_reserved:
            return
        self._has_reserved = False
        policy, window = self.rates.day, self._seen[self.rates.day.name]
        self.rates.give_back(policy, self.block, self._reserved_in)
        if policy.is_limited:
            back = min(window.remaining + 1, policy.limit)
            self._seen[policy.name] = Window(policy, back, window.resets_at)

    def windows(self) -> tuple[Window, Window]:
        """Return how the caller stands with the minute and the day, after this request."""
        return self._standing(self.rates.minute), self._standing(self.rates.day)

    def _standing(self, policy: Policy) -> Window:
        return self._seen.get(policy.name) or self.rates.look(policy, self.block)


def _key(policy: Policy, block: str) -> str:
    return f"{policy.name}:{block}"


def _unlimited(policy: Policy) -> Window:
    return Window(policy, PLENTY, time.time() + policy.window_s)


def _window(policy: Policy, used: int, ends: float) -> Window:
    now = time.time()
    remaining = min(max(policy.limit - used, 0), policy.limit)
    return Window(policy, remaining, ends if ends > now else now + policy.window_s)


def _decrement(storage: Storage, key: str, window_s: int) -> None:
    if storage.get(key) > 0:
        storage.incr(key, window_s, -1)
