"""Whether a call that failed is tried again, and after how long."""

import random
from typing import Final

from openrembg.client.errors import APIError, ConnectionFailed, RembgError

FIRST_S: Final = 0.5
MOST_S: Final = 8.0
JITTER: Final = 0.25
_PASSING: Final = frozenset({502, 503, 504})


def pause_s(error: RembgError, failures: int) -> float | None:
    """Return the seconds to wait before the next attempt; None: another would not help.

    failures: how many attempts have failed, this one too. The server's Retry-After counts, else
    the pauses double, with a jitter that keeps many clients from coming back at once.
    """
    if not may_pass(error):
        return None
    if isinstance(error, APIError) and error.retry_after_s is not None:
        return error.retry_after_s
    doubled = FIRST_S * 2.0 ** min(failures - 1, 16)
    jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (no secret)
    return min(doubled * jitter, MOST_S)


def may_pass(error: RembgError) -> bool:
    """Say whether the same call may go well a little later."""
    if isinstance(error, ConnectionFailed):
        return error.may_pass
    if not isinstance(error, APIError):
        return False
    if error.status == 429:
        waits = error.code is None and error.retry_after_s is not None
        return error.code == "rate_limited" or waits
    return error.status in _PASSING or error.code == "idempotency_key_in_use"
