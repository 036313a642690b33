"""Find the counters of billing periods that other tools wrote into Redis.

Nobody tells us of them, so the names of all keys are looked through again and again: by one
process at a time, in small steps inside Redis, spread over the time that a pass may take. What is
found goes into an index for each user, which those who list billing periods read.
"""

import itertools
import threading
import time
from collections.abc import Callable
from typing import Final, cast

from django.conf import settings
from redis import Redis

from openrembg.server.quota import usage_keys as keys
from openrembg.server.quota.redis_pool import FAILURES, redis_pool
from openrembg.server.regularly import regularly

# A key that is written just behind a pass waits for the next one to begin and to end. That, and
# the same again for a process that dies in between, is less than the minute that is promised.
EVERY_S: Final = 20.0
SPREAD_S: Final = 15.0
TURN_S: Final = 2.0
STEP_KEYS: Final = 250
MAX_STEPS: Final = 10_000
# It is there while the present pass, or the next one, need not begin.
RECENT: Final = f"{keys.PRIVATE}scanned"

# ARGV: the cursor, how many keys to look at, what the indexes' names begin with.
_STEP: Final = """
local found = redis.call('SCAN', ARGV[1], 'MATCH', 'user:*_usage:cycle:*', 'COUNT', ARGV[2])
for _, name in ipairs(found[2]) do
  local user, channel, start = string.match(name, '^user:(%d+):(%l+)_usage:cycle:(%d+)$')
  local is_start = start and #start <= 10 and (start == '0' or string.sub(start, 1, 1) ~= '0')
  if is_start and (channel == 'app' or channel == 'api') then
    redis.pcall('ZADD', ARGV[3] .. user, start, start)
  end
end
return found[1]
"""


class CycleScan:
    """Passes over one Redis."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._step = client.register_script(_STEP)

    def once(self, over: threading.Event, every_s: float, spread_s: float) -> bool:
        """Look through all keys within about `spread_s`; return False when one just did.

        Raises one of FAILURES.
        """
        if not self._client.set(RECENT, "1", nx=True, px=int(every_s * 1000)):
            return False
        total = self._client.dbsize()
        step_keys = max(STEP_KEYS, total // MAX_STEPS)
        steps = 1 + total // step_keys
        began, cursor = time.monotonic(), "0"
        for step in itertools.count(1):
            cursor = self._look(cursor, step_keys)
            ahead_s = began + spread_s * step / steps - time.monotonic()
            if cursor == "0" or over.wait(max(ahead_s, 0)):
                break
        return True

    def _look(self, cursor: str, step_keys: int) -> str:
        arguments = (cursor, step_keys, keys.index(""))
        return cast(bytes, self._step((), arguments)).decode()


def start_scanning(
    *, every_s: float = EVERY_S, spread_s: float = SPREAD_S, turn_s: float = TURN_S
) -> Callable[[], None]:
    """Begin, in a thread of its own, when there is a Redis; return how to end it."""
    redis_url: str | None = settings.OPENREMBG.redis_url
    if redis_url is None:
        return lambda: None
    scan = CycleScan(Redis.from_pool(redis_pool(redis_url)))
    return regularly("cycle-scan", turn_s, lambda over: _turn(scan, over, every_s, spread_s))


def _turn(scan: CycleScan, over: threading.Event, every_s: float, spread_s: float) -> None:
    """Do what is due; a Redis that is away is asked again the next time."""
    try:
        scan.once(over, every_s, spread_s)
    except FAILURES:
        # Whoever publishes or reads has logged it already.
        return
