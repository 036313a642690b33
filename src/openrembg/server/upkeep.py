"""What a server does beside its requests: give back what dead servers held, forget what is old,
put those on the free plan whose subscription has ended, and warn those whose credits run out.
"""

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from django.contrib.sessions.backends.db import SessionStore
from django.db import Error, connection
from django.utils import timezone

from openrembg.server.billing.subscriptions import reconcile
from openrembg.server.errors import AccountGone
from openrembg.server.quota.database_storage import forget_ended
from openrembg.server.quota.models import Balance
from openrembg.server.quota.spending import release_overdue
from openrembg.server.quota.warning_mails import send_due
from openrembg.server.quota.warnings import note_warnings
from openrembg.server.quota.windows import unix
from openrembg.server.removal.retries import forget_expired

EVERY_S: Final = 10.0
SESSIONS_EVERY_S: Final = 3600.0
STOP_S: Final = 5.0
LAPSED_AT_ONCE: Final = 500

logger = logging.getLogger("openrembg.upkeep")


def start(
    every_s: float = EVERY_S, sessions_every_s: float = SESSIONS_EVERY_S
) -> Callable[[], None]:
    """Begin, in a thread of its own; return how to end it."""
    over = threading.Event()

    def run() -> None:
        sessions_at = time.monotonic()
        while not over.wait(every_s):
            tidy(timezone.now())
            warn(timezone.now())
            if time.monotonic() >= sessions_at:
                sessions_at += sessions_every_s
                forget_sessions()

    thread = threading.Thread(target=run, name="upkeep", daemon=True)
    thread.start()

    def stop() -> None:
        over.set()
        thread.join(STOP_S)

    return stop


def tidy(now: dt.datetime) -> None:
    """Do once what cannot wait; a database that is away is asked again the next time."""
    with _bearing_with_the_database():
        released = release_overdue(now)
        if released:
            fields = {"credits": released}
            logger.warning(
                "Credits of requests that never ended were given back", extra={"fields": fields}
            )
        forget_expired(now)
        forget_ended(now.timestamp())
        end_lapsed(now)


def warn(now: dt.datetime) -> None:
    """Find users whose included credits run out, and send the mails that are due."""
    with _bearing_with_the_database():
        note_warnings(now)
        send_due(now)


def forget_sessions() -> None:
    """Delete what is left of log-ins that have expired."""
    with _bearing_with_the_database():
        SessionStore.clear_expired()


def end_lapsed(now: dt.datetime) -> int:
    """Let subscriptions end that were told to, or whose payment failed; return how many.

    Those that ended first come first, and not all at once: the rest has its turn the next time.
    """
    lapsed = Balance.objects.filter(period_end__lte=unix(now), next_end=None)
    users = lapsed.order_by("period_end").values_list("pk", flat=True)[:LAPSED_AT_ONCE]
    return sum(_has_ended(user_id, now) for user_id in list(users))


def _has_ended(user_id: int, now: dt.datetime) -> bool:
    try:
        return reconcile(user_id, now)
    except AccountGone:
        return False


@contextmanager
def _bearing_with_the_database() -> Iterator[None]:
    try:
        yield
    except Error as error:
        logger.warning(
            "The database does not answer", extra={"fields": {"error": type(error).__name__}}
        )
    finally:
        connection.close()
