"""Give each request an id, and write one log line and one count for it."""

import logging
import re
import time
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from openrembg.server.accounts.address import client_network
from openrembg.server.observability.logs import REQUEST_ID
from openrembg.server.observability.metrics import count_request

GetResponse = Callable[[HttpRequest], HttpResponseBase]

logger = logging.getLogger("openrembg.request")

_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_ID = "openrembg.request_id"


def request_id(request: HttpRequest) -> str:
    """Return the request's id: the client's own X-Request-Id when it is sane, else a fresh one."""
    known = request.META.get(_ID)
    if isinstance(known, str):
        return known
    offered = request.headers.get("X-Request-Id", "")
    fresh = offered if _SANE_ID.fullmatch(offered) else str(uuid.uuid4())
    request.META[_ID] = fresh
    return fresh


def observe(get_response: GetResponse) -> GetResponse:
    """Return the middleware that tells each request's story in one line."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        token = REQUEST_ID.set(request_id(request))
        start = time.perf_counter()
        try:
            response = get_response(request)
            response.headers["X-Request-Id"] = request_id(request)
            _tell(request, response, time.perf_counter() - start)
        finally:
            REQUEST_ID.reset(token)
        return response

    return middleware


def route(request: HttpRequest) -> str:
    """Return the route that answered, never the path as sent: a path may hold anything."""
    match = request.resolver_match
    return "/" + match.route if match else "other"


def _tell(request: HttpRequest, response: HttpResponseBase, duration_s: float) -> None:
    name = route(request)
    count_request(name, response.status_code, duration_s)
    fields = {
        "route": name,
        "method": (request.method or "")[:16],
        "status": response.status_code,
        "duration_ms": round(duration_s * 1000, 1),
        "bytes_in": _number(request.META.get("CONTENT_LENGTH")),
        "bytes_out": _number(response.headers.get("Content-Length")),
        "network": client_network(request),
    }
    level = logging.DEBUG if name in ("/health", "/ready", "/metrics") else logging.INFO
    logger.log(level, "answered", extra={"fields": fields})


def _number(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else 0
