"""What Prometheus reads from /metrics: whichever process is asked, it answers for all.

What is counted is in metrics.py; here is what is true at the moment, read when Prometheus asks, so
that nobody has to keep it.
"""

import platform
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Final

from django.http import HttpRequest, HttpResponse
from prometheus_client import ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from openrembg.server.observability.metrics import COUNTED, REGISTRY, Family
from openrembg.server.observability.standing import standings
from openrembg.server.processes.board import Standing
from openrembg.server.processes.membership import Place, place

# What all processes hold together: an attribute of Standing, or of its Fill.
_SUMS: Final = (
    ("openrembg_computing", "computing", "Pictures being computed."),
    ("openrembg_workers", "workers", "Pictures that may be computed at once."),
    ("openrembg_waiting", "waiting", "Requests waiting for a worker."),
    ("openrembg_queue_limit", "queue_limit", "Requests that may wait for a worker."),
    ("openrembg_pixels_in_flight", "pixels_in_flight", "Pixels being computed."),
    ("openrembg_pixels_limit", "pixel_limit", "Pixels that may be computed at once."),
    ("openrembg_spool_bytes", "spool_bytes", "Bytes of uploads that are held."),
    ("openrembg_spool_limit_bytes", "spool_limit_bytes", "Bytes of uploads that may be held."),
    (
        "openrembg_answer_bytes",
        "answer_bytes",
        "Bytes of finished answers in memory, beyond a limit also in files.",
    ),
    (
        "openrembg_answer_limit_bytes",
        "answer_limit_bytes",
        "Bytes of finished answers that may be in memory.",
    ),
    ("openrembg_connections", "connections", "Connections of clients."),
    ("openrembg_connections_limit", "connection_limit", "Connections that clients may open."),
    ("openrembg_backlog", "backlog", "Requests that no thread has begun."),
    ("openrembg_deliveries_sending", "sending", "Charged pictures on their way."),
    (
        "openrembg_deliveries_unwritten",
        "unwritten",
        "Charged pictures of which it is not written down yet whether they were sent.",
    ),
)
_LATE: Final = (
    ("reservations", "overdue_reservations"),
    ("deliveries", "overdue_deliveries"),
    ("mails", "waiting_mails"),
)
_SYSTEM: Final = "of this server's process; of several, with the label `process`."
_PROCESS: Final = (("process", "of several: `0`, `1`, …, `supervisor`"),)
TOLD: Final = (
    *(Family(name, "gauge", text) for name, _, text in _SUMS),
    Family("openrembg_ready", "gauge", "1 when the model is loaded and warm."),
    Family("openrembg_processes", "gauge", "Processes that take requests."),
    Family(
        "openrembg_process_restarts_total",
        "counter",
        "Processes that were started in the place of others; of several only.",
    ),
    Family(
        "openrembg_provider_info",
        "gauge",
        "What computes the mattes.",
        (("model", "its name"), ("provider", "runtime, device and precision")),
    ),
    Family(
        "openrembg_build_info",
        "gauge",
        "What runs.",
        (("version", "openrembg's"), ("python", "Python's")),
    ),
    Family(
        "openrembg_redis_away",
        "gauge",
        "1 while Redis does not answer, for one process at least.",
        (("use", "`limits`, `usage`"),),
    ),
    Family(
        "openrembg_late",
        "gauge",
        "Rows that should have been dealt with five minutes ago; the same from every server of a "
        "database.",
        (("what", "`reservations`, `deliveries`, `mails`"),),
    ),
    Family(
        "openrembg_payments_waiting",
        "gauge",
        "What Stripe told and an operator has to complete; the same from every server.",
    ),
    Family("openrembg_remote_replicas", "gauge", "Replicas that run; with a Ray cluster only."),
    Family(
        "openrembg_remote_replicas_least",
        "gauge",
        "Replicas that should run at least, as this server's OPENREMBG_RAY_MIN_REPLICAS says: the "
        "cluster's own number must be the same. With a Ray cluster only.",
    ),
    Family("process_cpu_seconds_total", "counter", f"Processor time {_SYSTEM}", _PROCESS),
    Family("process_resident_memory_bytes", "gauge", f"Memory {_SYSTEM}", _PROCESS),
    Family("process_virtual_memory_bytes", "gauge", f"Address space {_SYSTEM}", _PROCESS),
    Family("process_start_time_seconds", "gauge", f"Start {_SYSTEM}", _PROCESS),
    Family("process_open_fds", "gauge", f"Open files {_SYSTEM}", _PROCESS),
    Family("process_max_fds", "gauge", f"Files that may be open, {_SYSTEM}", _PROCESS),
)
_TEXTS: Final = {family.name: family.text for family in TOLD}


def families() -> tuple[Family, ...]:
    """Return all that /metrics may have, in the order of its names."""
    return tuple(sorted((*COUNTED, *TOLD), key=lambda family: family.name))


class ServiceCollector(Collector):
    """How the processes stand that answer as one server."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of the running service."""
        all_of_them = standings()
        for name, field, _ in _SUMS:
            yield _gauge(name, sum(_number(one, field) for one in all_of_them))
        yield _gauge("openrembg_ready", int(all(one.is_ready for one in all_of_them)))
        yield _gauge("openrembg_processes", len(all_of_them))
        computes = {(one.model, one.provider) for one in all_of_them if one.is_ready}
        yield _labelled("openrembg_provider_info", dict.fromkeys(sorted(computes), 1))
        build = (version("openrembg"), platform.python_version())
        yield _labelled("openrembg_build_info", {build: 1})
        yield from _of_others(all_of_them)


class FamilyCollector(Collector):
    """Reads what the system knows of each process, the supervisor included, under a label."""

    def __init__(self, mine: Place) -> None:
        self._board = mine.board

    def collect(self) -> Iterator[Metric]:
        """Yield Prometheus' usual process metrics with the label `process`, and the restarts."""
        restarts = "openrembg_process_restarts"
        yield CounterMetricFamily(restarts, _TEXTS[f"{restarts}_total"], self._board.restarts)
        pids = {"supervisor": self._board.supervisor}
        pids |= {str(index): one.pid for index, one in self._board.standings()}
        yield from _merged({name: _of_process(pid) for name, pid in pids.items()})


def metrics(_request: HttpRequest) -> HttpResponse:
    """Answer GET /metrics."""
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)


def _of_others(all_of_them: Iterable[Standing]) -> Iterator[Metric]:
    """Yield how the database, Redis and a cluster look from here: the worst that a process sees."""
    fills = [one.fill for one in all_of_them]
    away: dict[tuple[str, ...], float] = {
        ("limits",): max(one.limits_away for one in fills),
        ("usage",): max(one.usage_away for one in fills),
    }
    yield _labelled("openrembg_redis_away", away)
    late: dict[tuple[str, ...], float] = {
        (what,): max(getattr(one, field) for one in fills) for what, field in _LATE
    }
    yield _labelled("openrembg_late", late)
    yield _gauge("openrembg_payments_waiting", max(one.waiting_payments for one in fills))
    clusters = [one for one in fills if one.replicas >= 0]
    if clusters:
        yield _gauge("openrembg_remote_replicas", min(one.replicas for one in clusters))
        least = max(one.least_replicas for one in clusters)
        yield _gauge("openrembg_remote_replicas_least", least)


def _number(one: Standing, field: str) -> int:
    return int(getattr(one if hasattr(one, field) else one.fill, field))


def _gauge(name: str, value: float) -> Metric:
    return GaugeMetricFamily(name, _TEXTS[name], value)


def _labelled(name: str, numbers: Mapping[tuple[str, ...], float]) -> Metric:
    family = next(one for one in TOLD if one.name == name)
    metric = GaugeMetricFamily(name, family.text, labels=[label for label, _ in family.labels])
    for values, number in numbers.items():
        metric.add_metric(values, number)
    return metric


def _of_process(pid: int) -> Iterable[Metric]:
    return ProcessCollector(pid=lambda: pid, registry=None).collect()


def _merged(metrics: Mapping[str, Iterable[Metric]]) -> Iterable[Metric]:
    """Return metrics of several processes as one metric each, with the label `process`."""
    merged: dict[str, Metric] = {}
    for process, ones in metrics.items():
        for one in ones:
            metric = merged.setdefault(one.name, Metric(one.name, one.documentation, one.type))
            for sample in one.samples:
                metric.add_sample(sample.name, {**sample.labels, "process": process}, sample.value)
    return merged.values()


def _register(mine: Place | None) -> None:
    REGISTRY.register(ServiceCollector())
    if mine is None:
        ProcessCollector(registry=REGISTRY)
        return
    REGISTRY.register(FamilyCollector(mine))


_register(place())
