"""What should have been done long ago, or waits for an operator: counted in the database.

Not when Prometheus asks, which must not wait for a database, but now and then by the process that
leads. Servers that share a database all tell the same.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from openrembg.server.billing import waiting
from openrembg.server.quota.models import Delivery, Reservation, UsageWarning

# Upkeep looks every few seconds: what is older has been looked at in vain, many times.
LATE: Final = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Arrears:
    """reservations, deliveries: credits of dead servers that nobody has given back. mails: those
    that were due. payments: what Stripe told and an operator has to complete.
    """

    reservations: int = 0
    deliveries: int = 0
    mails: int = 0
    payments: int = 0


_last = Arrears()


def last_seen() -> Arrears:
    """Return what this process has seen last; nothing, in those that do not look."""
    return _last


def look(now: dt.datetime) -> Arrears:
    """Count, and remember it for /metrics. Raises what the database does."""
    global _last
    late = now - LATE
    waits = (waiting.customers(), waiting.subscriptions(), waiting.purchases())
    _last = Arrears(
        reservations=Reservation.objects.filter(deadline__lte=late).count(),
        deliveries=Delivery.objects.filter(deadline__lte=late).count(),
        mails=UsageWarning.objects.filter(due_at__lte=late).count(),
        payments=sum(rows.count() for rows in waits),
    )
    return _last
