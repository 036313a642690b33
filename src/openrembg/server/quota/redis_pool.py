"""One pool of connections to Redis for the whole process: short timeouts, and no second try."""

from functools import lru_cache
from typing import Final

from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

REDIS_TIMEOUT_S: Final = 0.25
# What a Redis that is away, slow or broken raises.
FAILURES: Final = (RedisError, OSError)


@lru_cache(maxsize=8)
def redis_pool(redis_url: str, timeout_s: float = REDIS_TIMEOUT_S) -> ConnectionPool:
    """Return the pool for a Redis address. Nothing is connected yet."""
    return ConnectionPool.from_url(
        redis_url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )
