"""Counters in the database, for several processes without a Redis.

One statement counts, so that of two that count at once neither is lost and both see their own sum.
"""

import time

from django.db import Error, connection
from django.db.models import Q
from limits.storage import Storage

from openrembg.server.quota.models import RateCount
from openrembg.server.quota.rates import DAY_S

_INCREMENT = """
INSERT INTO quota_ratecount (key, number, expires_at) VALUES (%(key)s, %(amount)s, %(ends)s)
ON CONFLICT (key) DO UPDATE SET
    number = CASE WHEN {is_over} THEN excluded.number
                  ELSE quota_ratecount.number + excluded.number END,
    expires_at = CASE WHEN {is_over} THEN excluded.expires_at
                      ELSE quota_ratecount.expires_at END
RETURNING number
""".format(is_over="(quota_ratecount.expires_at <= %(now)s OR quota_ratecount.number = 0)")


class DatabaseStorage(Storage):
    """A `limits` storage: counts that start with their first increment and end after `expiry`."""

    STORAGE_SCHEME = None

    @property
    def base_exceptions(self) -> type[Exception]:
        """What may be raised when the database is away."""
        return Error

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a count and return the sum; `expiry` in seconds counts from the first time."""
        now = time.time()
        values: dict[str, str | float] = {
            "key": key,
            "amount": amount,
            "now": now,
            "ends": now + expiry,
        }
        with connection.cursor() as cursor:
            cursor.execute(_INCREMENT, values)
            return int(cursor.fetchone()[0])

    def get(self, key: str) -> int:
        """Return a count, 0 when it has ended."""
        row = self._alive(key)
        return row.number if row else 0

    def get_expiry(self, key: str) -> float:
        """Return when a count ends in Unix seconds, now when there is none."""
        row = self._alive(key)
        return row.expires_at if row else time.time()

    def check(self) -> bool:
        """Return whether the database answers."""
        try:
            RateCount.objects.exists()
        except Error:
            return False
        return True

    def reset(self) -> int:
        """Forget every count and return how many there were."""
        return RateCount.objects.all().delete()[0]

    def clear(self, key: str) -> None:
        """Forget one count."""
        RateCount.objects.filter(pk=key).delete()

    def _alive(self, key: str) -> RateCount | None:
        return RateCount.objects.filter(pk=key, expires_at__gt=time.time()).first()


def forget_ended(now: float, longest_s: float = 2 * DAY_S) -> int:
    """Delete the counts that have ended; return how many there were.

    longest_s: what would last longer began before the clock was put back.
    """
    over = Q(expires_at__lte=now) | Q(expires_at__gt=now + longest_s)
    return RateCount.objects.filter(over).delete()[0]
