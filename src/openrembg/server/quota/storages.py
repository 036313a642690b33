"""Where counts are kept: in Redis while it answers, in this process while it does not."""

from collections.abc import Callable
from typing import Final, TypeVar

from limits.storage import RedisStorage, Storage

from openrembg.server.breaker import TRY_AGAIN_AFTER_S, Breaker
from openrembg.server.quota.local_storage import LocalStorage
from openrembg.server.quota.redis_pool import FAILURES, REDIS_TIMEOUT_S, redis_pool

T = TypeVar("T")

_LOST: Final = "Redis does not answer; request limits count for this server alone"
_BACK: Final = "Redis answers again; request limits are shared again"


class Storages:
    """The shared counts, and the local ones that stand in while Redis is away."""

    def __init__(
        self, shared: Storage | None = None, *, try_again_after_s: float = TRY_AGAIN_AFTER_S
    ) -> None:
        self._local = LocalStorage()
        self._shared = shared
        self._breaker = Breaker(_LOST, _BACK, try_again_after_s)

    @property
    def is_away(self) -> bool:
        """Whether the shared counts failed when they were last asked."""
        return self._breaker.is_away

    def call(self, operation: Callable[[Storage], T]) -> tuple[T, Storage]:
        """Run an operation and return its result and the storage that it ran on."""
        shared = self._shared
        if shared is None or not self._breaker.may_ask():
            return operation(self._local), self._local
        try:
            result = operation(shared)
        except FAILURES as error:
            self._breaker.failed(error)
            return operation(self._local), self._local
        self._breaker.worked()
        return result, shared

    def call_on(self, storage: Storage, operation: Callable[[], object]) -> None:
        """Run an operation on the storage that an earlier call ran on; Redis away: not at all."""
        try:
            operation()
        except FAILURES as error:
            if storage is not self._shared:
                raise
            self._breaker.failed(error)


def storages_for(
    redis_url: str | None,
    *,
    timeout_s: float = REDIS_TIMEOUT_S,
    try_again_after_s: float = TRY_AGAIN_AFTER_S,
) -> Storages:
    """Return the storages for a Redis address, or local ones for None. Nothing is connected yet."""
    if redis_url is None:
        return Storages()
    pool = redis_pool(redis_url, timeout_s)
    shared = RedisStorage(redis_url, connection_pool=pool, key_prefix="openrembg:limits")
    return Storages(shared, try_again_after_s=try_again_after_s)
