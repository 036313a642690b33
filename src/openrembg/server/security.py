"""The headers that keep a browser from doing more than a page of ours needs."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from openrembg.server.cors import is_api

GetResponse = Callable[[HttpRequest], HttpResponseBase]

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "img-src 'self' data: blob:; connect-src {connect}; "
    "base-uri 'none'; form-action {forms}; frame-ancestors 'none'"
)


def safe_headers(get_response: GetResponse) -> GetResponse:
    """Return the middleware that adds the headers to every answer."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        is_page = not is_api(request.path)
        forms = "'self'" if is_page else "'none'"
        policy = POLICY.format(connect=_connect(), forms=forms)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Content-Security-Policy"] = policy
        # With no-referrer, a browser sends a form with `Origin: null`, which proves nothing.
        response.headers["Referrer-Policy"] = "same-origin" if is_page else "no-referrer"
        if is_page and response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    return middleware


def _connect() -> str:
    # The console sends its requests to the public address, which may be another origin.
    public_url: str | None = settings.OPENREMBG.public_url
    if public_url is None:
        return "'self'"
    parts = urlsplit(public_url)
    return f"'self' {parts.scheme}://{parts.netloc}"
