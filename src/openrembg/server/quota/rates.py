"""How often one may ask: requests a minute for everybody, cut-outs a day for anonymous callers.

Both are fixed windows that start with the caller's first request. A moving window would need a
list a caller instead of a number, could not give a cut-out back, and would not know one moment at
which everything is allowed again, which the answer's headers promise.
"""

import math
import time
from dataclasses import dataclass
from typing import Final

from limits.storage import Storage

from openrembg.server.errors import TooFast
from openrembg.server.quota.storages import Storages

MINUTE_S: Final = 60
DAY_S: Final = 24 * 60 * 60
UNLIMITED: Final = -1
# How far the clocks of servers that share their counts may be apart.
CLOCKS_DIFFER_S: Final = 5
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
class Standing:
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
    """Counts by policy and subject: an address block, or a user."""

    def __init__(self, storages: Storages, per_minute: int, per_day: int) -> None:
        self.minute = Policy("minute", per_minute, MINUTE_S)
        self.day = Policy("day", per_day, DAY_S)
        self._storages = storages

    @property
    def is_away(self) -> bool:
        """Whether what servers share did not answer, so that this one counts for itself."""
        return self._storages.is_away

    def count_request(self, policy: Policy, subject: str) -> Standing:
        """Count a request for a short-term policy. Raises TooFast when it was one too many."""
        left, standing, _ = self.take(policy, subject)
        if not left:
            raise TooFast(standing.resets_in_s)
        return standing

    def look(self, policy: Policy, subject: str) -> Standing:
        """Return how a subject stands, counting nothing."""
        if not policy.is_limited:
            return _unlimited(policy)
        key = _key(policy, subject)
        (used, ends), _ = self._storages.call(
            lambda storage: (storage.get(key), storage.get_expiry(key))
        )
        return _standing(policy, 0 if _is_too_long(policy, ends) else used, ends)

    def take(self, policy: Policy, subject: str) -> tuple[bool, Standing, Storage | None]:
        """Count one unit; return whether it was left, the standing, and who counted it."""
        if not policy.is_limited:
            return True, _unlimited(policy), None
        key = _key(policy, subject)
        (used, ends), storage = self._storages.call(lambda storage: _count(storage, key, policy))
        return used <= policy.limit, _standing(policy, used, ends), storage

    def give_back(self, policy: Policy, subject: str, storage: Storage | None) -> None:
        """Undo one `take`, where it was counted; a window that has ended stays as it is."""
        if storage is None:
            return
        key = _key(policy, subject)
        self._storages.call_on(storage, lambda: _decrement(storage, key, policy.window_s))


def _key(policy: Policy, subject: str) -> str:
    return f"{policy.name}:{subject}"


def _unlimited(policy: Policy) -> Standing:
    return Standing(policy, PLENTY, time.time() + policy.window_s)


def _standing(policy: Policy, used: int, ends: float) -> Standing:
    now = time.time()
    remaining = min(max(policy.limit - used, 0), policy.limit)
    return Standing(policy, remaining, ends if ends > now else now + policy.window_s)


def _count(storage: Storage, key: str, policy: Policy) -> tuple[int, float]:
    """Count one unit; return the sum and when the window ends."""
    used, ends = storage.incr(key, policy.window_s), storage.get_expiry(key)
    if not _is_too_long(policy, ends):
        return used, ends
    storage.clear(key)
    return storage.incr(key, policy.window_s), storage.get_expiry(key)


def _is_too_long(policy: Policy, ends: float) -> bool:
    """Whether a window would last longer than it may: a clock was put back since it began."""
    return ends > time.time() + policy.window_s + CLOCKS_DIFFER_S


def _decrement(storage: Storage, key: str, window_s: int) -> None:
    if storage.get(key) > 0:
        storage.incr(key, window_s, -1)
