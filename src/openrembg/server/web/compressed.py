"""Scripts and styles go out compressed, so that a slow phone has them in a third of the time.

Nothing else does: a page holds secrets beside what a stranger may have chosen, and the size of both
compressed together tells of the secrets (BREACH). Pictures are compressed already.
"""

import gzip
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

GetResponse = Callable[[HttpRequest], HttpResponseBase]

KINDS: Final = ("text/", "application/javascript", "image/svg+xml")
ACCEPTED: Final = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", re.IGNORECASE)
KEPT_FILES: Final = 256


def compressed_static(get_response: GetResponse) -> GetResponse:
    """Return the middleware that compresses static files, each once."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if not request.path.startswith(settings.STATIC_URL) or not _is_text(response):
            return response
        patch_vary_headers(response, ("Accept-Encoding",))
        if request.method != "GET" or response.status_code != 200:
            return response
        if not ACCEPTED.search(request.headers.get("Accept-Encoding", "")):
            return response
        return _compressed(response)

    return middleware


def _is_text(response: HttpResponseBase) -> bool:
    return response.headers.get("Content-Type", "").startswith(KINDS)


def _compressed(response: HttpResponseBase) -> HttpResponseBase:
    if not isinstance(response, FileResponse) or response.file_to_stream is None:
        return response
    with response.file_to_stream as file:
        packed = HttpResponse(_packed(file.read()), headers=dict(response.headers))
    packed.headers["Content-Encoding"] = "gzip"
    packed.headers["Content-Length"] = str(len(packed.content))
    # Other bytes for the same file: only a weak tag may stand for both (RFC 9110, 8.8.1).
    tag = response.headers.get("ETag", "")
    if tag.startswith('"'):
        packed.headers["ETag"] = f"W/{tag}"
    return packed


@lru_cache(maxsize=KEPT_FILES)
def _packed(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)
