"""How long a run waits when the server says to come later: together, and while photos get done."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

# For a server that asks to come later and does not say when.
UNSAID_S: Final = 5.0


class Patience:
    """A pause that all photos of a run share.

    It gives up when no photo got done within `limit_s`, so that a slow limit makes a long run, and
    a server that never takes anything ends it.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._done_s = self._until_s = self.now()

    @staticmethod
    def now() -> float:
        """Return the time by a clock that is never set, in seconds."""
        return time.monotonic()

    def renew(self) -> None:
        """Take note that a photo got done."""
        self._done_s = self.now()

    def postpone(self, wait_s: float | None, since_s: float) -> bool:
        """Let all photos wait; return False when the patience with one begun at `since_s` ends."""
        until_s = self.now() + (UNSAID_S if wait_s is None else wait_s)
        if until_s > max(self._done_s, since_s) + self._limit_s:
            return False
        self._until_s = max(self._until_s, until_s)
        return True

    async def pause(self, waits: Callable[[], None]) -> None:
        """Wait until the pause is over, which others may make longer meanwhile."""
        while (left_s := self._until_s - self.now()) > 0:
            waits()
            await asyncio.sleep(left_s)
