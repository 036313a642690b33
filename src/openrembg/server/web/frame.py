"""What every page shows around its content: the menu of languages, and what the menu may offer."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import translate_url
from django.utils.functional import SimpleLazyObject
from django.utils.translation import get_language, get_language_info


@dataclass(frozen=True, slots=True)
class PageLanguageLink:
    """The same page in a language; name: the language's own name of itself."""

    code: str
    name: str
    url: str
    is_current: bool


def frame(request: HttpRequest) -> dict[str, Any]:
    """Return the frame's part of a template's context."""
    return {
        "languages": SimpleLazyObject(lambda: languages(request.get_full_path())),
        "sign_up_is_open": settings.OPENREMBG.sign_up == "open",
    }


def languages(path: str) -> list[PageLanguageLink]:
    """Return where a page is in each language; nothing for one that has no language."""
    current = get_language()
    if translate_url(path, "en") == translate_url(path, "fa"):
        return []
    return [
        PageLanguageLink(
            code=code,
            name=get_language_info(code)["name_local"],
            url=translate_url(path, code),
            is_current=code == current,
        )
        for code, _ in settings.LANGUAGES
    ]
