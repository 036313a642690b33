"""An account in a real browser: signing up, the mail's link, logging in; in English and Persian."""

import itertools
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from outbox import mails
from services import Service

pytestmark = pytest.mark.browser

PASSWORD = "three blind mice run"
NARROW, WIDE = 320, 1280
_numbers: Final = itertools.count()


@pytest.fixture
def email() -> str:
    """An address that nobody has on the server, which all tests share."""
    return f"ada{next(_numbers)}@example.com"


def fits(page: Page) -> None:
    """Nothing is wider than the window, narrow or wide."""
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def sign_up(page: Page, server: Service, email: str, language: str = "en") -> str:
    """Sign up as a person does, and return the link of the mail."""
    page.goto(f"{server.url}/{language}/account/signup/")
    fits(page)
    page.locator("#id_email").fill(email)
    page.locator("#id_password1").fill(PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url(f"**/{language}/account/confirm-email/")
    fits(page)
    [mail] = [
        mail for mail in mails(Path(server.log).parent / "data" / "outbox") if mail.to == email
    ]
    return mail.link


@pytest.mark.parametrize(("language", "side"), [("en", "ltr"), ("fa", "rtl")])
def test_somebody_signs_up_confirms_and_is_in(
    page: Page, server: Service, email: str, complaints: list[str], language: str, side: str
) -> None:
    page.goto(sign_up(page, server, email, language))
    assert page.locator("html").get_attribute("dir") == side
    fits(page)
    page.locator("main button[type=submit]").click()
    page.wait_for_url(f"**/{language}/account/")
    expect(page.locator(".messages").first).to_contain_text(email)
    expect(page.locator(".first-key button")).to_be_visible()
    fits(page)
    assert complaints == []


@pytest.mark.parametrize("language", ["en", "fa"])
def test_whoever_confirms_in_another_browser_logs_in_there(
    page: Page,
    browser: Browser,
    server: Service,
    email: str,
    complaints: list[str],
    language: str,
) -> None:
    elsewhere = browser.new_page()
    link = sign_up(elsewhere, server, email, language)
    elsewhere.close()
    page.goto(link)
    page.locator("main button[type=submit]").click()
    page.wait_for_url(f"**/{language}/account/login/")
    expect(page.locator(".messages")).to_contain_text(email)
    fits(page)
    page.locator("#id_login").fill(email)
    page.locator("#id_password").fill(PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url(f"**/{language}/account/")
    assert complaints == []


def test_a_language_chosen_in_the_profile_is_that_of_the_next_page(
    page: Page, server: Service, email: str, complaints: list[str]
) -> None:
    page.goto(sign_up(page, server, email))
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/en/account/")
    page.locator(".side a[href$='/account/profile/']").click()
    fits(page)
    page.locator("#id_language").select_option("fa")
    page.locator("#id_usage_mails").uncheck()
    page.locator("main form button").click()
    page.wait_for_url("**/fa/account/profile/")
    assert page.locator("html").get_attribute("dir") == "rtl"
    expect(page.locator("#id_language")).to_have_value("fa")
    expect(page.locator("#id_usage_mails")).not_to_be_checked()
    fits(page)
    assert complaints == []


def test_the_keyboard_is_enough(page: Page, server: Service, email: str) -> None:
    page.goto(f"{server.url}/en/account/signup/")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.locator("#id_email").focus()
    page.keyboard.type(email)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/en/account/confirm-email/")


def test_the_language_is_chosen_by_a_link_and_remembered(page: Page, server: Service) -> None:
    page.goto(f"{server.url}/account/login/")
    page.locator("footer a[hreflang=ja]").click()
    page.wait_for_url("**/ja/account/login/")
    page.goto(f"{server.url}/account/signup/")
    assert page.url.endswith("/ja/account/signup/")


def keep_two(page: Page) -> None:
    """Let the tab hold a key, as the documentation and the console do, and something else."""
    page.evaluate("sessionStorage['openrembg.key'] = 'orbk_x'; sessionStorage.other = 'stays'")


def test_whoever_leaves_takes_the_key_along(page: Page, server: Service, email: str) -> None:
    page.goto(sign_up(page, server, email))
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/en/account/")
    keep_two(page)
    page.locator("header a[href$='/account/logout/']").click()
    assert page.evaluate("sessionStorage['openrembg.key']") == "orbk_x", "still in"
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/en/account/login/")
    assert page.evaluate("({...sessionStorage})") == {"other": "stays"}

    keep_two(page)
    page.locator("#id_login").fill(email)
    page.locator("#id_password").fill(PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/en/account/")
    page.goto(f"{server.url}/en/account/delete/")
    assert page.evaluate("sessionStorage['openrembg.key']") == "orbk_x", "still in"
    page.locator("#id_password").fill(PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/en/account/deleted/")
    page.wait_for_function("!('openrembg.key' in sessionStorage)")
    assert page.evaluate("({...sessionStorage})") == {"other": "stays"}
