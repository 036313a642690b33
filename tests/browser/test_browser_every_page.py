"""Every page of the site in a real browser, in every language.

Each is looked at once a language; the tests ask what was seen.
"""

import gzip
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from django.db import connections
from editor_visits import add, finish, opened, payload, photos
from playwright.sync_api import Browser, Page
from pytest_django import DjangoDbBlocker
from site_visits import come_in, show

import openrembg.server
from services import Service
from site_house import site_server
from site_pages import LANGUAGES, PAGES, RIGHT_TO_LEFT, SitePage, Visitor
from site_people import Cast

pytestmark = pytest.mark.browser

WIDE, NARROW = 1280, 320
# The editor is at work in five languages within a minute.
MANY: Final = {"OPENREMBG_ANONYMOUS_PER_MINUTE": "100"}
MOST_BYTES: Final = 150_000
# The style sheets; scripts are modules, which wait for the page.
MOST_BLOCKING: Final = 3
AXE: Final = Path(__file__).parents[1] / "wire/node/node_modules/axe-core/axe.min.js"
STATIC: Final = Path(openrembg.server.__file__).parent / "static" / "openrembg"
# What depends on colours and on nothing else; they are the same in every language.
OF_COLOURS: Final = ("color-contrast", "link-in-text-block")
ONLY_COLOURS: Final = {"runOnly": {"type": "rule", "values": OF_COLOURS}}
NO_COLOURS: Final = {"rules": {name: {"enabled": False} for name in OF_COLOURS}}
FINDINGS: Final = """async options => {
    const {violations} = await axe.run({exclude: [".swagger-ui"]}, {preload: false, ...options});
    return violations
        .filter(({impact}) => impact === "serious" || impact === "critical")
        .map(({id, nodes}) => `${id}: ${nodes.map(({target}) => target.join(" ")).join(" | ")}`);
}"""
# What the page is and has loaded; and what is folded gets unfolded.
ABOUT: Final = """() => {
    document.querySelectorAll("main details").forEach(one => { one.open = true; });
    const {lang: language, dir: side} = document.documentElement;
    const loaded = performance.getEntriesByType("resource")
        .map(({name, renderBlockingStatus}) => [name, renderBlockingStatus === "blocking"]);
    return {language, side, loaded};
}"""
STICKING_OUT: Final = """width => {
    const sticksOut = ({left, right}) => right > width + 1 || left < -1;
    return [...document.querySelectorAll("body *")]
        .filter(one => sticksOut(one.getBoundingClientRect()))
        .slice(0, 5).map(one => `${one.tagName.toLowerCase()}.${one.className}`);
}"""


@dataclass(slots=True)
class Look:
    """What was seen of a page. too_wide: in a window of how many pixels something sticks out.

    own_bytes: of our scripts and styles, uncompressed; sent_bytes: as they are sent. axe: serious
    and critical findings.
    """

    status: int = 0
    language: str = ""
    side: str = ""
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    too_wide: dict[int, list[str]] = field(default_factory=dict)
    own_bytes: int = 0
    sent_bytes: int = 0
    blocking: int = 0
    axe: list[str] = field(default_factory=list)


Looks = Callable[[str], dict[str, Look]]


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[tuple[Service, Cast]]:
    """A server that sells, and everybody who sees its pages."""
    folder = tmp_path_factory.mktemp("site")
    with django_db_blocker.unblock(), site_server(folder, **MANY) as both:
        yield both


@pytest.fixture(scope="module")
def looks(site: tuple[Service, Cast], browser: Browser) -> Looks:
    """A function that looks at every page in a language; a second time it knows them."""
    known: dict[str, dict[str, Look]] = {}
    visits = Visits(browser, *site)

    def look(language: str) -> dict[str, Look]:
        if language not in known:
            known[language] = visits.in_language(language)
        return known[language]

    return look


class Visits:
    """Browsers of everybody."""

    def __init__(self, browser: Browser, server: Service, cast: Cast) -> None:
        self._browser, self._server, self._cast = browser, server, cast
        self._pages: dict[Visitor, Page] = {}
        self._look = Look()
        self._axe = AXE.read_text("utf-8")

    def in_language(self, language: str) -> dict[str, Look]:
        """Look at every page in a language."""
        _apart(self._cast.renew)
        found = {wanted.name: self._visit(wanted, language) for wanted in PAGES}
        found["stale-form"] = self._stale_form(language)
        found["editor-at-work"] = self._editor_at_work(language)
        return found

    def console(self) -> Look:
        """Look at the console, which has no language but English."""
        page = self._begin("nobody")
        page.goto(f"{self._server.url}/api/docs")
        page.locator(".swagger-ui .opblock").first.wait_for()
        return self._seen(page, 200, "en")

    def _visit(self, wanted: SitePage, language: str) -> Look:
        page = self._begin(wanted.visitor)
        answer = show(page, self._server, self._cast, wanted, language)
        # A browser reports the status of a page that is not there, as it should.
        told = f"a status of {wanted.status}"
        look = self._seen(page, answer.status, language)
        look.complaints = [
            text for text in look.complaints if wanted.status == 200 or told not in text
        ]
        return look

    def _stale_form(self, language: str) -> Look:
        page = self._begin("nobody")
        page.goto(f"{self._server.url}/{language}/account/login/")
        page.context.clear_cookies(name="openrembg_csrf")
        with page.expect_navigation() as navigation:
            page.evaluate("document.querySelector('main form').submit()")
        look = self._seen(page, navigation.value.status, language)
        look.complaints = [text for text in look.complaints if "a status of 403" not in text]
        return look

    def _editor_at_work(self, language: str) -> Look:
        page = self._begin("nobody")
        opened(page, self._server, language)
        add(page, *photos(2), payload("letter.jpg", b"Dear Sir or Madam"))
        finish(page, 2)
        page.locator("#download-one:enabled").wait_for()
        return self._seen(page, 200, language)

    def _begin(self, visitor: Visitor) -> Page:
        self._look = Look()
        if visitor not in self._pages:
            self._pages[visitor] = self._page(visitor)
        return self._pages[visitor]

    def _page(self, visitor: Visitor) -> Page:
        page = come_in(self._browser, self._server, self._cast.cookies(visitor)).new_page()
        page.set_viewport_size({"width": WIDE, "height": 900})
        page.on("pageerror", lambda error: self._look.complaints.append(str(error)))
        page.on("console", self._hear)
        page.on("request", lambda request: self._ask(request.url))
        return page

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self._look.complaints.append(message.text)

    def _ask(self, url: str) -> None:
        if not url.startswith((f"{self._server.url}/", "data:", "blob:")):
            self._look.foreign.append(url)

    def _seen(self, page: Page, status: int, language: str) -> Look:
        look = self._look
        about = page.evaluate(ABOUT)
        look.status, look.language, look.side = status, about["language"], about["side"]
        _weigh(look, about["loaded"])
        look.axe = self._findings(page, language)
        for width in (NARROW, WIDE):
            page.set_viewport_size({"width": width, "height": 900})
            if page.evaluate("document.documentElement.scrollWidth") > width:
                look.too_wide[width] = page.evaluate(STICKING_OUT, width)
        return look

    def _findings(self, page: Page, language: str) -> list[str]:
        # The other languages have the same elements.
        if language not in ("en", "fa"):
            return []
        # Put there by the browser itself, which a page's policy says nothing about.
        page.evaluate(self._axe)
        if language == "fa":
            return list(page.evaluate(FINDINGS, NO_COLOURS))
        found = list(page.evaluate(FINDINGS, {}))
        page.emulate_media(color_scheme="dark")
        found += [f"dark: {text}" for text in page.evaluate(FINDINGS, ONLY_COLOURS)]
        page.emulate_media(color_scheme="light")
        return found


def _apart(work: Callable[[], None]) -> None:
    """Do what needs the database in a thread: Playwright has an event loop in this one."""

    def do() -> None:
        try:
            work()
        finally:
            connections["default"].close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(do).result()


def _weigh(look: Look, loaded: list[tuple[str, bool]]) -> None:
    # From the disk, because a browser tells no size of what it had already.
    look.blocking = sum(blocks for _, blocks in loaded)
    names = {name.partition("/static/openrembg/")[2] for name, _ in loaded}
    own = [STATIC / name for name in names if name.endswith((".js", ".css"))]
    look.own_bytes = sum(path.stat().st_size for path in own)
    look.sent_bytes = sum(len(gzip.compress(path.read_bytes())) for path in own)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_there_in_its_language(looks: Looks, language: str) -> None:
    side = "rtl" if language in RIGHT_TO_LEFT else "ltr"
    wanted = {page.name: (page.status, language, side) for page in PAGES}
    wanted |= {"stale-form": (403, language, side), "editor-at-work": (200, language, side)}
    found = looks(language)
    assert {name: (one.status, one.language, one.side) for name, one in found.items()} == wanted


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_makes_the_browser_complain(looks: Looks, language: str) -> None:
    assert of(looks(language), "complaints") == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_asks_another_host(looks: Looks, language: str) -> None:
    assert of(looks(language), "foreign") == {}


@pytest.mark.parametrize("language", ["en", "fa"])
def test_axe_finds_nothing_serious_in_light_and_dark(looks: Looks, language: str) -> None:
    assert of(looks(language), "axe") == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_wider_than_a_phone_or_a_desk(looks: Looks, language: str) -> None:
    assert of(looks(language), "too_wide") == {}


def test_a_page_s_own_scripts_and_styles_are_light(looks: Looks) -> None:
    found = dict(looks("en"))
    sent = {name: one.sent_bytes for name, one in found.items()}
    assert min(sent.values()) > 2000
    assert {name: count for name, count in sent.items() if count >= MOST_BYTES / 2} == {}
    # What the editor fetches when the work begins is no part of its first load.
    found.pop("editor-at-work")
    own = {name: one.own_bytes for name, one in found.items()}
    assert {name: count for name, count in own.items() if count >= MOST_BYTES} == {}


def test_little_holds_up_the_first_paint(looks: Looks) -> None:
    blocking = {name: one.blocking for name, one in looks("en").items()}
    assert {name: count for name, count in blocking.items() if count > MOST_BLOCKING} == {}


def test_the_console_is_as_well_behaved(site: tuple[Service, Cast], browser: Browser) -> None:
    look = Visits(browser, *site).console()
    assert (look.language, look.complaints, look.foreign, look.too_wide, look.axe) == (
        "en",
        [],
        [],
        {},
        [],
    )
    assert look.own_bytes < MOST_BYTES


def of(found: dict[str, Look], what: str) -> dict[str, object]:
    """Return one part of what was seen, of the pages where there is any."""
    parts = {name: getattr(look, what) for name, look in found.items()}
    return {name: part for name, part in parts.items() if part}
