"""Leave Redis alone for a while after it failed: an outage costs its timeout only now and then."""

import logging
import threading
import time
from typing import Final

from redis.exceptions import RedisError

TRY_AGAIN_AFTER_S: Final = 5.0
# What a Redis that is away, slow or broken raises.
FAILURES: Final = (RedisError, OSError)

logger = logging.getLogger("openrembg.quota")


class Breaker:
    """Says whether Redis may be asked; each outage is logged once, and its end too.

    lost, back: the two sentences for the log.
    """

    def __init__(self, lost: str, back: str, try_again_after_s: float = TRY_AGAIN_AFTER_S) -> None:
        self._lost = lost
        self._back = back
        self._try_again_after_s = try_again_after_s
        self._lock = threading.Lock()
        self._away_until = 0.0
        self._is_away = False

    def is_open(self) -> bool:
        """Return whether Redis has just failed and is to be left alone."""
        return time.monotonic() < self._away_until

    def failed(self, error: Exception) -> None:
        """Note that Redis did not answer."""
        with self._lock:
            self._away_until = time.monotonic() + self._try_again_after_s
            first, self._is_away = not self._is_away, True
        if first:
            # The class alone: the message may hold the address, which may hold a password.
            logger.warning(self._lost, extra={"fields": {"error": type(error).__name__}})

    def worked(self) -> None:
        """Note that Redis answered."""
        if not self._is_away:
            return
        with self._lock:
            back, self._is_away = self._is_away, False
        if back:
            logger.warning(self._back)
