"""How one answer is written: the application's, or our own for what never reaches it."""

import json
import logging
import tempfile
import uuid
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer  # type: ignore[import-untyped]
from waitress.task import ErrorTask, Task, WSGITask  # type: ignore[import-untyped]

from openrembg.server.http_request import Reception
from openrembg.server.observability.metrics import count_refusal
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

    _is_queued = False

    def service(self) -> None:
        """Serve the request, and tell the connection whether it is the promised answer."""
        try:
            super().service()
        finally:
            self.channel.finish_answer(is_whole=self._is_queued and self.status.startswith("200"))

    def finish(self) -> None:
        """Write what is left to write."""
        super().finish()
        self._is_queued = True

    def get_environment(self) -> dict[str, Any]:
        """Return waitress' environ with our own keys.

        `openrembg.client_gone`: a callable, true once the client has left.
        `openrembg.on_sent`: a callable that takes a Receipt, see sending.py. It is told what
        becomes of this request's answer, which has failed if it is not a 200.
        `openrembg.waiting`: a callable; what it returns is entered while the thread only waits.
        `openrembg.body_too_large` (int: Content-Length), `openrembg.chunked_too_large` (True),
        `openrembg.spool_full` (True): why the body is empty; at most one of them is there.
        """
        environ: dict[str, Any] = super().get_environment()
        environ["SERVER_SOFTWARE"] = "openrembg"
        if self._is_head:
            # What is sent through the file wrapper goes past write().
            environ.pop("wsgi.file_wrapper", None)
        environ["openrembg.client_gone"] = self.channel.client_gone
        environ["openrembg.on_sent"] = self.channel.expect_answer
        environ["openrembg.waiting"] = self.channel.server.waiting
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
        count_refusal(status.value, code)
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


class HeldFile(ReadOnlyFileBasedBuffer):  # type: ignore[misc]
    """Send an answer from a file without a name that counts as spooled until it is sent.

    It is taken though the spool may be full, since its picture is computed already. Uploads are
    refused then, until clients have read enough: so those that do not read cannot fill the disk.
    Raises OSError when the disk is full.
    """

    def __init__(self, data: bytes, spool: Budget, directory: Path | None) -> None:
        super().__init__(tempfile.TemporaryFile(dir=directory))  # noqa: SIM115 - by close()
        self._spool = spool
        self._taken_bytes = len(data)
        spool.take(self._taken_bytes)
        try:
            self.file.write(data)
            self.file.seek(0)
            self.prepare()
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Delete the file and give its part of the spool back; a second call does nothing."""
        taken_bytes, self._taken_bytes = self._taken_bytes, 0
        self._spool.release(taken_bytes)
        with suppress(OSError):  # what did not fit on a full disk is tried once more
            super().close()


def hold(data: bytes, memory: Budget, reception: Reception) -> ReadOnlyFileBasedBuffer:
    """Keep `data` for sending: in memory while that budget has room, else in the spool.

    In memory too when the disk is full: it is there already, and is paid for.
    """
    if memory.reserve(len(data)):
        return HeldBytes(data, memory)
    try:
        return HeldFile(data, reception.budget, reception.spool_dir)
    except OSError as error:
        fields = {"detail": error.strerror}
        log.warning("An answer could not be written to the spool", extra={"fields": fields})
    memory.take(len(data))
    return HeldBytes(data, memory)
