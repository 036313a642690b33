"""The system's Chromium, and a page in it that has never been here."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from services import program

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NARROW = 320


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; none is downloaded."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(*CHROMIUM), args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the pages have written to the browser's console as an error."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    """A browser that has never been here."""
    page = browser.new_page(viewport={"width": NARROW, "height": 700})
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    yield page
    page.close()
