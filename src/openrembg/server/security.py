"""The headers that keep a browser from doing more than a page of ours needs."""

from collections.abc import Callable, Iterable
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
        response.headers["X-Content-Type-Options"] = "nosniff"
        # A page whose forms lead elsewhere has said so itself.
        own = policy(("'self'",) if is_page else ("'none'",))
        response.headers.setdefault("Content-Security-Policy", own)
        # With no-referrer, a browser sends a form with `Origin: null`, which proves nothing.
        response.headers["Referrer-Policy"] = "same-origin" if is_page else "no-referrer"
        if is_page and response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    return middleware


def policy(forms: Iterable[str]) -> str:
    """Return what a page's Content-Security-Policy says.

    forms: where its forms may lead; Chromium counts the redirects after them too.
    """
    return POLICY.format(connect=_connect(), forms=" ".join(forms))


def _connect() -> str:
    # The console sends its requests to the public address, which may be another origin.
    public_url: str | None = settings.OPENREMBG.public_url
    if public_url is None:
        return "'self'"
    parts = urlsplit(public_url)
    return f"'self' {parts.scheme}://{parts.netloc}"
