"""What Prometheus reads from /metrics: whichever process is asked, it answers for all.

Of several processes each counts in a file of its own, named for its place, so that the one that is
started after it goes on counting; the supervisor has made the files. One that cannot count there
counts for itself alone.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, values
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from openrembg.matting.pipeline import Timings
from openrembg.server.observability.standing import standings
from openrembg.server.processes.board import Standing
from openrembg.server.processes.counts import can_count
from openrembg.server.processes.membership import Place, place

REGISTRY: Final = CollectorRegistry()
logger = logging.getLogger("openrembg.metrics")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


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


_own = _counted_here(place())
_requests = Counter("openrembg_requests", "Requests answered.", ("route", "status"), registry=_own)
_durations = Histogram(
    "openrembg_request_seconds",
    "Time from the request to its answer.",
    ("route",),
    buckets=_SECONDS,
    registry=_own,
)
_stages = Histogram(
    "openrembg_stage_seconds",
    "Time in each stage of a cut-out.",
    ("stage",),
    buckets=_SECONDS,
    registry=_own,
)
_credits = Counter("openrembg_credits", "Cut-outs that were charged.", ("source",), registry=_own)


class ServiceCollector(Collector):
    """Reads queue, pixels and provider when Prometheus asks, so that nobody has to keep them."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of the running service."""
        all_of_them = standings()
        yield _sum("openrembg_computing", "Pictures being computed.", all_of_them, "computing")
        yield _sum("openrembg_waiting", "Requests waiting for a worker.", all_of_them, "waiting")
        yield _sum(
            "openrembg_pixels_in_flight", "Pixels being computed.", all_of_them, "pixels_in_flight"
        )
        ready = all(one.is_ready for one in all_of_them)
        yield GaugeMetricFamily(
            "openrembg_ready", "1 when the model is loaded and warm.", int(ready)
        )
        yield GaugeMetricFamily(
            "openrembg_processes", "Processes that take requests.", len(all_of_them)
        )
        info = GaugeMetricFamily(
            "openrembg_provider_info", "What computes the mattes.", labels=("model", "provider")
        )
        for pair in sorted({(one.model, one.provider) for one in all_of_them if one.is_ready}):
            info.add_metric(pair, 1)
        yield info


class FamilyCollector(Collector):
    """Reads what the system knows of each process, the supervisor included, under a label."""

    def __init__(self, mine: Place) -> None:
        self._board = mine.board

    def collect(self) -> Iterator[Metric]:
        """Yield Prometheus' usual process metrics with the label `process`, and the restarts."""
        yield CounterMetricFamily(
            "openrembg_process_restarts",
            "Processes that were started in the place of others.",
            self._board.restarts,
        )
        pids = {"supervisor": self._board.supervisor}
        pids |= {str(index): one.pid for index, one in self._board.standings()}
        yield from _merged({name: _of_process(pid) for name, pid in pids.items()})


def _sum(name: str, text: str, all_of_them: Iterable[Standing], field: str) -> Metric:
    return GaugeMetricFamily(name, text, sum(getattr(one, field) for one in all_of_them))


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


def count_request(route: str, status: int, duration_s: float) -> None:
    """Count one answered request."""
    _requests.labels(route, str(status)).inc()
    _durations.labels(route).observe(duration_s)


def count_stages(timings: Timings) -> None:
    """Count where one cut-out's time went."""
    _stages.labels("decode").observe(timings.decode_s)
    _stages.labels("matte").observe(timings.matte_s)
    _stages.labels("compose").observe(timings.compose_s)
    _stages.labels("encode").observe(timings.encode_s)


def count_credit(source: str) -> None:
    """Count one charged cut-out."""
    _credits.labels(source).inc()


def metrics(_request: HttpRequest) -> HttpResponse:
    """Answer GET /metrics."""
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)
