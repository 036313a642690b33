"""Every page in every language: it says which one it is, and it is that one."""

import re
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.test import Client, RequestFactory
from django.urls import resolve
from django.utils.translation import override
from django.utils.translation.trans_real import translation
from page_text import PageText

from openrembg.server import answers
from openrembg.server.web import refusals
from site_pages import (
    LANGUAGES,
    NO_PAGES,
    PAGES,
    PARTS,
    RIGHT_TO_LEFT,
    SitePage,
    names_of_routes,
)
from site_people import SELLING, Cast, gathered

# One database is enough: no page is made from anything else.
pytestmark = [
    pytest.mark.usefixtures("database"),
    pytest.mark.parametrize("prepared_database", ["sqlite"], indirect=True),
]

SITE = "http://testserver"
OTHERS = [language for language in LANGUAGES if language != "en"]
WITH_LETTERS_OF_THEIR_OWN = ["fa", "ja", "ko"]
MOST_LATIN = 0.5
# What is shorter may well be a name.
SENTENCE = 20
HOLES = re.compile(r"<[^>]*>|%\(\w+\)[sd]|%[sd]|\{\w*\}|&\w+;|\s+")

Html = dict[str, str]
# What was visited before, by language.
_visited: dict[str, Html] = {}


@pytest.fixture(autouse=True)
def no_attempts() -> None:
    """Nobody has tried to log in yet."""
    cache.clear()


@pytest.fixture
def site(furnish: Callable[..., object]) -> Callable[[str], dict[str, PageText]]:
    """A function that returns every page in a language, by its name."""

    def read(language: str) -> dict[str, PageText]:
        if language not in _visited:
            secrets = ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET")
            furnish(**{name.lower(): SELLING[name] for name in secrets})
            _visited[language] = dict(_visit(gathered(), language))
        return {name: PageText(html) for name, html in _visited[language].items()}

    return read


Site = Callable[[str], dict[str, PageText]]


def _visit(cast: Cast, language: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        yield page.name, _page(cast, page, language)
    for name, path in PARTS.items():
        owner = cast.clients["owner"]
        yield name, owner.get(f"/{language}/{path}?session_id=cs_test_x").content.decode()
    yield from _refusals(cast, language)


def _page(cast: Cast, page: SitePage, language: str) -> str:
    client, path = cast.clients[page.visitor], cast.path(page, language)
    response = client.get(path, follow=True)
    if page.form:
        ticket = re.search(r'name="ticket" value="([^"]+)"', response.content.decode())
        hidden = {"ticket": ticket[1]} if ticket else {}
        response = client.post(path, {**cast.form(page, language), **hidden})
    assert response.status_code == page.status, (page.name, path)
    assert response.headers["Content-Language"] == language
    return str(response.content.decode())


def _refusals(cast: Cast, language: str) -> Iterator[tuple[str, str]]:
    """Yield the pages that have no address."""
    stale = Client(enforce_csrf_checks=True).post(f"/{language}/account/login/", {"login": "x"})
    assert stale.status_code == 403
    yield "stale-form", stale.content.decode()
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    with override(language):
        yield "too-many", refusals.too_many(request).content.decode()
        yield "forbidden", refusals.forbidden(request).content.decode()
        yield "failed", answers.server_error(request).content.decode()


def sentences(page: PageText) -> set[str]:
    """Return the pieces of a page that are long enough to be somebody's sentence."""
    chunks = {chunk.removesuffix(" – openrembg") for chunk in page.chunks}
    return {chunk for chunk in chunks if len(chunk) > SENTENCE and chunk.count(" ") > 1}


def english_of(language: str) -> set[str]:
    """Return the English pieces that have another text in a language: ours, allauth's, Django's."""
    catalogue = translation(language)._catalog  # type: ignore[attr-defined]
    return {
        piece
        for english, text in catalogue.items()
        if isinstance(english, str) and "\x04" not in english and text != english
        for piece in _pieces(english)
    }


def _pieces(text: str) -> Iterator[str]:
    """Yield what stands between the holes of a text, with single spaces."""
    spaced = HOLES.sub(lambda hole: " " if hole[0].isspace() else "\n", text)
    for piece in spaced.splitlines():
        if len(piece.strip()) > SENTENCE and piece.strip().count(" ") > 1:
            yield " ".join(piece.split())


def test_every_route_is_a_page_that_these_tests_know() -> None:
    cast = gathered()
    paths = [cast.path(page, "en").split("?")[0] for page in PAGES if page.status == 200]
    known = {resolve(path).url_name for path in paths} | {*NO_PAGES, *PARTS}
    assert names_of_routes() == known


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_says_its_language_and_its_side(site: Site, language: str) -> None:
    side = "rtl" if language in RIGHT_TO_LEFT else "ltr"
    pages = {name: page for name, page in site(language).items() if name not in PARTS}
    said = {name: (page.language, page.side) for name, page in pages.items()}
    assert said == dict.fromkeys(pages, (language, side))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_says_where_it_is_in_the_other_languages(site: Site, language: str) -> None:
    read, cast = site(language), gathered()
    for page in PAGES:
        path = cast.path(page, language).split("?")[0].removeprefix(f"/{language}")
        found = {
            code: re.sub(r"/\d+\b|reset/key/\w+-[\w-]+|email/[\w:-]+/$", "", url)
            for code, url in read[page.name].alternates.items()
        }
        path = re.sub(r"/\d+\b|reset/key/\w+-[\w-]+|email/[\w:-]+/$", "", path)
        wanted = {code: f"{SITE}/{code}{path}" for code in LANGUAGES}
        wanted["x-default"] = SITE + path
        assert found == (wanted if page.status == 200 else {}), page.name


@pytest.mark.parametrize("language", WITH_LETTERS_OF_THEIR_OWN)
def test_fewer_than_half_of_the_letters_are_latin(site: Site, language: str) -> None:
    latin = {name: round(page.latin, 3) for name, page in site(language).items()}
    worst = sorted(latin.items(), key=lambda entry: -entry[1])[:5]
    print(f"{language}: most Latin letters: {worst}")
    assert {name: share for name, share in latin.items() if share >= MOST_LATIN} == {}


@pytest.mark.parametrize("language", OTHERS)
def test_no_sentence_is_the_one_of_the_english_page(site: Site, language: str) -> None:
    english = {name: sentences(page) for name, page in site("en").items()}
    where = {
        sentence: name
        for name, page in site(language).items()
        for sentence in sentences(page) & english[name]
    }
    assert where == {}


@pytest.mark.parametrize("language", OTHERS)
def test_no_sentence_of_the_source_is_on_a_page(site: Site, language: str) -> None:
    english = english_of(language)
    assert len(english) > 300
    where = {
        piece: name
        for name, page in site(language).items()
        for piece in english
        if piece in page.text
    }
    assert where == {}


def test_a_page_s_text_is_what_people_read() -> None:
    page = PageText(
        '<html lang="fa" dir="rtl"><title>A</title><p>B <code>c</code><bdi>d</bdi><br>'
        '<a lang="ja">e</a><img alt="F"> G<span translate="no">h</span> &amp; I</p>'
        '<script type="application/json">{"a": ["J <code>k</code> l", "mmm"]}</script>'
        "<script>n</script><ul><li>O<li>P</ul><svg><rect/><title>Q</title></svg></html>"
    )
    assert page.chunks == ["A", "B", "F", "G", "& I", "J l", "O", "P", "Q"]
    assert (page.language, page.side) == ("fa", "rtl")
