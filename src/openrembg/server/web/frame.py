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


@dataclass(frozen=True, slots=True)
class Alternate:
    """The same page in a language, for search engines; `x-default` stands for the choice."""

    code: str
    url: str


def frame(request: HttpRequest) -> dict[str, Any]:
    """Return the frame's part of a template's context. here: the name of the page's route."""
    matched = request.resolver_match
    return {
        "languages": SimpleLazyObject(lambda: languages(request.get_full_path())),
        "alternates": SimpleLazyObject(lambda: alternates(request)),
        "here": "" if matched is None else matched.url_name or "",
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


def alternates(request: HttpRequest) -> list[Alternate]:
    """Return whole addresses of a page in each language, and of the one that chooses among them."""
    site = settings.OPENREMBG.public_url or f"{request.scheme}://{request.get_host()}"
    found = [Alternate(link.code, site + link.url) for link in languages(request.path)]
    if not found:
        return []
    unprefixed = request.path.removeprefix(f"/{get_language()}")
    return [*found, Alternate("x-default", site + unprefixed)]
