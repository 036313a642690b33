"""The headers that keep a browser from doing more than a page of ours needs."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

GetResponse = Callable[[HttpRequest], HttpResponseBase]

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "img-src 'self' data: blob:; connect-src {connect}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def safe_headers(get_response: GetResponse) -> GetResponse:
    """Return the middleware that adds the headers to every answer."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Content-Security-Policy"] = POLICY.format(connect=_connect())
        return response

    return middleware


def _connect() -> str:
    # The console sends its requests to the public address, which may be another origin.
    public_url: str | None = settings.OPENREMBG.public_url
    if public_url is None:
        return "'self'"
    parts = urlsplit(public_url)
    return f"'self' {parts.scheme}://{parts.netloc}"
