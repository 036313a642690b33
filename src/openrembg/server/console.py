"""The interactive console at /api/docs: Swagger UI from django-ninja's own files, no CDN."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from ninja import NinjaAPI
from ninja.openapi.docs import DocsBase


class Console(DocsBase):
    """Renders the page; its script reads the description's address from it."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        """Return the page."""
        context = {"api": api, "description_url": self.get_openapi_url(api, kwargs)}
        return render(request, "openrembg/console.html", context)
