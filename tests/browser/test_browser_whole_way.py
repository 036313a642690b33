"""The whole way of a new user in a real browser: from the editor's door to a moved usage."""

from pathlib import Path
from typing import Final

import pytest
from editor_visits import add, finish, photos
from playwright.sync_api import Page, Response, expect

from outbox import mails
from services import Service

pytestmark = pytest.mark.browser

PASSWORD = "three blind mice run"
ANSWER_MS: Final = 60_000
DIGITS: Final = {"en": "0123456789", "fa": "۰۱۲۳۴۵۶۷۸۹"}
WINDOW: Final = {"en": 1280, "fa": 320}


@pytest.mark.parametrize("language", ["en", "fa"])
def test_from_signing_up_to_the_first_pictures(
    page: Page, server: Service, complaints: list[str], tmp_path: Path, language: str
) -> None:
    email = f"whole-way-{language}@example.com"
    asked = watched(page, server, complaints)
    page.set_viewport_size({"width": WINDOW[language], "height": 800})
    page.goto(f"{server.url}/{language}/")

    sign_up(page, email, language)
    confirm(page, server, email, language)
    key = first_key(page)
    assert copied(page) == key

    answer = request_in_console(page, photo_in(tmp_path))
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["x-credits-source"] == "included"
    assert answer.request.headers["x-api-key"] == key
    page.locator("main a.button[href$='/account/keys']").click()
    assert usage(page, language) == {"app": 0, "api": 1}

    page.locator(".brand").click()
    page.wait_for_url(f"**/{language}/")
    add(page, *photos(1))
    finish(page, 1)
    assert usage(page, language) == {"app": 1, "api": 1}

    assert [url for url in asked if not url.startswith((server.url, "blob:", "data:"))] == []
    assert complaints == []


def watched(page: Page, server: Service, complaints: list[str]) -> list[str]:
    """Return a list that gets every address which this browser asks for, in any of its windows."""
    asked: list[str] = []
    permissions = ["clipboard-read", "clipboard-write"]
    page.context.grant_permissions(permissions, origin=server.url)
    page.context.on("request", lambda request: asked.append(request.url))
    page.context.on("weberror", lambda error: complaints.append(str(error.error)))
    return asked


def sign_up(page: Page, email: str, language: str) -> None:
    """Go through the header's door."""
    page.locator("header a[href$='/account/signup/']").click()
    page.locator("#id_email").fill(email)
    page.locator("#id_password1").fill(PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url(f"**/{language}/account/confirm-email/")


def confirm(page: Page, server: Service, email: str, language: str) -> None:
    """Follow the link of the mail; after it nothing has to be typed."""
    outbox = Path(server.log).parent / "data" / "outbox"
    [mail] = [mail for mail in mails(outbox) if mail.to == email]
    assert f"/{language}/account/" in mail.link
    page.goto(mail.link)
    page.locator("main button[type=submit]").click()
    page.wait_for_url(f"**/{language}/account/")


def first_key(page: Page) -> str:
    """Make a key with one press, and return it as the page shows it."""
    page.locator(".first-key button").click()
    return page.locator("#key").inner_text()


def copied(page: Page) -> str:
    """Press the button beside the key, and return what the clipboard has."""
    page.locator("[data-copy=key]").click()
    expect(page.locator("[data-copied]").first).not_to_be_empty()
    return str(page.evaluate("navigator.clipboard.readText()"))


def request_in_console(page: Page, photo: Path) -> Response:
    """Open the console from the key's page, and send a photo with its form."""
    with page.expect_popup() as opened:
        page.locator("[data-console=key]").click()
    console = opened.value
    expect(console.locator("#with-key")).to_be_visible(timeout=ANSWER_MS)
    console.locator("#operations-Background_removal-removeBackground button").first.click()
    console.locator("input[type=file]").set_input_files(photo)
    with console.expect_response("**/rmbg", timeout=ANSWER_MS) as answer:
        console.get_by_role("button", name="Execute").click()
    shown = console.locator(".live-responses-table img")
    expect(shown).to_be_visible(timeout=ANSWER_MS)
    console.close()
    return answer.value


def photo_in(folder: Path) -> Path:
    """Return a file with a photo."""
    path = folder / "photo.jpg"
    path.write_bytes(photos(1)[0]["buffer"])
    return path


def usage(page: Page, language: str) -> dict[str, int]:
    """Return what the overview says was used through the editor and by keys."""
    page.locator("header a[href$='/account/']").click()
    page.wait_for_url(f"**/{language}/account/")
    expect(page.locator(".legend li .app, .legend li .api")).to_have_count(2)
    lines = page.locator(".legend li").all_inner_texts()
    app, api = (numbers(line, language) for line in lines[:2])
    return {"app": app, "api": api}


def numbers(line: str, language: str) -> int:
    """Return the number that a line has, in its language's digits."""
    digits = [str(DIGITS[language].index(letter)) for letter in line if letter in DIGITS[language]]
    return int("".join(digits))
