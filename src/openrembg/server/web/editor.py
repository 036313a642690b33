"""The editor: the page on which people cut out pictures."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from openrembg.server.web.editor_words import editor_words
from openrembg.server.web.stage_words import stage_words
from openrembg.server.web.what_is_left import left_of


@require_safe
@vary_on_headers("Accept-Language", "Cookie")
def choose_language(request: HttpRequest) -> HttpResponse:
    """Lead to the editor in the reader's language, which PageLanguage has found."""
    query = request.META.get("QUERY_STRING", "")
    return redirect(f"{reverse('editor')}?{query}" if query else "editor")


@require_safe
def editor(request: HttpRequest) -> HttpResponse:
    """Show the editor, with what the visitor has left."""
    context: dict[str, Any] = {
        "left": left_of(request),
        "editor_words": editor_words(),
        "stage_words": stage_words(),
    }
    return render(request, "editor/editor.html", context)


@require_safe
def left(request: HttpRequest) -> HttpResponse:
    """Answer with the part of the editor that says what the visitor has left."""
    return render(request, "editor/left.html", {"left": left_of(request)})
