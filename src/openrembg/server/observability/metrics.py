"""What this server counts, for Prometheus; exposition.py tells it, with what is true at the moment.

Of several processes each counts in a file of its own, named for its place, so that the one that is
started after it goes on counting; the supervisor has made the files. One that cannot count there
counts for itself alone.

No label is what a client sent: each has a few values, whatever comes.
"""

import logging
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector

from openrembg.server.observability import spans
from openrembg.server.processes.counts import can_count
from openrembg.server.processes.membership import Place, place

REGISTRY: Final = CollectorRegistry()
logger = logging.getLogger("openrembg.metrics")

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LONG_SECONDS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0, 259200.0)
_PIXELS: Final = tuple(
    megapixels * 1e6 for megapixels in (0.1, 0.25, 0.5, 1, 2, 4, 8, 12, 24, 50, 100)
)

CreditEvent = Literal["charged", "released", "returned"]
StripeOutcome = Literal["new", "repeated", "unsigned", "unreadable"]


@dataclass(frozen=True, slots=True)
class Family:
    """What docs/metrics.md says of one metric. labels: each name, and its values in words."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[tuple[str, str], ...] = ()


# Those that are counted; exposition.py has the others.
COUNTED: Final[list[Family]] = []


def _counted_here(mine: Place | None) -> CollectorRegistry | None:
    """Return the registry that reads this process's counts; None: it reads those of all."""
    if mine is None:
        return REGISTRY
    index = mine.membership.index
    if not can_count(Path(mine.membership.counts), index):
        fields = {"fields": {"folder": mine.membership.counts}}
        logger.error("The folder for metrics cannot be used", extra=fields)
        return REGISTRY
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = mine.membership.counts
    # Chosen before the first count is made (prometheus_client's documentation, multiprocess mode).
    values.ValueClass = values.MultiProcessValue(lambda: index)  # type: ignore[no-untyped-call]
    MultiProcessCollector(REGISTRY)  # type: ignore[no-untyped-call]
    return None


# They would be a third of all series, and of several processes there are none.
disable_created_metrics()  # type: ignore[no-untyped-call]
_own = _counted_here(place())


def _counter(name: str, text: str, **labels: str) -> Counter:
    COUNTED.append(Family(f"{name}_total", "counter", text, tuple(labels.items())))
    return Counter(name, text, tuple(labels), registry=_own)


def _histogram(
    name: str, text: str, buckets: Iterable[float] = _SECONDS, **labels: str
) -> Histogram:
    COUNTED.append(Family(name, "histogram", text, tuple(labels.items())))
    return Histogram(name, text, tuple(labels), buckets=tuple(buckets), registry=_own)


_ROUTE: Final = "the route; `other` for a path that is none"
_REFUSED: Final = "refused"
_STRIPE: Final = "/api/webhooks/stripe"
_requests = _counter(
    "openrembg_requests",
    "Requests answered.",
    route=f"{_ROUTE}; `{_REFUSED}` for what is no HTTP, or crashed",
    status="the HTTP status",
)
_durations = _histogram(
    "openrembg_request_seconds", "Time from the request to its answer.", route=_ROUTE
)
_received = _counter("openrembg_received_bytes", "Bytes of requests' bodies, as declared.")
_sent = _counter("openrembg_sent_bytes", "Bytes of answers' bodies.")
_errors = _counter(
    "openrembg_errors",
    "Answers that are errors.",
    code="the answer's `code`: `invalid_request`, `rate_limited`, `monthly_limit`, `busy`, "
    "`spool_full`, `not_ready`, `database_away`, `internal` and so on",
)
_stages = _histogram(
    "openrembg_stage_seconds",
    "Time in each stage of a cut-out; `decode` and `matte` run side by side.",
    stage="`authenticate`, `limits`, `read`, `reserve`, `queue`, `decode`, `matte`, `compose`, "
    "`encode`, `settle`",
)
_pictures = _counter(
    "openrembg_pictures",
    "Pictures that were computed.",
    source="the upload's format: `jpeg`, `png`, `webp`, `bmp`",
    answer="the answer's format, the same four",
    subject="`found`, or `none`: those cost nothing",
)
_pixels = _histogram("openrembg_picture_pixels", "Pixels of the pictures that came.", _PIXELS)
_replays = _counter(
    "openrembg_replays", "Retries under an Idempotency-Key that got the answer that was kept."
)
_credits = _counter(
    "openrembg_credits",
    "Cut-outs that were charged, given back before (`released`), or charged and given back "
    "because their answer was not sent (`returned`).",
    event="`charged`, `released`, `returned`",
    source="`included`, `prepaid`, `anonymous`",
)
_credit_faults = _counter(
    "openrembg_credit_faults",
    "Credits that could not be given back, or deliveries not written down, because a counter is "
    "not what the ledger says.",
)
_database_troubles = _counter(
    "openrembg_database_troubles", "Times that the database did not answer or could not write."
)
_upkeep_failures = _counter(
    "openrembg_upkeep_failures", "Steps of the server's own upkeep that failed."
)
_mails = _counter("openrembg_mails", "Mails.", outcome="`sent`, `failed`")
_stripe_events = _counter(
    "openrembg_stripe_events",
    "Events of Stripe's that came.",
    outcome="`new`, `repeated`, `unsigned`, `unreadable`",
)
_stripe_lag = _histogram(
    "openrembg_stripe_lag_seconds",
    "Time from an event at Stripe to its taking effect here.",
    _LONG_SECONDS,
)
_remote_calls = _histogram(
    "openrembg_remote_call_seconds",
    "Time of a matte by the Ray cluster, both attempts together.",
    outcome="`ok`, `busy`, `lost`, `timeout`, `undecodable`, `failed`",
)
_remote_retries = _counter(
    "openrembg_remote_retries", "Mattes that were asked of a second replica."
)
_spans = _counter(
    "openrembg_spans", "Spans for the OpenTelemetry collector.", outcome="`exported`, `lost`"
)


def _begin_at_zero() -> None:
    """Let rare events be there before the first: Prometheus sees no rise in what appears."""
    for code in ("internal", "busy", "not_ready", "database_away", "spool_full", "unavailable"):
        _errors.labels(code)
    for source in ("included", "prepaid", "anonymous"):
        for event in ("charged", "released", "returned"):
            _credits.labels(event, source)
    for outcome in ("sent", "failed"):
        _mails.labels(outcome)
    for outcome in ("new", "repeated", "unsigned", "unreadable"):
        _stripe_events.labels(outcome)
    for status in ("500", "503"):
        _requests.labels(_STRIPE, status)
    for outcome in ("ok", "busy", "lost", "timeout", "undecodable", "failed"):
        _remote_calls.labels(outcome)
    for outcome in ("exported", "lost"):
        _spans.labels(outcome)


_begin_at_zero()


def count_request(
    route: str, status: int, duration_s: float, bytes_in: int = 0, bytes_out: int = 0
) -> None:
    """Count one answered request."""
    _requests.labels(route, str(status)).inc()
    _durations.labels(route).observe(duration_s)
    _received.inc(bytes_in)
    _sent.inc(bytes_out)


def count_refusal(status: int, code: str) -> None:
    """Count one answer that the application never gave: the HTTP server's own, for its reasons."""
    _requests.labels(_REFUSED, str(status)).inc()
    count_error(code)


def count_error(code: str) -> None:
    """Count one answer that is an error, by the code of its class."""
    _errors.labels(code).inc()


def count_stage(stage: str, seconds: float) -> None:
    """Count the time of one stage."""
    _stages.labels(stage).observe(seconds)


def count_picture(source: str, answer: str, pixels: int, *, is_found: bool) -> None:
    """Count one computed picture: both formats, the upload's pixels, whether it has a subject."""
    _pictures.labels(source, answer, "found" if is_found else "none").inc()
    _pixels.observe(pixels)


def count_replay() -> None:
    """Count one retry that was answered from what was kept."""
    _replays.inc()


def count_credit(event: CreditEvent, source: str) -> None:
    """Count what became of one credit."""
    _credits.labels(event, source).inc()


def count_credit_fault() -> None:
    """Count one credit that an operator has to look after."""
    _credit_faults.inc()


def count_database_trouble() -> None:
    """Count one thing that could not be done because of the database."""
    _database_troubles.inc()


def count_upkeep_failure() -> None:
    """Count one step of the upkeep that failed."""
    _upkeep_failures.inc()


def count_mail(*, is_sent: bool) -> None:
    """Count one mail."""
    _mails.labels("sent" if is_sent else "failed").inc()


def count_stripe_event(outcome: StripeOutcome, lag_s: float | None = None) -> None:
    """Count one event. lag_s: how old it was when it took effect; None: it took none."""
    _stripe_events.labels(outcome).inc()
    if lag_s is not None:
        _stripe_lag.observe(max(0.0, lag_s))


def count_remote_call(outcome: str, seconds: float) -> None:
    """Count one matte of the cluster's, and trace it; in the thread of its request.

    outcome: ok, busy, lost, timeout, undecodable, or failed. seconds: of both attempts.
    """
    _remote_calls.labels(outcome).observe(seconds)
    spans.past("remote matte", time.time_ns() - int(seconds * 1e9), seconds, outcome=outcome)


def count_remote_retry() -> None:
    """Count one matte that was asked of a second replica."""
    _remote_retries.inc()


def count_spans(number: int, *, is_exported: bool) -> None:
    """Count spans that the collector took, or did not."""
    _spans.labels("exported" if is_exported else "lost").inc(number)
