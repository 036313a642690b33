"""How full a process is, and what it waits for: numbers for /metrics that nobody counts up."""

from dataclasses import dataclass
from typing import Final

NO_CLUSTER: Final = -1


@dataclass(frozen=True, slots=True)
class Fill:
    """What a process holds now, and the most that it may.

    backlog: requests that no thread has begun. answer_bytes: finished answers in memory. sending:
    charged pictures on their way. unwritten: of these, how many ended and are not written down.
    limits_away, usage_away: 1 while Redis does not answer who asks it for that. replicas:
    NO_CLUSTER where there is none. The last four are measured now and then by the process that
    leads, 0 in the others.
    """

    workers: int = 0
    queue_limit: int = 0
    pixel_limit: int = 0
    spool_bytes: int = 0
    spool_limit_bytes: int = 0
    answer_bytes: int = 0
    answer_limit_bytes: int = 0
    connections: int = 0
    connection_limit: int = 0
    backlog: int = 0
    sending: int = 0
    unwritten: int = 0
    limits_away: int = 0
    usage_away: int = 0
    replicas: int = NO_CLUSTER
    least_replicas: int = 0
    overdue_reservations: int = 0
    overdue_deliveries: int = 0
    waiting_mails: int = 0
    waiting_payments: int = 0


EMPTY: Final = Fill()
