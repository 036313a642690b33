"""The rate-limit headers of every /rmbg answer.

`RateLimit` and `RateLimit-Policy` say how the caller stands with each limit (IETF draft
ratelimit-headers); the three `X-RateLimit-` headers speak of the one that would refuse first.
"""

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from openrembg.server.accounts.address import client_block
from openrembg.server.quota.rates import PLENTY, Visit, Window
from openrembg.server.service import service

GetResponse = Callable[[HttpRequest], HttpResponseBase]

PATHS: Final = ("/rmbg", "/rmbg/", "/api/rmbg", "/api/rmbg/")
_VISIT: Final = "openrembg.visit"


def begin_visit(request: HttpRequest, block: str) -> Visit:
    """Return the request's way through the limits of a block, for the headers to tell of."""
    visit = service().rates.visit(block)
    request.META[_VISIT] = visit
    return visit


def visit_of(request: HttpRequest) -> Visit:
    """Return the way that the request took, or one of its address where it took none."""
    known = request.META.get(_VISIT)
    return known if isinstance(known, Visit) else begin_visit(request, client_block(request))


def rate_limit_headers(get_response: GetResponse) -> GetResponse:
    """Return the middleware that adds the headers, whatever the answer is."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if request.path in PATHS:
            for name, value in headers(*visit_of(request).windows()).items():
                response.headers[name] = value
        return response

    return middleware


def headers(*windows: Window) -> dict[str, str]:
    """Return the headers for how a caller stands with each policy."""
    first = min(windows, key=lambda window: window.remaining)
    return {
        "RateLimit-Policy": ", ".join(_policy(window) for window in windows),
        "RateLimit": ", ".join(_standing(window) for window in windows),
        "X-RateLimit-Limit": str(_limit(first)),
        "X-RateLimit-Remaining": str(first.remaining),
        "X-RateLimit-Reset": str(int(first.resets_at) + 1),
    }


def _policy(window: Window) -> str:
    return f'"{window.policy.name}";q={_limit(window)};w={window.policy.window_s}'


def _standing(window: Window) -> str:
    return f'"{window.policy.name}";r={window.remaining};t={window.resets_in_s}'


def _limit(window: Window) -> int:
    return window.policy.limit if window.policy.is_limited else PLENTY
