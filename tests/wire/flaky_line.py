"""A line to a server that fails at first, as lines and the proxies on them do."""

import http.client
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from services import HOST, Service

BROKEN: Final = 0
_ERROR: Final = b'{"error": "Flaky"}'


@dataclass
class FlakyLine:
    """What it does with its first requests: breaks, or answers with a status. keys: what came."""

    port: int
    faults: list[int]
    keys: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address to ask in the server's place."""
        return f"http://{HOST}:{self.port}"


@contextmanager
def flaky_line(server: Service, *faults: int) -> Iterator[FlakyLine]:
    """Put a line before a server; when its faults are used up, it passes everything on."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            line.keys.append(self.headers["Idempotency-Key"])
            fault = line.faults.pop(0) if line.faults else None
            if fault is None:
                self.answer(*passed_on(server, self, body))
            elif fault != BROKEN:
                self.answer(fault, _ERROR)

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
            pass

    with http.server.ThreadingHTTPServer((HOST, 0), Handler) as proxy:
        line = FlakyLine(proxy.server_port, list(faults))
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield line
        finally:
            proxy.shutdown()
            thread.join()


def passed_on(
    server: Service, request: http.server.BaseHTTPRequestHandler, body: bytes
) -> tuple[int, bytes]:
    """Return the server's answer to a request."""
    onward = http.client.HTTPConnection(HOST, server.port)
    try:
        onward.request("POST", request.path, body, dict(request.headers.items()))
        answer = onward.getresponse()
        return answer.status, answer.read()
    finally:
        onward.close()
