"""What Django does for pages alone: sessions, forms' tokens, languages.

The API sets no cookie and reads none, but for the one route that checks the token itself; its
messages are fixed, and a wrong method is told before anything else.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseForbidden,
    HttpResponseRedirect,
)
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.locale import LocaleMiddleware
from django.urls import is_valid_path
from django.utils import translation
from django.utils.http import escape_leading_slashes

from openrembg.server.cors import is_api

# Some phones still send the code that Indonesian had until 1989.
OLD_INDONESIAN: Final = re.compile(r"(^|,\s*)in(?=$|[-,;])", re.IGNORECASE)


class PageSessions(SessionMiddleware):
    """Sessions: every view may read one, pages alone send the cookie."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Send the cookie, or end it."""
        if is_api(request.path):
            return response
        return super().process_response(request, response)


class PageForms(CsrfViewMiddleware):
    """Forms are sent from a page of ours, or refused."""

    def process_view(
        self,
        request: HttpRequest,
        callback: Callable[..., HttpResponseBase],
        callback_args: tuple[Any, ...],
        callback_kwargs: dict[str, Any],
    ) -> HttpResponseForbidden | None:
        """Refuse a form without its token."""
        if is_api(request.path):
            return None
        return super().process_view(request, callback, callback_args, callback_kwargs)


class PageLanguage(LocaleMiddleware):
    """Django's choice of a language, for pages alone; a cookie remembers a choice by hand."""

    def process_request(self, request: HttpRequest) -> None:
        """Choose the language: the path's, else the cookie's, else what the browser asks for."""
        if is_api(request.path):
            translation.activate(settings.LANGUAGE_CODE)
            return
        known = request.META.get("HTTP_ACCEPT_LANGUAGE", "")
        request.META["HTTP_ACCEPT_LANGUAGE"] = OLD_INDONESIAN.sub(r"\1id", known)
        super().process_request(request)

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Say which language it was, and lead to the page in a language where that is missing."""
        if is_api(request.path):
            return response
        # Only whoever follows a link is led on: what was posted would be lost on the way.
        if response.status_code == 404 and request.method != "GET":
            return response
        answer = _led_to_the_slash(request, response) or super().process_response(request, response)
        chosen = translation.get_language_from_path(request.path_info)
        if chosen and chosen != translation.get_language_from_request(request):
            _remember(answer, chosen)
        return answer


def _led_to_the_slash(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase | None:
    """Lead to the page whose address has one slash less at its end, or one more."""
    if response.status_code != 404:
        return None
    path = request.path_info
    other = path[:-1] if path.endswith("/") else f"{path}/"
    has_language = translation.get_language_from_path(other) is not None
    prefix = "" if has_language else f"/{translation.get_language()}"
    if not is_valid_path(prefix + other):
        return None
    query = request.META.get("QUERY_STRING", "")
    # A path that begins with two slashes would be another host's address.
    return HttpResponseRedirect(escape_leading_slashes(f"{other}?{query}" if query else other))


def _remember(response: HttpResponseBase, language: str) -> None:
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite="Lax",
    )
