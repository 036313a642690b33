"""What a server does beside its requests: give back what dead servers held, forget what is old."""

import datetime as dt
import logging
import threading
from collections.abc import Callable
from typing import Final

from django.contrib.sessions.backends.db import SessionStore
from django.db import Error, connection
from django.utils import timezone

from openrembg.server.quota.database_storage import forget_ended
from openrembg.server.quota.ledger import release_overdue
from openrembg.server.removal.retries import forget_expired

EVERY_S: Final = 10.0
STOP_S: Final = 5.0

logger = logging.getLogger("openrembg.upkeep")


def start(every_s: float = EVERY_S) -> Callable[[], None]:
    """Begin, in a thread of its own; return how to end it."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(every_s):
            tidy(timezone.now())

    thread = threading.Thread(target=run, name="upkeep", daemon=True)
    thread.start()

    def stop() -> None:
        over.set()
        thread.join(STOP_S)

    return stop


def tidy(now: dt.datetime) -> None:
    """Do it once; a database that is away is asked again the next time."""
    try:
        released = release_overdue(now)
        forget_expired(now)
        forget_ended(now.timestamp())
        SessionStore.clear_expired()
    except Error as error:
        logger.warning(
            "The database does not answer", extra={"fields": {"error": type(error).__name__}}
        )
        return
    finally:
        connection.close()
    if released:
        fields = {"credits": released}
        logger.warning(
            "Credits of requests that never ended were given back", extra={"fields": fields}
        )
