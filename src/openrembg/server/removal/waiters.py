"""How many requests of one user wait for an answer of their own.

Each holds one of the server's threads, of which only so many may wait: a user who sends one request
hundreds of times must leave some to the others.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from openrembg.server.errors import StillRunning
from openrembg.server.threads import MOST_WAITING

MOST_OF_ONE_USER: Final = MOST_WAITING // 2

_lock: Final = threading.Lock()
_waiting: Final[Counter[int]] = Counter()


@contextmanager
def one_more(user_id: int) -> Iterator[None]:
    """Count one more of the user's while the block waits.

    Raises StillRunning, before the block, when half of all that may wait are the user's.
    """
    _count(user_id)
    try:
        yield
    finally:
        _discount(user_id)


def _count(user_id: int) -> None:
    with _lock:
        if _waiting[user_id] >= MOST_OF_ONE_USER:
            raise StillRunning
        _waiting[user_id] += 1


def _discount(user_id: int) -> None:
    with _lock:
        _waiting[user_id] -= 1
        if not _waiting[user_id]:
            del _waiting[user_id]
