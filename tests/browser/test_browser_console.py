"""The console at /api/docs in a real browser: its form sends a real request."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, Response, expect

from services import Service

pytestmark = pytest.mark.browser

ANSWER_MS = 60_000


@pytest.fixture
def asked() -> list[str]:
    """Every address that the page has asked for."""
    return []


@pytest.fixture
def page(
    browser: Browser, server: Service, asked: list[str], complaints: list[str], tmp_path: Path
) -> Iterator[Page]:
    """The console, opened, in a browser that has never been here."""
    page = browser.new_page(viewport={"width": 1280, "height": 1600})
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    page.goto(f"{server.url}/api/docs")
    yield page
    page.screenshot(path=tmp_path / "console.png", full_page=True)
    page.close()


def fill_form(page: Page, photo: Path) -> None:
    """Open the form of POST /rmbg and choose a photo."""
    page.locator("#operations-Background_removal-removeBackground button").first.click()
    page.locator("input[type=file]").set_input_files(photo)


def execute(page: Page) -> Response:
    """Send the form and return the server's answer."""
    with page.expect_response("**/rmbg", timeout=ANSWER_MS) as answer:
        page.get_by_role("button", name="Execute").click()
    return answer.value


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    """A photo with a subject."""
    image = Image.new("RGB", (320, 240), (130, 160, 210))
    ImageDraw.Draw(image).ellipse((90, 30, 230, 210), fill=(200, 60, 30))
    path = tmp_path / "photo.jpg"
    image.save(path, quality=90)
    return path


def test_the_form_sends_a_photo_and_shows_the_cut_out(
    page: Page, photo_file: Path, complaints: list[str]
) -> None:
    fill_form(page, photo_file)
    answer = execute(page)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/webp")
    shown = page.locator(".live-responses-table img")
    expect(shown).to_be_visible(timeout=ANSWER_MS)
    page.wait_for_function("document.querySelector('.live-responses-table img').complete")
    assert shown.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [320, 240]
    assert complaints == []


def authorize(page: Page, key: str) -> None:
    """Enter a key where Swagger UI asks for one."""
    page.get_by_role("button", name="Authorize").click()
    dialog = page.locator(".modal-ux")
    dialog.locator("input").first.fill(key)
    dialog.get_by_role("button", name="Apply credentials").first.click()
    dialog.locator(".close-modal").click()


def test_what_is_said_of_the_key_follows_authorize_and_logout(
    page: Page, server: Service, complaints: list[str]
) -> None:
    without, with_key = page.locator("#without-key"), page.locator("#with-key")
    authorize(page, "orbk_somebody_1234")
    expect(with_key).to_contain_text("…1234")
    expect(without).to_be_hidden()
    page.get_by_role("button", name="Stop using it").click()
    expect(without).to_be_visible()

    # A key that came from the documentation is gone for good when Swagger UI forgets it.
    page.evaluate("sessionStorage.setItem('openrembg.key', 'orbk_somebody_5678')")
    page.reload()
    expect(with_key).to_contain_text("…5678")
    page.get_by_role("button", name="Authorize").click()
    page.get_by_role("button", name="Remove authorization").first.click()
    expect(without).to_be_visible()
    expect(with_key).to_be_hidden()
    assert page.evaluate("sessionStorage.length") == 0
    assert complaints == []


def test_the_page_asks_nobody_but_its_own_server(
    page: Page, server: Service, photo_file: Path, asked: list[str]
) -> None:
    fill_form(page, photo_file)
    execute(page)
    page.wait_for_load_state("networkidle")
    foreign = [url for url in asked if not url.startswith((server.url, "blob:", "data:"))]
    assert foreign == []
    assert f"{server.url}/api/openapi" in asked


def test_a_wrong_file_shows_the_documented_message(page: Page, tmp_path: Path) -> None:
    text = tmp_path / "photo.png"
    text.write_text("no picture at all")
    fill_form(page, text)
    assert execute(page).status == 400
    expect(page.locator(".live-responses-table")).to_contain_text("invalid file signature")
