"""How soon the pages show something in Chromium, and how much of ours they load for it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import goals
from benchmarks.errors import BenchmarkFailed
from benchmarks.load import HOST
from benchmarks.models import SHIPPED
from benchmarks.series import Series
from benchmarks.servers import our_admin, our_server
from benchmarks.table import table

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, StorageState

CHROMIUM: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
EMAIL, PASSWORD = "bench@example.com", "three blind mice run"
LANGUAGE: Final = "en"
PUBLIC: Final = (
    *("", "plans", "api-usage", "api-usage/curl", "api-usage/parameters", "api-usage/errors"),
    *("account/signup/", "account/login/"),
)
OWN: Final = ("", "account/", "account/keys", "account/billing/", "account/profile/")
# A phone: so many times slower than this machine, in a window of so many pixels.
SLOWER: Final = 4
DESK, PHONE = (1280, 800), (360, 740)
PAINT_MS: Final = 20_000
PAINTED: Final = '() => performance.getEntriesByName("first-contentful-paint").length > 0'
SEEN: Final = """() => ({
    paint_ms: performance.getEntriesByName("first-contentful-paint")[0].startTime,
    html_bytes: performance.getEntriesByType("navigation")[0].decodedBodySize,
    resources: performance.getEntriesByType("resource").map(one => [one.name, one.decodedBodySize]),
})"""


@dataclass(frozen=True, slots=True)
class PagePaint:
    """A page. own_bytes: our script and style, uncompressed; paints in milliseconds."""

    path: str
    html_bytes: int
    own_bytes: int
    requests: int
    desk: Series
    phone: Series


def measure_page_paint(repeats: int) -> list[PagePaint]:
    """Open each page `repeats` times in browsers that were never here, on a desk and a phone."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with our_server(data, model=SHIPPED) as server, _chromium() as browser:
            our_admin(data, "create-user", EMAIL, "--password", PASSWORD, "--verified")
            our_admin(data, "create-key", EMAIL)
            site = f"http://{HOST}:{server.port}/{LANGUAGE}/"
            session = _session(browser, site)
            pages = [(path, None) for path in PUBLIC] + [(path, session) for path in OWN]
            return [_page(browser, site, path, state, repeats) for path, state in pages]


def page_paint_table(pages: list[PagePaint]) -> str:
    """Return the bytes and the milliseconds of each page, with the goal for the slower one."""
    head = (
        "page",
        "requests",
        "HTML kB",
        "script + style kB",
        "goal",
        "desk ms",
        "phone ms",
        "goal",
    )
    return table(head, [_row(page) for page in pages])


def _row(page: PagePaint) -> tuple[str, ...]:
    slower = max(page.desk.median, page.phone.median)
    return (
        page.path,
        str(page.requests),
        f"{page.html_bytes / 1000:.1f}",
        f"{page.own_bytes / 1000:.1f}",
        goals.at_most(page.own_bytes / 1000, goals.PAGE_KB, "kB"),
        page.desk.text(digits=0),
        page.phone.text(digits=0),
        goals.at_most(slower / 1000, goals.FIRST_PAINT_S, "s"),
    )


@contextmanager
def _chromium() -> Iterator["Browser"]:
    try:
        # Not before: only the tests' environment has it.
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise BenchmarkFailed("Playwright is not here; `./run bench` installs it.") from error
    programs = [found for name in CHROMIUM if (found := shutil.which(name))]
    if not programs:
        raise BenchmarkFailed("There is no Chromium. On Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=programs[0], args=["--no-sandbox"])
        yield browser
        browser.close()


def _session(browser: "Browser", site: str) -> "StorageState":
    """Log in, and return what the browser keeps."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site}account/login/")
    page.locator("#id_login").fill(EMAIL)
    page.locator("#id_password").fill(PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url(f"{site}account/")
    state = context.storage_state()
    context.close()
    return state


def _page(
    browser: "Browser", site: str, path: str, state: "StorageState | None", repeats: int
) -> PagePaint:
    _open(browser, site + path, state, DESK, 1)
    desk = [_open(browser, site + path, state, DESK, 1) for _ in range(repeats)]
    phone = [_open(browser, site + path, state, PHONE, SLOWER) for _ in range(repeats)]
    own = [bytes_ for name, bytes_ in desk[0]["resources"] if _is_own(name)]
    return PagePaint(
        f"/{LANGUAGE}/{path}" + (" (logged in)" if state and not path else ""),
        desk[0]["html_bytes"],
        sum(own),
        1 + len(desk[0]["resources"]),
        Series(tuple(one["paint_ms"] for one in desk)),
        Series(tuple(one["paint_ms"] for one in phone)),
    )


def _is_own(name: str) -> bool:
    return "/static/openrembg/" in name and name.endswith((".js", ".css"))


def _open(
    browser: "Browser", url: str, state: "StorageState | None", size: tuple[int, int], slower: int
) -> dict[str, Any]:
    width, height = size
    context = browser.new_context(storage_state=state, viewport={"width": width, "height": height})
    page = context.new_page()
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slower})
    try:
        return _painted(page, url)
    finally:
        context.close()


def _painted(page: "Page", url: str) -> dict[str, Any]:
    answer = page.goto(url)
    if answer is None or answer.status != 200 or answer.url != url:
        raise BenchmarkFailed(f"{url} was answered with {answer and (answer.status, answer.url)}")
    page.wait_for_function(PAINTED, timeout=PAINT_MS)
    seen: dict[str, Any] = page.evaluate(SEEN)
    return seen
