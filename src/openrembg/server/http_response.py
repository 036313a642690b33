"""How one answer is written: the application's, or our own for what never reaches it."""

import json
import logging
import tempfile
import uuid
from http import HTTPStatus
from pathlib import Path
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer  # type: ignore[import-untyped]
from waitress.task import ErrorTask, Task, WSGITask  # type: ignore[import-untyped]

from openrembg.server.spool import Budget

log = logging.getLogger(__name__)

# Of waitress' own refusals: status -> stable code and public sentence. Its texts are not used,
# because they quote the request and name their own limits.
REFUSALS = {
    400: ("malformed_request", "The request is not valid HTTP."),
    431: ("headers_too_large", "The request headers are too large."),
    501: ("unsupported_transfer_encoding", "This transfer encoding is not supported."),
    500: ("internal_error", "Internal server error"),
}


class _OurTask(Task):  # type: ignore[misc]
    """What both kinds of answer have in common."""

    def build_response_header(self) -> bytes:
        """Add `Connection: close` where the connection will not be used again."""
        early = getattr(self.request, "answered_early", False)
        if early or self.channel.server.stopping:
            # waitress decides by the request's header, for HTTP/1.0 and 1.1 alike.
            self.request.headers["CONNECTION"] = "close"
        header: bytes = super().build_response_header()
        return header

    def write(self, data: bytes) -> None:
        """Write a part of the body, or only the header for HEAD.

        waitress leaves dropping that body to the application; Django does not do it.
        """
        super().write(b"" if self._is_head else data)

    def finish(self) -> None:
        """Write what is left to write."""
        if self._is_head:
            self.write(b"")
            return
        super().finish()

    @property
    def _is_head(self) -> bool:
        return getattr(self.request, "command", "") == "HEAD"


class ApplicationTask(_OurTask, WSGITask):  # type: ignore[misc]
    """Call the WSGI application and write its answer."""

    def get_environment(self) -> dict[str, Any]:
        """Return waitress' environ with our own keys.

        `openrembg.client_gone`: a callable, true once the client has left.
        `openrembg.body_too_large` (int: Content-Length), `openrembg.chunked_too_large` (True),
        `openrembg.spool_full` (True): why the body is empty; at most one of them is there.
        """
        environ: dict[str, Any] = super().get_environment()
        environ["SERVER_SOFTWARE"] = "openrembg"
        if self._is_head:
            # What is sent through the file wrapper goes past write().
            environ.pop("wsgi.file_wrapper", None)
        environ["openrembg.client_gone"] = self.channel.client_gone
        if self.request.refusal is not None:
            key, value = self.request.refusal
            environ[key] = value
        return environ


class RefusalTask(_OurTask, ErrorTask):  # type: ignore[misc]
    """Answer a request that the application never sees, or that it crashed on."""

    def execute(self) -> None:
        """Write the error in the JSON shape of the API."""
        status = HTTPStatus(self.request.error.code)
        code, message = REFUSALS[status]
        request_id = uuid.uuid4().hex
        log.warning("Answered %d %s", status, code, extra={"request_id": request_id})
        body = json.dumps(
            {"error": message, "status": int(status), "code": code, "request_id": request_id}
        ).encode()
        self.status = f"{status.value} {status.phrase}"
        self.content_length = len(body)
        self.response_headers.extend(_refusal_headers(request_id))
        self.set_close_on_finish()
        self.write(body)


def _refusal_headers(request_id: str) -> list[tuple[str, str]]:
    return [
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Request-Id", request_id),
        ("X-Credits-Charged", "0"),
        ("Access-Control-Allow-Origin", "*"),
    ]


class HeldBytes(ReadOnlyFileBasedBuffer):  # type: ignore[misc]
    """Send the application's own bytes, without a copy.

    waitress copies every body of over 1 MB into a BytesIO and from there into a temporary file:
    a 100 MB cut-out would cost 100 MB more memory and 100 MB of writing. Its file wrapper is the
    one kind of output that it sends from where it lies, and this is one.
    """

    def __init__(self, data: bytes, budget: Budget) -> None:
        self._view = memoryview(data)
        self._budget = budget
        self._reserved_bytes = len(data)
        self.remain = len(data)

    def get(self, numbytes: int = -1, skip: bool = False) -> memoryview:
        """Return the next bytes; they stay until they are skipped."""
        part = self._view if numbytes < 0 else self._view[:numbytes]
        if skip:
            self.skip(len(part))
        return part

    def skip(self, numbytes: int, allow_prune: bool = False) -> None:  # noqa: ARG002 - waitress passes it
        """Drop bytes that have been sent."""
        self._view = self._view[numbytes:]
        self.remain = len(self._view)

    def close(self) -> None:
        """Let go of the bytes; a second call does nothing."""
        self._view = memoryview(b"")
        self.remain = 0
        self._budget.release(self._reserved_bytes)
        self._reserved_bytes = 0


def hold(data: bytes, budget: Budget, spool_dir: Path | None) -> ReadOnlyFileBasedBuffer:
    """Keep `data` for sending: in memory while the budget has room, else in a temporary file."""
    if budget.reserve(len(data)):
        return HeldBytes(data, budget)
    file = tempfile.TemporaryFile(dir=spool_dir)  # noqa: SIM115 - closed when it is sent
    file.write(data)
    file.seek(0)
    buffer = ReadOnlyFileBasedBuffer(file)
    buffer.prepare()
    return buffer
