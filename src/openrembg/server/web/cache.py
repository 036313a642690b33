"""The cache of the pages: in Redis while it answers, in this process while it does not."""

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.backoff import NoBackoff
from redis.retry import Retry

from openrembg.server.breaker import Breaker
from openrembg.server.quota.redis_pool import FAILURES, REDIS_TIMEOUT_S

T = TypeVar("T")

PREFIX: Final = "openrembg:pages"


class Json:
    """Values as JSON: what a stranger writes into Redis must not become code here."""

    def dumps(self, value: object) -> bytes:
        """Return the value as bytes."""
        return json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        """Return the value that the bytes stand for."""
        return json.loads(data)


# Threads have caches of their own; they share what is known of Redis.
_BREAKER: Final = Breaker(
    lost="Redis does not answer; log-in attempts count for this server alone",
    back="Redis answers again; log-in attempts are shared again",
)


class RedisOrLocal(BaseCache):
    """Django's Redis cache, which never fails and never waits long."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        options = {
            "serializer": Json(),
            "socket_timeout": REDIS_TIMEOUT_S,
            "socket_connect_timeout": REDIS_TIMEOUT_S,
            "retry": Retry(NoBackoff(), 0),
        }
        self._shared = RedisCache(server, {**params, "KEY_PREFIX": PREFIX, "OPTIONS": options})
        self._local = LocMemCache("openrembg.pages", params)

    def add(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Set a value unless there is one; return whether it was set."""
        return self._call(lambda cache: cache.add(key, value, timeout, version))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return a value."""
        return self._call(lambda cache: cache.get(key, default, version))

    def set(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        """Set a value."""
        self._call(lambda cache: cache.set(key, value, timeout, version))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Let a value live longer; return whether there is one."""
        return self._call(lambda cache: cache.touch(key, timeout, version))

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Delete a value; return whether there was one."""
        return self._call(lambda cache: cache.delete(key, version))

    def clear(self) -> None:
        """Delete every value of this process; Redis holds more than ours."""
        self._local.clear()

    def _call(self, operation: Callable[[BaseCache], T]) -> T:
        if not _BREAKER.may_ask():
            return operation(self._local)
        try:
            result = operation(self._shared)
        except FAILURES as error:
            _BREAKER.failed(error)
            return operation(self._local)
        _BREAKER.worked()
        return result
