"""What browsers and search engines ask for by a fixed name."""

from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.views.decorators.http import require_safe

# What is somebody's own, and what is for programs. `/api/` leaves out `/api-usage`.
NOT_FOR_SEARCH: Final = ("/account/", "/admin/", "/api/", "/rmbg", "/metrics", "/health", "/ready")
IN_A_LANGUAGE: Final = ("account/", "left")


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Lead browsers that look for no other icon to ours."""
    return redirect(static("openrembg/mark.svg"))


@require_safe
def robots(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Say which pages search engines shall leave alone (RFC 9309)."""
    own = [f"/{code}/{part}" for code, _ in settings.LANGUAGES for part in IN_A_LANGUAGE]
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in (*NOT_FOR_SEARCH, *own))]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")
