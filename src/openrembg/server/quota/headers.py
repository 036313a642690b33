"""The rate-limit headers of every /rmbg answer.

`RateLimit` and `RateLimit-Policy` say how the caller stands with each limit (IETF draft
ratelimit-headers); the three `X-RateLimit-` headers speak of the one that would refuse first.
"""

from collections.abc import Callable
from typing import Final

from django.db import Error
from django.http import HttpRequest, HttpResponseBase

from openrembg.server.accounts.address import client_block
from openrembg.server.accounts.asking import Anonymous, Member
from openrembg.server.observability.requests import note_user
from openrembg.server.quota.rates import PLENTY, Standing
from openrembg.server.quota.visits import Visit, visit_for
from openrembg.server.service import service

GetResponse = Callable[[HttpRequest], HttpResponseBase]

PATHS: Final = ("/rmbg", "/rmbg/", "/api/rmbg", "/api/rmbg/")
_VISIT: Final = "openrembg.visit"


def begin_visit(request: HttpRequest, caller: Anonymous | Member) -> Visit:
    """Return the caller's way through the limits, for the headers to tell of."""
    visit = visit_for(caller, service().rates)
    request.META[_VISIT] = visit
    if isinstance(caller, Member):
        note_user(request, caller.payer.user_id)
    return visit


def visit_of(request: HttpRequest) -> Visit:
    """Return the way that the request took, or one of its address where it took none."""
    known: Visit | None = request.META.get(_VISIT)
    return known or begin_visit(request, Anonymous(client_block(request)))


def rate_limit_headers(get_response: GetResponse) -> GetResponse:
    """Return the middleware that adds the headers, whatever the answer is."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if request.path in PATHS:
            for name, value in _headers_of(request).items():
                response.headers[name] = value
        return response

    return middleware


def _headers_of(request: HttpRequest) -> dict[str, str]:
    try:
        return headers(*visit_of(request).standings())
    except Error:
        # Nobody knows how the caller stands; the answer says already that the database is away.
        return {}


def headers(*standings: Standing) -> dict[str, str]:
    """Return the headers for how a caller stands with each policy."""
    first = min(standings, key=lambda standing: standing.remaining)
    return {
        "RateLimit-Policy": ", ".join(_policy(standing) for standing in standings),
        "RateLimit": ", ".join(_standing(standing) for standing in standings),
        "X-RateLimit-Limit": str(_limit(first)),
        "X-RateLimit-Remaining": str(first.remaining),
        "X-RateLimit-Reset": str(int(first.resets_at) + 1),
    }


def _policy(standing: Standing) -> str:
    return f'"{standing.policy.name}";q={_limit(standing)};w={standing.policy.window_s}'


def _standing(standing: Standing) -> str:
    return f'"{standing.policy.name}";r={standing.remaining};t={standing.resets_in_s}'


def _limit(standing: Standing) -> int:
    return standing.policy.limit if standing.policy.is_limited else PLENTY
