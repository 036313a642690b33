"""Which web pages may call the API from a browser. Never with credentials: cookies say nothing.

Source: the Fetch standard, section 3.3, HTTP extensions.
"""

from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import Resolver404, resolve

GetResponse = Callable[[HttpRequest], HttpResponseBase]

ALLOW_METHODS: Final = "GET, HEAD, POST, OPTIONS"
# A star covers every header but Authorization; the names are for browsers that know no star.
ALLOW_HEADERS: Final = "*, Authorization, Content-Type, Idempotency-Key, X-Api-Key, X-Request-Id"
EXPOSED: Final = (
    *("Content-Disposition", "Content-Length", "Retry-After", "Server-Timing", "WWW-Authenticate"),
    *("RateLimit", "RateLimit-Policy"),
    *("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
    *("X-Request-Id", "X-Width", "X-Height", "X-Model", "X-Provider"),
    *("X-Credits-Charged", "X-Credits-Source", "Idempotent-Replayed"),
    *("X-Foreground-Detected", "X-Foreground-Top", "X-Foreground-Left"),
    *("X-Foreground-Width", "X-Foreground-Height"),
)
MAX_AGE_S: Final = 7200


def cors(get_response: GetResponse) -> GetResponse:
    """Return the middleware that answers preflights and marks every API answer."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        is_preflight = request.method == "OPTIONS" and _exists(request.path)
        response = _preflight() if is_preflight else get_response(request)
        if not is_api(request.path):
            return response
        for name, value in _origin_headers(request).items():
            response.headers[name] = value
        response.headers["Access-Control-Expose-Headers"] = ", ".join(EXPOSED)
        return response

    return middleware


def is_api(path: str) -> bool:
    """Return whether a path is a program's, not a page for people."""
    routes = ("/rmbg", "/health", "/ready", "/metrics")
    return path.startswith("/api/") or path.rstrip("/") in routes


def _exists(path: str) -> bool:
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


def _preflight() -> HttpResponse:
    response = HttpResponse(status=204)
    del response.headers["Content-Type"]
    response.headers["Access-Control-Allow-Methods"] = ALLOW_METHODS
    response.headers["Access-Control-Allow-Headers"] = ALLOW_HEADERS
    response.headers["Access-Control-Max-Age"] = str(MAX_AGE_S)
    return response


def _origin_headers(request: HttpRequest) -> dict[str, str]:
    allowed: tuple[str, ...] = settings.OPENREMBG.cors_origins
    if "*" in allowed:
        return {"Access-Control-Allow-Origin": "*"}
    origin = request.headers.get("Origin", "")
    if origin not in allowed:
        return {"Vary": "Origin"}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
