"""Which language a page speaks. The API speaks none: its messages are fixed."""

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

from openrembg.server.cors import is_api


class PageLanguage(LocaleMiddleware):
    """Django's choice of a language, for pages alone."""

    def process_request(self, request: HttpRequest) -> None:
        """Choose the language: the path's, else the cookie's, else what the browser asks for."""
        if is_api(request.path):
            translation.activate(settings.LANGUAGE_CODE)
            return
        super().process_request(request)

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Say which language it was."""
        if is_api(request.path):
            return response
        return super().process_response(request, response)
