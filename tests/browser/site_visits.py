"""How a browser gets to every page of the site, as each of the people in site_people.py."""

from playwright.sync_api import Browser, BrowserContext, Page, Response

from services import Service
from site_pages import SitePage
from site_people import Cast

# Writes into the form that has all of these fields, and presses its first button.
SEND = """fields => {
    const has = form => Object.keys(fields).every(name => name in form.elements);
    const form = [...document.forms].find(has);
    for (const [name, text] of Object.entries(fields)) form.elements[name].value = text;
    form.noValidate = true;
    form.requestSubmit(form.querySelector("[type=submit], button:not([type])"));
}"""


def come_in(browser: Browser, site: Service, cookies: dict[str, str]) -> BrowserContext:
    """Open a browser that has these cookies of the site."""
    context = browser.new_context()
    context.add_cookies(
        [{"name": name, "value": value, "url": site.url} for name, value in cookies.items()]
    )
    return context


def show(page: Page, site: Service, cast: Cast, wanted: SitePage, language: str) -> Response:
    """Open a page of the site, or the answer to its form, and return what the server answered."""
    answer = page.goto(site.url + cast.path(wanted, language))
    if wanted.form:
        with page.expect_navigation() as navigation:
            page.evaluate(SEND, cast.form(wanted, language))
        answer = navigation.value
    assert answer is not None
    return answer
