"""How long a server waits for PostgreSQL: a line that is dead or a lock that is held is an error.

Operators' commands and migrations wait as long as it takes; `limit_waits` is for servers.
"""

from typing import Final, TypeVar

import psycopg
from psycopg.abc import PQGen

from openrembg.server.breaker import Breaker

T = TypeVar("T")

# Whoever waits so long for a connection, while nobody gets one, is told that there is none.
POOL_S: Final = 5.0
# PostgreSQL ends what takes longer itself, and the connection stays good.
STATEMENT_S: Final = 10
# Nothing has come by then: it was not PostgreSQL that took so long, but the way to it.
ANSWER_S: Final = 12.0
# A transaction of a server that cannot be reached any more holds its locks so long.
IDLE_S: Final = 30
# What psycopg looks after, to hear of Ctrl-C.
INTERVAL_S: Final = 0.1

_SET: Final = (
    "SELECT set_config('statement_timeout', %s, false),"
    " set_config('idle_in_transaction_session_timeout', %s, false)"
)

# One for the process, whose threads share their connections.
BREAKER: Final = Breaker(
    "The database does not answer; requests that need it are turned away",
    "The database answers again",
    try_again_after_s=1.0,
)

_answer_s: float | None = None


def limit_waits(answer_s: float = ANSWER_S) -> None:
    """Let no statement of this process wait for ever from now on."""
    global _answer_s
    _answer_s = answer_s


class Connection(psycopg.Connection[tuple[object, ...]]):
    """A connection that gives up when no answer comes, is closed then, and says so."""

    def wait(self, gen: PQGen[T], interval: float = INTERVAL_S, timeout: float | None = None) -> T:
        """Wait for what PostgreSQL answers. Raises OperationalError when it does not."""
        try:
            return super().wait(gen, interval, _answer_s if timeout is None else timeout)
        except psycopg.errors._WaitTimeout as error:
            BREAKER.failed(error)
            # Whatever came now would be taken for the next answer.
            self.pgconn.finish()
            raise


def begin(connection: Connection) -> None:
    """Let PostgreSQL itself end what takes too long on a new connection."""
    if _answer_s is not None:
        connection.execute(_SET, [f"{STATEMENT_S}s", f"{IDLE_S}s"])
