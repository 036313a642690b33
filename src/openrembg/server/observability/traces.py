"""Spans by OpenTelemetry, sent by OTLP over HTTP; the one file that imports it.

OTEL_… variables say where to, how many and under which name, as its documentation has it. Spans are
sent in the background: a collector that is away, slow or broken costs a request nothing, and spans
that find no room are dropped. No span holds a key, an address, a file's name or a path as sent.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from openrembg.server.breaker import Breaker
from openrembg.server.environment import SettingsError
from openrembg.server.observability import spans
from openrembg.server.observability.metrics import count_spans
from openrembg.server.processes.membership import place

FLUSH_S: Final = 5.0
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"})
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_CONTEXT: Final = TraceContextTextMapPropagator()


def start() -> Callable[[], None]:
    """Trace this process from now on; return how to end it, which takes a few seconds at most.

    Raises SettingsError when the OTEL_… variables make no sense.
    """
    # It would log each batch that fails, with the collector's address: the exporter below says it
    # once.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    try:
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(Exporter(_otlp())))
    except ValueError as error:
        raise SettingsError(f"The OTEL_… variables make no sense: {error}.") from error
    spans.install(OpenTelemetry(provider))

    def stop() -> None:
        spans.install(None)
        thread = threading.Thread(target=provider.shutdown, name="flush-spans", daemon=True)
        thread.start()
        thread.join(FLUSH_S)

    return stop


class OpenTelemetry:
    """A spans.Tracer."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("openrembg")

    @contextmanager
    def request(self, headers: Mapping[str, str]) -> Iterator["Request"]:
        """Trace the block as one request, in the trace that `traceparent` names if there is one."""
        # Not its `tracestate`, which holds whatever the client wrote.
        named = {name: headers[name] for name in ("traceparent",) if name in headers}
        span = self._tracer.start_span("request", _CONTEXT.extract(named), SpanKind.SERVER)
        with _current(span):
            yield Request(span)

    @contextmanager
    def child(self, name: str) -> Iterator[None]:
        """Trace the block as a part of what is being traced; what it raises is named, not told."""
        span = self._tracer.start_span(name)
        with _current(span):
            yield

    def past(self, name: str, began_ns: int, seconds: float, about: spans.Attributes) -> None:
        """Trace what is over already."""
        span = self._tracer.start_span(name, attributes=about, start_time=began_ns)
        span.end(began_ns + int(seconds * 1e9))


class Request:
    """A spans.RequestSpan; its attributes are OpenTelemetry's for HTTP servers."""

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def trace_id(self) -> str:
        """The id of the trace, 32 hexadecimal digits."""
        return trace.format_trace_id(self._span.get_span_context().trace_id)

    def answered(self, method: str, route: str, status: int, about: spans.Attributes) -> None:
        """Name the span for its route, and say how it was answered."""
        known = method if method in METHODS else "_OTHER"
        self._span.update_name(f"{known} {route}")
        self._span.set_attributes(
            {
                "http.request.method": known,
                "http.route": route,
                "http.response.status_code": status,
                **about,
            }
        )
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)


class Exporter(SpanExporter):
    """Hands spans to another exporter, whose failures it counts, and tells once an outage."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._breaker = Breaker(
            "The OpenTelemetry collector does not take spans; they are lost",
            "The OpenTelemetry collector takes spans again",
        )

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans, in OpenTelemetry's own thread. Raises nothing."""
        try:
            is_exported = self._inner.export(spans) is SpanExportResult.SUCCESS
            error: Exception = ConnectionError()
        except Exception as raised:
            is_exported, error = False, raised
        count_spans(len(spans), is_exported=is_exported)
        if is_exported:
            self._breaker.worked()
            return SpanExportResult.SUCCESS
        self._breaker.failed(error)
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Give up what is being sent."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return whether nothing is held back here: it never is."""
        return self._inner.force_flush(timeout_millis)


@contextmanager
def _current(span: Span) -> Iterator[None]:
    """Let a span be the present one while the block runs, and end it."""
    token = context.attach(trace.set_span_in_context(span))
    try:
        yield
    except BaseException as error:
        # The class alone: a message may hold what a client sent.
        span.set_attribute("error.type", type(error).__name__)
        raise
    finally:
        context.detach(token)
        span.end()


def _resource() -> Resource:
    """Return who we are; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before."""
    own = {SERVICE_NAME: "openrembg", SERVICE_VERSION: version("openrembg")}
    mine = place()
    if mine is not None:
        own["openrembg.process"] = str(mine.membership.index)
    return Resource(own).merge(_told())


def _told() -> Resource:
    """Return what the environment says of the service, and of OpenTelemetry itself."""
    told = Resource.create()
    is_named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    if is_named:
        return told
    others = {name: value for name, value in told.attributes.items() if name != SERVICE_NAME}
    return Resource(others)


def _otlp() -> OTLPSpanExporter:
    """Return the exporter as OTEL_… describes it. Raises ValueError for a protocol but HTTP's."""
    chosen = next(filter(None, map(os.environ.get, _PROTOCOLS)), "http/protobuf")
    if chosen != "http/protobuf":
        raise ValueError(f"spans are sent by http/protobuf alone, not by {chosen}")
    return OTLPSpanExporter()
