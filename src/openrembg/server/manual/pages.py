"""The pages of the developer documentation."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from openrembg.server.manual.contents import PAGES, Page
from openrembg.server.manual.examples import site_of


@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """Show the first page: how to begin."""
    return _shown(request, PAGES[0])


@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    """Show a page by its name; raise Http404 when there is none."""
    for one in PAGES:
        if one.name == name:
            return _shown(request, one)
    raise Http404(name)


def _shown(request: HttpRequest, shown: Page) -> HttpResponse:
    number = PAGES.index(shown)
    context: dict[str, Any] = {
        "page": shown,
        "pages": PAGES,
        "before": PAGES[number - 1] if number else None,
        "after": PAGES[number + 1] if number + 1 < len(PAGES) else None,
        "site": site_of(request),
    }
    return render(request, shown.template, context)
