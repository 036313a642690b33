"""Which language a page speaks. The API speaks none: its messages are fixed."""

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

from openrembg.server.cors import is_api


class PageLanguage(LocaleMiddleware):
    """Django's choice of a language, for pages alone; a cookie remembers a choice by hand."""

    def process_request(self, request: HttpRequest) -> None:
        """Choose the language: the path's, else the cookie's, else what the browser asks for."""
        if is_api(request.path):
            translation.activate(settings.LANGUAGE_CODE)
            return
        super().process_request(request)

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Say which language it was, and lead to the page in a language where that is missing."""
        if is_api(request.path):
            return response
        answer = super().process_response(request, response)
        chosen = translation.get_language_from_path(request.path_info)
        if chosen and chosen != translation.get_language_from_request(request):
            _remember(answer, chosen)
        return answer


def _remember(response: HttpResponseBase, language: str) -> None:
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite="Lax",
    )
