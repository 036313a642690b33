"""Fill a Redis that began anew: flushed, started again, or another one in its place.

Readers of our API never see what is missing there: they get it written first. Those who read Redis
themselves do, so one of our servers writes everybody's copy once the Redis that answers is not the
one that was filled.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

from django.conf import settings
from django.db import Error, connection
from redis import Redis

from openrembg.server.quota import usage_keys as keys
from openrembg.server.quota.models import Balance
from openrembg.server.quota.redis_pool import FAILURES, redis_pool
from openrembg.server.quota.redis_usage import SharedUsage, shared_usage
from openrembg.server.regularly import regularly

LOOK_EVERY_S: Final = 2.0
# It tells which run of Redis holds everybody's copy.
FILLED: Final = f"{keys.PRIVATE}filled"
# It is there while a server fills, and a while after one that died.
FILLING: Final = f"{keys.PRIVATE}filling"
FILLING_LASTS_S: Final = 30


class Refill:
    """Whether one Redis is filled, and how to."""

    def __init__(self, client: Redis, shared: SharedUsage) -> None:
        self._client = client
        self._shared = shared

    def once(self, over: threading.Event) -> int:
        """Write everybody's copy if this run of Redis has not got them; return how many.

        Raises one of FAILURES, or the database's Error.
        """
        run_id = cast(Any, self._client.info("server"))["run_id"].encode()
        if self._client.get(FILLED) == run_id:
            return 0
        if not self._client.set(FILLING, run_id, nx=True, ex=FILLING_LASTS_S):
            return 0
        number = 0
        for written in self._shared.rewriting(Balance.objects.all()):
            number += written
            self._client.expire(FILLING, FILLING_LASTS_S)
            if over.is_set():
                return number
        self._client.set(FILLED, run_id)
        self._client.delete(FILLING)
        return number


def start_refilling(look_every_s: float = LOOK_EVERY_S) -> Callable[[], None]:
    """Begin, in a thread of its own, when there is a Redis; return how to end it."""
    shared = shared_usage()
    if shared is None:
        return lambda: None
    refill = Refill(Redis.from_pool(redis_pool(settings.OPENREMBG.redis_url)), shared)
    return regularly("refill-redis", look_every_s, partial(_look, refill))


def _look(refill: Refill, over: threading.Event) -> None:
    try:
        refill.once(over)
    except (*FAILURES, Error):
        # Whoever publishes or reads has logged it already; the next look begins anew.
        return
    finally:
        connection.close()
