"""Django's PostgreSQL backend, which Django looks for under this name, for a server under load.

While PostgreSQL is away, a request is told so at once: Django's own would let each wait for a
connection, until no thread is left for those that need no database.
"""

import time
from typing import Any, Final

from django.db.backends.postgresql import base
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from openrembg.server.postgresql import patience
from openrembg.server.postgresql.patience import BREAKER, POOL_S

# How often a request queues for a connection while others get theirs: then it is only a crowd.
QUEUES: Final = 4

_last_had = 0.0


class DatabaseWrapper(base.DatabaseWrapper):
    """One thread's way to the database."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a connection. Raises OperationalError, at once while none was to be had lately."""
        if not BREAKER.may_ask():
            raise OperationalError("The database did not answer a moment ago.")
        try:
            connection = self._queue_for_one(conn_params)
        except OperationalError as error:
            if not (isinstance(error, PoolTimeout) and _others_had_one()):
                BREAKER.failed(error)
            raise
        _note_one_was_had()
        BREAKER.worked()
        return connection

    def _queue_for_one(self, conn_params: dict[str, Any]) -> Any:
        for _ in range(QUEUES - 1):
            try:
                return super().get_new_connection(conn_params)
            except PoolTimeout:
                if not _others_had_one():
                    raise
        return super().get_new_connection(conn_params)

    def _configure_connection(self, connection: Any) -> bool:
        """Prepare a connection that has just been made; return whether there is to commit."""
        patience.begin(connection)
        return bool(super()._configure_connection(connection))  # type: ignore[misc]


def _note_one_was_had() -> None:
    global _last_had
    _last_had = time.monotonic()


def _others_had_one() -> bool:
    """Return whether any thread got a connection while one waited for it in vain."""
    return time.monotonic() - _last_had < POOL_S
