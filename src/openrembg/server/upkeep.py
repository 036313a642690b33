"""What a server does beside its requests: give back what dead servers held, forget what is old,
put those on the free plan whose subscription has ended, and warn those whose credits run out.
"""

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.utils import timezone

from openrembg.server.billing.subscriptions import reconcile
from openrembg.server.database import is_trouble, note_trouble, reason
from openrembg.server.errors import AccountGone
from openrembg.server.observability import arrears
from openrembg.server.observability.metrics import count_upkeep_failure
from openrembg.server.quota.database_storage import forget_ended
from openrembg.server.quota.models import Balance
from openrembg.server.quota.spending import release_overdue
from openrembg.server.quota.warning_mails import send_due
from openrembg.server.quota.warnings import note_warnings
from openrembg.server.quota.windows import unix
from openrembg.server.regularly import regularly
from openrembg.server.removal.retries import forget_expired

EVERY_S: Final = 10.0
ARREARS_EVERY_S: Final = 60.0
SESSIONS_EVERY_S: Final = 3600.0
LAPSED_AT_ONCE: Final = 500

logger = logging.getLogger("openrembg.upkeep")

# What has failed, and has been complained about.
_failing: Final[set[str]] = set()


def start(
    every_s: float = EVERY_S, sessions_every_s: float = SESSIONS_EVERY_S
) -> Callable[[], None]:
    """Begin, in a thread of its own; return how to end it."""
    sessions_at = arrears_at = time.monotonic()

    def turn(_over: threading.Event) -> None:
        nonlocal sessions_at, arrears_at
        tidy(timezone.now())
        warn(timezone.now())
        if time.monotonic() >= arrears_at:
            arrears_at += ARREARS_EVERY_S
            look_for_arrears()
        if time.monotonic() >= sessions_at:
            sessions_at += sessions_every_s
            forget_sessions()

    return regularly("upkeep", every_s, turn)


def tidy(now: dt.datetime) -> None:
    """Do once what cannot wait; a database that is away is asked again the next time."""
    _do(now, _give_back, forget_expired, _forget_ended, end_lapsed)


def warn(now: dt.datetime) -> None:
    """Find users whose included credits run out, and send the mails that are due."""
    _do(now, note_warnings, send_due)


def look_for_arrears() -> None:
    """Count what is late, for /metrics."""
    _do(timezone.now(), arrears.look)


def forget_sessions() -> None:
    """Delete what is left of log-ins that have expired."""
    _do(timezone.now(), _forget_sessions)


def end_lapsed(now: dt.datetime) -> int:
    """Let subscriptions end that were told to, or whose payment failed; return how many.

    Those that ended first come first, and not all at once: the rest has its turn the next time.
    """
    lapsed = Balance.objects.filter(period_end__lte=unix(now), next_end=None)
    users = lapsed.order_by("period_end").values_list("pk", flat=True)[:LAPSED_AT_ONCE]
    return sum(_has_ended(user_id, now) for user_id in list(users))


def _has_ended(user_id: int, now: dt.datetime) -> bool:
    return bool(_tried(partial(_end, user_id, now), f"end_lapsed of user {user_id}"))


def _end(user_id: int, now: dt.datetime) -> bool:
    try:
        return reconcile(user_id, now)
    except AccountGone:
        return False


def _give_back(now: dt.datetime) -> None:
    released = release_overdue(now)
    if released:
        fields = {"credits": released}
        logger.warning(
            "Credits of requests that never ended were given back", extra={"fields": fields}
        )


def _forget_ended(now: dt.datetime) -> None:
    forget_ended(now.timestamp())


def _forget_sessions(_now: dt.datetime) -> None:
    SessionStore.clear_expired()


def _do(now: dt.datetime, *steps: Callable[[dt.datetime], object]) -> None:
    """Do one after the other; none that fails holds up the next, unless the database is away."""
    try:
        for step in steps:
            _tried(partial(step, now), step.__name__)
    except Exception as error:
        note_trouble()
        logger.warning("Upkeep has to wait", extra={"fields": {"detail": reason(error)}})
    finally:
        with suppress(Exception):
            connection.close()


def _tried(step: Callable[[], object], name: str) -> object:
    """Return what a step returns, or None when it fails, which is logged once until it succeeds.

    Raises Django's errors of a database that is away.
    """
    try:
        outcome = step()
    except Exception as error:
        if is_trouble(error):
            raise
        connection.close()
        count_upkeep_failure()
        if name not in _failing:
            _failing.add(name)
            logger.exception("Upkeep failed", extra={"fields": {"step": name}})
        return None
    _failing.discard(name)
    return outcome
