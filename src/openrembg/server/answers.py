"""One shape for every answer that is an error, whoever raised it."""

import logging
import re
import sys
from collections.abc import Callable
from typing import Final

from django.core.exceptions import (
    BadRequest,
    DisallowedHost,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
)
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render
from django.template.loader import render_to_string

from openrembg.matting.errors import (
    FieldError,
    ImageError,
    InferenceFailed,
    InvalidOptions,
    ModelError,
)
from openrembg.server import database, errors
from openrembg.server.cors import is_api
from openrembg.server.observability.requests import PROBES, note_error, request_id
from openrembg.server.quota.headers import PATHS as RMBG_PATHS

GetResponse = Callable[[HttpRequest], HttpResponseBase]

logger = logging.getLogger("openrembg.answers")

# The start of a request's target in absolute form (RFC 9112, 3.2.2).
_ORIGIN: Final = re.compile(r"\Ahttps?://[^/?#]*", re.IGNORECASE)


def public(error: Exception) -> errors.PublicError:
    """Return what the client is told of an error: the one place where classes become statuses."""
    if isinstance(error, errors.PublicError):
        return error
    if isinstance(error, InvalidOptions):
        return errors.InvalidRequest(*error.errors)
    if isinstance(error, ImageError):
        return errors.InvalidRequest(*(FieldError("image", text) for text in error.messages))
    if isinstance(error, InferenceFailed):
        return errors.Internal(str(error))
    if isinstance(error, ModelError):
        return errors.NotReady(str(error))
    if database.is_trouble(error):
        return errors.DatabaseAway(database.reason(error))
    if isinstance(error, Http404):
        return errors.NotFound()
    if isinstance(error, RequestDataTooBig):
        return errors.BodyTooLarge()
    if isinstance(error, SuspiciousOperation | BadRequest | MultiPartParserError):
        return errors.BadRequest(type(error).__name__)
    return errors.Internal(type(error).__name__)


def error_answer(request: HttpRequest, error: Exception) -> HttpResponse:
    """Return the JSON answer for an error; our own faults go to the log with their traceback."""
    told = public(error)
    note_error(request, told.code)
    if isinstance(told, errors.DatabaseAway):
        database.note_trouble()
    if isinstance(told, errors.Internal):
        logger.error("A request failed", exc_info=error)
    elif told.status >= 500:
        fields = {"code": told.code, "detail": told.detail}
        logger.warning("A request was turned away", extra={"fields": fields})
    body = {**told.body(), "code": told.code, "request_id": request_id(request)}
    answer = JsonResponse(body, status=told.status, headers=told.headers)
    answer.headers["Cache-Control"] = "no-store"
    if told.status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="openrembg"'
    return answer


def one_shape(get_response: GetResponse) -> GetResponse:
    """Return the middleware that gives 405 and too large bodies the shape, and none a charge."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = _not_as_written(request) or _host_refused(request) or get_response(request)
        if response.status_code == 405:
            response = _not_allowed(request, response)
        elif response.status_code < 400:
            response = _body_refused(request) or response
        if response.status_code >= 400:
            response.headers["X-Credits-Charged"] = "0"
        if isinstance(response, HttpResponse) and "Content-Length" not in response.headers:
            response.headers["Content-Length"] = str(len(response.content))
        return response

    return middleware


def head_as_get(get_response: GetResponse) -> GetResponse:
    """Return the middleware that answers a HEAD like its GET, without the body."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.method != "HEAD":
            return get_response(request)
        request.method = "GET"
        response = get_response(request)
        if isinstance(response, HttpResponse):
            response.headers["Content-Length"] = str(len(response.content))
            response.content = b""
        return response

    return middleware


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django itself refused."""
    return error_answer(request, exception)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer an unknown path: a page for a person's GET, JSON for everything else."""
    if request.method in ("GET", "HEAD") and not request.path.startswith("/api/"):
        return render(request, "openrembg/not_found.html", status=404)
    return error_answer(request, exception or errors.NotFound())


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer when something of ours raised outside the API; Django has logged it already.

    A person gets a page, made without the database, which may be what failed.
    """
    error = sys.exc_info()[1]
    told = public(error) if isinstance(error, Exception) else errors.Internal()
    note_error(request, told.code)
    if isinstance(told, errors.DatabaseAway):
        database.note_trouble()
    headers = {**told.headers, "X-Credits-Charged": "0", "Cache-Control": "no-store"}
    if not is_api(request.path):
        page = render_to_string("openrembg/failed.html")
        return HttpResponse(page, status=told.status, headers=headers)
    body = {**told.body(), "code": told.code, "request_id": request_id(request)}
    return JsonResponse(body, status=told.status, headers=headers)


def _not_as_written(request: HttpRequest) -> HttpResponse | None:
    """Answer 404 for /health, /ready and /metrics in disguise, such as //metrics or /%6detrics.

    A proxy that keeps exactly these paths to itself would let such a one through.
    """
    if request.path not in PROBES:
        return None
    target = request.META.get("REQUEST_URI", request.path)
    if _ORIGIN.sub("", target, count=1).partition("?")[0] == request.path:
        return None
    return error_answer(request, errors.NotFound())


def _host_refused(request: HttpRequest) -> HttpResponse | None:
    """Answer for a Host header that is not served here.

    Who looks after the server asks by address; those answers have no link to lead astray.
    """
    if request.path in PROBES:
        return None
    try:
        request.get_host()
    except DisallowedHost as error:
        return error_answer(request, error)
    return None


def _not_allowed(request: HttpRequest, response: HttpResponseBase) -> HttpResponse:
    methods = {name.strip() for name in response.headers.get("Allow", "").split(",")} - {""}
    methods |= {"OPTIONS", "HEAD"} if "GET" in methods else {"OPTIONS"}
    return error_answer(
        request, errors.MethodNotAllowed(headers={"Allow": ", ".join(sorted(methods))})
    )


def _body_refused(request: HttpRequest) -> HttpResponse | None:
    """Answer for a body that the server did not take, on the routes that want none."""
    if request.path in RMBG_PATHS:
        return None
    if request.META.get("openrembg.spool_full"):
        return error_answer(request, errors.SpoolFull())
    too_large = ("openrembg.body_too_large", "openrembg.chunked_too_large")
    if any(request.META.get(flag) for flag in too_large):
        return error_answer(request, errors.BodyTooLarge())
    return None
