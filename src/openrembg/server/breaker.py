"""Leave a service alone for a while after it failed: an outage costs its timeout only now and then,
and of all who ask at the same time then, only one.
"""

import logging
import threading
import time
from typing import Final

TRY_AGAIN_AFTER_S: Final = 5.0

logger = logging.getLogger("openrembg.outages")


class Breaker:
    """Says whether a service may be asked; each outage is logged once, and its end too.

    lost, back: the two sentences for the log.
    """

    def __init__(self, lost: str, back: str, try_again_after_s: float = TRY_AGAIN_AFTER_S) -> None:
        self._lost = lost
        self._back = back
        self._try_again_after_s = try_again_after_s
        self._lock = threading.Lock()
        self._ask_at = 0.0
        self._is_away = False

    @property
    def is_away(self) -> bool:
        """Whether the service failed when it was last asked."""
        return self._is_away

    def may_ask(self) -> bool:
        """Return whether to ask the service now: one that is away, one caller now and then.

        Whoever may tells afterwards what came of it.
        """
        if not self._is_away:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._ask_at:
                return False
            self._ask_at = now + self._try_again_after_s
            return True

    def failed(self, error: Exception) -> None:
        """Note that the service did not answer."""
        with self._lock:
            self._ask_at = time.monotonic() + self._try_again_after_s
            first, self._is_away = not self._is_away, True
        if first:
            # The class alone: the message may hold the address, which may hold a password.
            logger.warning(self._lost, extra={"fields": {"error": type(error).__name__}})

    def worked(self) -> None:
        """Note that the service answered."""
        if not self._is_away:
            return
        with self._lock:
            back, self._is_away, self._ask_at = self._is_away, False, 0.0
        if back:
            logger.warning(self._back)
