"""What Prometheus reads from /metrics."""

from collections.abc import Iterator
from typing import Final

from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from openrembg.matting.pipeline import Timings
from openrembg.server.service import service

REGISTRY: Final = CollectorRegistry()
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_requests = Counter(
    "openrembg_requests", "Requests answered.", ("route", "status"), registry=REGISTRY
)
_durations = Histogram(
    "openrembg_request_seconds",
    "Time from the request to its answer.",
    ("route",),
    buckets=_SECONDS,
    registry=REGISTRY,
)
_stages = Histogram(
    "openrembg_stage_seconds",
    "Time in each stage of a cut-out.",
    ("stage",),
    buckets=_SECONDS,
    registry=REGISTRY,
)
_credits = Counter(
    "openrembg_credits", "Cut-outs that were charged.", ("source",), registry=REGISTRY
)
ProcessCollector(registry=REGISTRY)


class ServiceCollector(Collector):
    """Reads queue, pixels and provider when Prometheus asks, so that nobody has to keep them."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of the running service."""
        load = service().slots.load()
        yield GaugeMetricFamily("openrembg_computing", "Pictures being computed.", load.computing)
        yield GaugeMetricFamily("openrembg_waiting", "Requests waiting for a worker.", load.waiting)
        yield GaugeMetricFamily(
            "openrembg_pixels_in_flight", "Pixels being computed.", load.pixels_in_flight
        )
        state = service().backend.state()
        ready = 1 if state.status == "ready" else 0
        yield GaugeMetricFamily("openrembg_ready", "1 when the model is loaded and warm.", ready)
        info = GaugeMetricFamily(
            "openrembg_provider_info", "What computes the mattes.", labels=("model", "provider")
        )
        if state.status == "ready":
            info.add_metric((state.model, state.provider), 1)
        yield info


REGISTRY.register(ServiceCollector())


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
