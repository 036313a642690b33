"""From nothing to a cut-out in a real browser: signing up, the first key, command, console."""

import itertools
import shlex
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, expect

from outbox import mails
from services import Service, program

pytestmark = pytest.mark.browser

PASSWORD = "three blind mice run"
NARROW, WIDE = 320, 1280
LEFT = {"en": "49 of 50", "fa": "۴۹ از ۵۰"}
# Not this machine's own name, so that the page is no secure context.
PLAIN = "plain.test"
_numbers: Final = itertools.count()


@pytest.fixture
def plain_browser(browser: Browser) -> Iterator[Browser]:
    """A Chromium to which the server is another machine, reached by plain http."""
    rules = f"--host-resolver-rules=MAP {PLAIN} 127.0.0.1"
    running = browser.browser_type.launch(
        executable_path=program("chromium", "chromium-browser", "google-chrome"),
        args=["--no-sandbox", "--disable-gpu", rules],
    )
    yield running
    running.close()


def fits(page: Page, pictures: Path, name: str) -> None:
    """Nothing is wider than the window, narrow or wide; a picture of each is kept."""
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": 700})
        page.screenshot(path=pictures / f"{name}-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def sign_up(page: Page, server: Service, site: str, language: str = "en") -> None:
    """Sign up as somebody new, follow the mail's link, and confirm."""
    email = f"first-key{next(_numbers)}@example.com"
    page.goto(f"{site}/{language}/account/signup/")
    page.locator("#id_email").fill(email)
    page.locator("#id_password1").fill(PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url(f"**/{language}/account/confirm-email/")
    outbox = Path(server.log).parent / "data" / "outbox"
    [mail] = [mail for mail in mails(outbox) if mail.to == email]
    page.goto(site + mail.link.removeprefix(server.url))
    page.locator("main button[type=submit]").click()
    page.wait_for_url(f"**/{language}/account/")


def first_key(page: Page) -> str:
    """Press the button of the overview, and return the key that is shown."""
    page.locator(".first-key button").click()
    page.wait_for_url("**/account/keys")
    return page.locator("#key").inner_text()


def pasted(page: Page) -> str:
    """Go back to the keys, and return what the keyboard pastes there."""
    page.locator("main > * a[href$='/account/keys'].button").click()
    page.locator("#id_name").focus()
    page.keyboard.press("ControlOrMeta+V")
    return page.locator("#id_name").input_value()


def photo(folder: Path) -> None:
    """Write a photo with a subject, called as the command calls it."""
    image = Image.new("RGB", (320, 240), (130, 160, 210))
    ImageDraw.Draw(image).ellipse((90, 30, 230, 210), fill=(200, 60, 30))
    image.save(folder / "photo.jpg", quality=90)


@pytest.mark.parametrize("language", ["en", "fa"])
def test_the_command_on_the_page_makes_a_cut_out_and_the_usage_moves(
    page: Page, server: Service, complaints: list[str], tmp_path: Path, language: str
) -> None:
    sign_up(page, server, server.url, language)
    fits(page, tmp_path, f"{language}-overview")
    key = first_key(page)
    fits(page, tmp_path, f"{language}-key")
    command = page.locator("#command").inner_text()
    assert key in command

    photo(tmp_path)
    done = subprocess.run(
        [program("curl"), *shlex.split(command)[1:]], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    cutout = Image.open(BytesIO((tmp_path / "cutout.webp").read_bytes()))
    assert (cutout.mode, cutout.size) == ("RGBA", (320, 240))

    page.locator("main > * a[href$='/account/keys'].button").click()
    expect(page.locator(".key")).to_have_count(1)
    expect(page.locator(".key code")).to_contain_text(key[:10])
    fits(page, tmp_path, f"{language}-keys")
    page.locator(".side a[href$='/account/billing/']").click()
    expect(page.locator("section.panel dd").nth(1)).to_have_text(LEFT[language])
    page.locator(".side a[href$='/account/']").click()
    expect(page.locator(".first-key")).to_have_count(0)
    assert complaints == []


def test_the_key_is_copied_by_a_button(page: Page, server: Service, complaints: list[str]) -> None:
    sign_up(page, server, server.url)
    key = first_key(page)
    page.get_by_role("button", name="Copy the key").click()
    expect(page.get_by_role("status").filter(has_text="Copied.")).to_be_visible()
    assert pasted(page) == key
    assert complaints == []


def test_over_plain_http_it_is_copied_all_the_same(plain_browser: Browser, server: Service) -> None:
    page = plain_browser.new_page()
    sign_up(page, server, server.url.replace("127.0.0.1", PLAIN))
    assert page.evaluate("window.isSecureContext") is False
    key = first_key(page)
    assert f"http://{PLAIN}:{server.port}/rmbg" in page.locator("#command").inner_text()
    page.get_by_role("button", name="Copy the key").click()
    expect(page.get_by_role("status").filter(has_text="Copied.")).to_be_visible()
    assert pasted(page) == key


def test_where_nothing_can_be_copied_the_text_is_selected(page: Page, server: Service) -> None:
    page.add_init_script("delete Navigator.prototype.clipboard; document.execCommand = () => false")
    sign_up(page, server, server.url)
    key = first_key(page)
    page.get_by_role("button", name="Copy the key").click()
    expect(page.get_by_role("status").filter(has_text="The text is selected")).to_be_visible()
    assert page.evaluate("getSelection().toString().trim()") == key


def test_the_console_opens_beside_the_page_and_has_the_key(
    page: Page, server: Service, complaints: list[str]
) -> None:
    sign_up(page, server, server.url)
    key = first_key(page)
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Try it in the console").click()
    console = opened.value
    console.wait_for_load_state()
    assert console.url.startswith(f"{server.url}/api/docs")
    assert console.evaluate("sessionStorage.getItem('openrembg.key')") == key
    assert page.locator("#key").inner_text() == key, "what is shown once is still there"
    assert complaints == []


def test_without_javascript_the_page_shows_key_and_command_and_no_dead_button(
    browser: Browser, server: Service
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_up(page, server, server.url)
    key = first_key(page)
    assert key in page.locator("#command").inner_text()
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    context.close()
