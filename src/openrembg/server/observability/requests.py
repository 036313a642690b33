"""Give each request an id, and write one log line and one count for it."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from openrembg.server.accounts.address import client_network
from openrembg.server.observability import spans
from openrembg.server.observability.logs import REQUEST_ID, TRACE_ID
from openrembg.server.observability.metrics import count_error, count_request

GetResponse = Callable[[HttpRequest], HttpResponseBase]

logger = logging.getLogger("openrembg.request")

_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_ID: Final = "openrembg.request_id"
_CODE: Final = "openrembg.error_code"
_USER: Final = "openrembg.user_id"
PROBES: Final = ("/health", "/ready", "/metrics")
# Whoever traces wants to see neither who asks all the time, nor each file of a page.
UNTRACED: Final = (*PROBES, "/static/")
# waitress refuses more; what a client only declares does not count.
_MOST_BYTES: Final = 64 * 1024 * 1024


def request_id(request: HttpRequest) -> str:
    """Return the request's id: the client's own X-Request-Id when it is sane, else a fresh one."""
    known = request.META.get(_ID)
    if isinstance(known, str):
        return known
    offered = request.headers.get("X-Request-Id", "")
    fresh = offered if _SANE_ID.fullmatch(offered) else str(uuid.uuid4())
    request.META[_ID] = fresh
    return fresh


def note_error(request: HttpRequest, code: str) -> None:
    """Count an answer that is an error, and let the request's line have its code."""
    count_error(code)
    request.META[_CODE] = code


def note_user(request: HttpRequest, user_id: int) -> None:
    """Let the request's line have the number of the user who pays."""
    request.META[_USER] = user_id


def observe(get_response: GetResponse) -> GetResponse:
    """Return the middleware that tells each request's story in one line."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        token = REQUEST_ID.set(request_id(request))
        try:
            return _observed(request, get_response)
        finally:
            REQUEST_ID.reset(token)

    return middleware


def route(request: HttpRequest) -> str:
    """Return the route that answered, never the path as sent: a path may hold anything."""
    match = request.resolver_match
    return "/" + match.route if match else "other"


def _observed(request: HttpRequest, get_response: GetResponse) -> HttpResponseBase:
    start = time.perf_counter()
    is_traced = not request.path.startswith(UNTRACED)
    with spans.request(request.headers) if is_traced else nullcontext() as span:
        token = TRACE_ID.set(None if span is None else span.trace_id)
        try:
            response = get_response(request)
            response.headers["X-Request-Id"] = request_id(request)
            _tell(request, response, time.perf_counter() - start, span)
        finally:
            TRACE_ID.reset(token)
    return response


def _tell(
    request: HttpRequest,
    response: HttpResponseBase,
    duration_s: float,
    span: spans.RequestSpan | None,
) -> None:
    name, method, status = route(request), (request.method or "")[:16], response.status_code
    bytes_in = _number(request.META.get("CONTENT_LENGTH"))
    bytes_out = _number(response.headers.get("Content-Length"))
    taken = bytes_in if bytes_in <= _MOST_BYTES else 0
    count_request(name, status, duration_s, taken, bytes_out)
    known = {"code": request.META.get(_CODE), "user": request.META.get(_USER)}
    fields = {
        "route": name,
        "method": method,
        "status": status,
        "duration_ms": round(duration_s * 1000, 1),
        "bytes_in": bytes_in,
        "bytes_out": bytes_out,
        "network": client_network(request),
    } | {field: value for field, value in known.items() if value is not None}
    level = logging.DEBUG if name in PROBES else logging.INFO
    logger.log(level, "answered", extra={"fields": fields})
    if span is not None:
        code = request.META.get(_CODE)
        about = {"openrembg.request_id": request_id(request)}
        span.answered(method, name, status, about | ({"error.type": code} if code else {}))


def _number(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else 0
