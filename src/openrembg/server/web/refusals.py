"""Pages for people who may not do what they asked for."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def forbidden(
    request: HttpRequest,
    exception: Exception | None = None,  # noqa: ARG001
) -> HttpResponse:
    """Answer somebody who is known and may not come in."""
    return render(request, "openrembg/forbidden.html", status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    """Answer a form that was not sent from a page of ours, or whose page had grown old."""
    return render(request, "openrembg/stale_form.html", status=403)


def too_many(request: HttpRequest) -> HttpResponse:
    """Answer somebody who sends forms faster than people do."""
    return render(request, "openrembg/too_many.html", status=429)
