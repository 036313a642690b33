"""An OpenTelemetry collector: an HTTP server that reads what OTLP sends, or misbehaves."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True, slots=True)
class Span:
    """A span as it was sent; ids in hexadecimal digits, times in nanoseconds since the epoch."""

    name: str
    trace: str
    id: str
    parent: str
    state: str
    begins: int
    ends: int
    kind: int
    is_error: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass(slots=True)
class Collector:
    """What came, and how it answers from now on."""

    url: str = ""
    mood: Literal["well", "garbage", "silent"] = "well"
    spans: list[Span] = field(default_factory=list)
    refused: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def named(self, name: str, trace: str | None = None) -> list[Span]:
        """Return the spans of a name, of one trace or all."""
        found = list(self.spans)
        return [one for one in found if one.name == name and trace in (None, one.trace)]

    def take(self, body: bytes) -> None:
        """Read one batch."""
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _values(of_resource.resource.attributes)
            for scope in of_resource.scope_spans:
                self.spans += [_read(span, resource) for span in scope.spans]


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector on a free port."""
    told = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if told.mood == "silent":
                told.refused += 1
                told.is_over.wait()
                return
            if told.mood == "garbage":
                told.refused += 1
                self._answer(400, b"\xff\x00<html>")
                return
            packed = self.headers.get("Content-Encoding") == "gzip"
            told.take(gzip.decompress(body) if packed else body)
            self._answer(200, ExportTraceServiceResponse().SerializeToString())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_words: object) -> None:
            """Say nothing: who waits in vain hangs up."""

    with Quiet(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield told
        finally:
            told.is_over.set()
            server.shutdown()
            thread.join()


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def _read(span: Any, resource: dict[str, Any]) -> Span:
    return Span(
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        state=span.trace_state,
        begins=span.start_time_unix_nano,
        ends=span.end_time_unix_nano,
        kind=span.kind,
        is_error=span.status.code == 2,
        attributes=_values(span.attributes),
        resource=resource,
    )
