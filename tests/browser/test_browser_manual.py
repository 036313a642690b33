"""The developer documentation in a real browser: the reader's key, copying, the console."""

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Locator, Page, expect

from openrembg.server.manual import examples
from openrembg.server.manual.contents import PAGES
from services import Service, openrembg_admin

pytestmark = pytest.mark.browser

NARROW, WIDE = 320, 1280
ANSWER_MS = 60_000
KEY = "orbk_0123456789abcdefghijklmnopqrstuvwxyzAB"
PATHS = [f"api-usage/{page.name}".rstrip("/") for page in PAGES]


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    """A photo with a subject."""
    image = Image.new("RGB", (320, 240), (130, 160, 210))
    ImageDraw.Draw(image).ellipse((90, 30, 230, 210), fill=(200, 60, 30))
    path = tmp_path / "photo.jpg"
    image.save(path, quality=90)
    return path


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder that is a web site of the reader's own, and its address."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{site.server_port}"
        site.shutdown()
        thread.join()


def enter(page: Page, key: str) -> None:
    """Write a key into the field, which a narrow screen folds away."""
    if not page.locator("#key-text").is_visible():
        page.locator("#key > summary").click()
    page.locator("#key-text").fill(key)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("language", ["en", "fa"])
def test_every_page_fits_and_asks_nobody_else(
    page: Page, server: Service, complaints: list[str], language: str
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in PATHS:
        for width in (WIDE, NARROW):
            page.set_viewport_size({"width": width, "height": 700})
            page.goto(f"{server.url}/{language}/{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.locator("html").get_attribute("dir") == ("rtl" if language == "fa" else "ltr")
        present = page.locator(".side [aria-current]").bounding_box()
        assert present is not None
        assert 0 <= present["x"] <= NARROW - present["width"], "the present page is out of view"
    assert [url for url in asked if not url.startswith(server.url)] == []
    assert complaints == []


def test_code_is_written_from_left_to_right_everywhere(page: Page, server: Service) -> None:
    page.goto(f"{server.url}/fa/api-usage/curl")
    sides = page.locator("pre, main code").evaluate_all(
        "all => new Set(all.map(one => getComputedStyle(one).direction)).size"
    )
    assert sides == 1
    assert page.locator("pre").first.evaluate("one => getComputedStyle(one).direction") == "ltr"


@pytest.mark.parametrize("language", ["en", "fa"])
def test_the_key_is_shown_in_every_example_of_the_tab_and_sent_nowhere(
    page: Page, server: Service, complaints: list[str], language: str
) -> None:
    sent: list[str] = []
    page.on("request", lambda one: sent.append(f"{one.url} {one.headers} {one.post_data or ''}"))
    page.goto(f"{server.url}/{language}/api-usage")
    enter(page, f"  {KEY} ")
    expect(page.locator("#key-state")).not_to_be_empty()
    page.locator(".side a[href$='/curl']").click()
    page.wait_for_url("**/api-usage/curl")
    shown = page.locator(".your-key").all_inner_texts()
    assert set(shown) == {KEY}
    assert f'"x-api-key: {KEY}"' in page.locator("pre").first.inner_text()
    assert KEY not in "".join(sent)
    assert page.evaluate("localStorage.length") == 0
    assert complaints == []


def test_the_key_is_removed_and_another_tab_never_had_it(page: Page, server: Service) -> None:
    page.goto(f"{server.url}/en/api-usage")
    enter(page, KEY)
    with page.context.expect_page() as opened:
        page.evaluate("window.open(location.href, '_blank', 'noopener') && null")
    other = opened.value
    other.wait_for_load_state()
    assert set(other.locator(".your-key").all_inner_texts()) == {"YOUR_API_KEY"}
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#key-state")).to_have_text("Your key is removed from this tab.")
    assert set(page.locator(".your-key").all_inner_texts()) == {"YOUR_API_KEY"}
    assert page.evaluate("sessionStorage.length") == 0
    expect(page.locator("#key-console")).to_be_hidden()
    expect(page.get_by_role("link", name="Sign up for a key")).to_be_visible()


@pytest.mark.parametrize("wrong", ["", "two words", 'a"; rm -rf ~; "', "key‮"])
def test_what_is_no_key_is_not_shown(page: Page, server: Service, wrong: str) -> None:
    page.goto(f"{server.url}/en/api-usage")
    enter(page, wrong)
    expect(page.locator("#key-state")).to_contain_text("does not look like a key")
    expect(page.locator("#key-text")).to_have_attribute("aria-invalid", "true")
    assert set(page.locator(".your-key").all_inner_texts()) == {"YOUR_API_KEY"}


def test_an_example_is_copied_with_the_key(page: Page, server: Service) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{server.url}/en/api-usage")
    enter(page, KEY)
    button = page.locator(".example", has=page.locator(".your-key")).first.get_by_role("button")
    button.click()
    expect(button).to_have_text("Copied")
    expect(page.locator("#copied")).to_have_text("Copied")
    expect(button).to_have_text("Copy", timeout=5000)
    expected = examples.for_reader("with_key.sh", server.url).replace(examples.KEY, KEY)
    assert page.evaluate("navigator.clipboard.readText()") == expected


def test_an_example_is_copied_where_there_is_no_clipboard(page: Page, server: Service) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{server.url}/en/api-usage")
    # As on a page that came over plain HTTP.
    page.evaluate("navigator.clipboard.writeText = undefined")
    button = page.locator(".example button").first
    button.click()
    expect(button).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == examples.for_reader("first.sh", server.url)


def test_without_javascript_there_are_no_dead_buttons(browser: Browser, server: Service) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server.url}/en/api-usage/curl")
    assert page.locator("main button:visible").count() == 0
    assert page.locator("pre:visible").count() > 5
    page.locator(".toc a").first.click()
    assert page.url.endswith("#format")
    context.close()


def test_the_console_is_opened_with_the_key_and_sends_it(
    page: Page, server: Service, photo_file: Path, complaints: list[str]
) -> None:
    data = {"OPENREMBG_DATA_DIR": str(Path(server.log).parent / "data")}
    openrembg_admin(data, "create-user", "reader@example.com", "--verified")
    key = openrembg_admin(data, "create-key", "reader@example.com").split()[-1]
    page.goto(f"{server.url}/en/api-usage")
    enter(page, key)
    page = console_of(page, "Open the console with your key")
    page.on("pageerror", lambda error: complaints.append(str(error)))
    expect(page.locator("#with-key")).to_contain_text(f"…{key[-4:]}", timeout=ANSWER_MS)
    assert key not in page.locator("body").inner_text()
    page.locator("#operations-Background_removal-removeBackground button").first.click()
    page.locator("input[type=file]").set_input_files(photo_file)
    for _ in range(2):
        with page.expect_response("**/rmbg", timeout=ANSWER_MS) as answer:
            page.get_by_role("button", name="Execute").click()
        assert (answer.value.status, answer.value.headers["x-credits-charged"]) == (200, "1")
        assert answer.value.headers["x-credits-source"] == "included"

    page.get_by_role("button", name="Stop using it").click()
    expect(page.locator("#without-key")).to_be_visible()
    with page.expect_response("**/rmbg", timeout=ANSWER_MS) as answer:
        page.get_by_role("button", name="Execute").click()
    assert answer.value.headers["x-credits-source"] == "anonymous"
    assert page.evaluate("sessionStorage.length") == 0
    page.get_by_role("link", name="Documentation").click()
    page.wait_for_url("**/en/api-usage")
    assert set(page.locator(".your-key").all_inner_texts()) == {"YOUR_API_KEY"}
    assert complaints == []


def console_of(page: Page, link: str, *modifiers: Literal["Control", "Shift"]) -> Page:
    """Click on a link, with keys held down, and return the console in its tab."""
    with page.context.expect_page() as opened:
        page.get_by_role("link", name=link, exact=True).click(modifiers=list(modifiers))
    opened.value.wait_for_url("**/api/docs*")
    return opened.value


@pytest.mark.parametrize("modifiers", [(), ("Control",), ("Shift",)])
def test_the_console_has_the_key_however_it_is_opened(
    page: Page, server: Service, modifiers: tuple[Literal["Control", "Shift"], ...]
) -> None:
    page.set_viewport_size({"width": WIDE, "height": 800})
    page.goto(f"{server.url}/en/api-usage")
    enter(page, KEY)
    for link in ("Open the console with your key", "console"):
        console = console_of(page, link, *modifiers)
        expect(console.locator("#key-end")).to_have_text(f"…{KEY[-4:]}", timeout=ANSWER_MS)


def test_the_names_of_fields_have_a_narrow_column(page: Page, server: Service) -> None:
    page.set_viewport_size({"width": WIDE, "height": 800})
    page.goto(f"{server.url}/en/api-usage/errors")
    for table in page.locator(".faults").all():
        name, message = (cell.bounding_box() for cell in table.locator("thead th").all())
        assert name is not None
        assert message is not None
        assert 3 * name["width"] < message["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_console_is_readable_and_fits(
    browser: Browser, server: Service, scheme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(color_scheme=scheme, viewport={"width": NARROW, "height": 700})
    page.goto(f"{server.url}/api/docs")
    page.locator("#operations-Background_removal-removeBackground button").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW
    header = page.locator(".header-col").first
    for text in (page.locator(".info p").first, page.locator(".opblock-body p").first, header):
        expect(text).to_be_visible()
        assert (brightness(text, "color") > 180) == (scheme == "dark")
    for ground in (page.locator("#console"), page.locator(".site-header")):
        assert (brightness(ground, "backgroundColor") < 60) == (scheme == "dark")
    # What our own buttons look like has not leaked into Swagger UI's.
    execute = page.locator(".btn.execute")
    assert execute.evaluate("one => getComputedStyle(one).minBlockSize") in ("0px", "auto")
    page.close()


def brightness(part: Locator, what: str) -> float:
    """Return how light a colour of a part is, from 0 to 255."""
    color: str = part.evaluate("(one, what) => getComputedStyle(one)[what]", what)
    return sum(map(int, re.findall(r"\d+", color)[:3])) / 3


def test_the_example_for_web_pages_runs_on_another_site(
    page: Page,
    server: Service,
    own_site: tuple[Path, str],
    photo_file: Path,
    complaints: list[str],
) -> None:
    folder, address = own_site
    (folder / "script.js").write_text(examples.for_reader("http_browser.js", server.url))
    (folder / "index.html").write_text(
        "<!doctype html><link rel=icon href=data:,><input type=file><img>"
        "<script src=script.js></script>"
    )
    page.goto(address)
    page.locator("input").set_input_files(photo_file)
    page.wait_for_function("document.images[0].naturalWidth === 320", timeout=ANSWER_MS)
    assert complaints == []
