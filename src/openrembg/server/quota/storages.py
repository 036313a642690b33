"""Where counts are kept: in Redis while it answers, in this process while it does not."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from limits.storage import RedisStorage, Storage
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from openrembg.server.quota.local_storage import LocalStorage

T = TypeVar("T")

REDIS_TIMEOUT_S: Final = 0.25
TRY_AGAIN_AFTER_S: Final = 5.0

logger = logging.getLogger("openrembg.quota")


class Storages:
    """The shared counts, and the local ones that stand in while Redis is away.

    After a failure Redis is left alone for a few seconds, so that an outage costs a request its
    timeout only now and then. Each outage is logged once, and its end too.
    """

    def __init__(
        self, shared: Storage | None = None, *, try_again_after_s: float = TRY_AGAIN_AFTER_S
    ) -> None:
        self._local = LocalStorage()
        self._try_again_after_s = try_again_after_s
        self._shared = shared
        self._lock = threading.Lock()
        self._away_until = 0.0
        self._is_away = False

    def call(self, operation: Callable[[Storage], T]) -> tuple[T, Storage]:
        """Run an operation and return its result and the storage that it ran on."""
        shared = self._shared
        if shared is None or time.monotonic() < self._away_until:
            return operation(self._local), self._local
        try:
            result = operation(shared)
        except (RedisError, OSError) as error:
            self._went_away(error)
            return operation(self._local), self._local
        self._came_back()
        return result, shared

    def call_on(self, storage: Storage, operation: Callable[[], object]) -> None:
        """Run an operation on the storage that an earlier call ran on; Redis away: not at all."""
        try:
            operation()
        except (RedisError, OSError) as error:
            if storage is not self._shared:
                raise
            self._went_away(error)

    def _went_away(self, error: Exception) -> None:
        with self._lock:
            self._away_until = time.monotonic() + self._try_again_after_s
            first, self._is_away = not self._is_away, True
        if first:
            # The class alone: the message may hold the address, which may hold a password.
            logger.warning(
                "Redis does not answer; request limits count for this server alone",
                extra={"fields": {"error": type(error).__name__}},
            )

    def _came_back(self) -> None:
        if not self._is_away:
            return
        with self._lock:
            back, self._is_away = self._is_away, False
        if back:
            logger.warning("Redis answers again; request limits are shared again")


def storages_for(
    redis_url: str | None,
    *,
    timeout_s: float = REDIS_TIMEOUT_S,
    try_again_after_s: float = TRY_AGAIN_AFTER_S,
) -> Storages:
    """Return the storages for a Redis address, or local ones for None. Nothing is connected yet."""
    if redis_url is None:
        return Storages()
    pool = ConnectionPool.from_url(
        redis_url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )
    shared = RedisStorage(redis_url, connection_pool=pool, key_prefix="openrembg:limits")
    return Storages(shared, try_again_after_s=try_again_after_s)
