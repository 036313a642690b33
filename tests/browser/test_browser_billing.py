"""Buying in a real browser, from a Stripe of ours: pack, plan, portal; in English and Persian."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from fakes.stripe_server import FakeStripe
from services import Service, StartServer, openrembg_admin, put_tables

pytestmark = pytest.mark.browser

PASSWORD = "three blind mice run"
NARROW, WIDE = 320, 1280
TOLD_MS = 20_000
LANGUAGES = [("en", "ltr"), ("fa", "rtl")]
# What the pages say, and the digits that they say it with.
SAID = {
    "en": {"thousand": "1,000", "hundred": "100", "renews": "Renews on", "ends": "Ends on"},
    "fa": {"thousand": "۱٬۰۰۰", "hundred": "۱۰۰", "renews": "تمدید", "ends": "پایان"},
}


@pytest.fixture
def stripe() -> Iterator[FakeStripe]:
    """A Stripe of ours that tells of a payment after a while."""
    with stripe_with_prices() as running:
        running.delay_s = 2.5
        yield running


@contextmanager
def stripe_with_prices() -> Iterator[FakeStripe]:
    """Run a Stripe of ours that knows the prices of two plans and a pack."""
    with FakeStripe() as running:
        running.account.sells("price_basic", 900, "month")
        running.account.sells("price_pro", 2900, "month")
        running.account.sells("price_pack", 500)
        yield running


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two plans and a pack that are sold, and one user; tests get copies."""
    folder = tmp_path_factory.mktemp("stock")
    put_tables(folder / "openrembg.db")
    with stripe_with_prices() as stripe:
        house = {"OPENREMBG_DATA_DIR": str(folder), **stripe.environment}
        for label, price in (
            ("Basic-1000", "price_basic"),
            ("Pro-5000", "price_pro"),
            ("100 credits", "price_pack"),
        ):
            openrembg_admin(house, "set-price", label, price)
        user = ("ada@example.com", "--password", PASSWORD, "--verified")
        openrembg_admin(house, "create-user", *user)
    return folder


@pytest.fixture
def shop(start_server: StartServer, stripe: FakeStripe, stock: Path, tmp_path: Path) -> Service:
    """A server that sells two plans and a pack, with one user."""
    data = tmp_path / "shop"
    shutil.copytree(stock, data)
    server = start_server(OPENREMBG_DATA_DIR=str(data), **stripe.environment)
    stripe.webhooks_to = f"{server.url}/api/webhooks/stripe"
    return server


def log_in(page: Page, server: Service, language: str) -> None:
    """Log in, and go to the page of plans and credits as a person does."""
    page.goto(f"{server.url}/{language}/account/login/")
    page.locator("#id_login").fill("ada@example.com")
    page.locator("#id_password").fill(PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url(f"**/{language}/account/")
    page.locator(".side a[href$='/account/billing/']").click()
    page.wait_for_url(f"**/{language}/account/billing/")


def fits(page: Page, pictures: Path, name: str) -> None:
    """Nothing is wider than the window, narrow or wide; a picture of each is kept."""
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": 700})
        page.screenshot(path=pictures / f"{name}-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def lines_of(paragraph: Locator) -> int:
    """Return how many lines the parts of a paragraph stand on."""
    tops = "all => new Set([...all.children].map(part => Math.round(part.offsetTop))).size"
    return int(paragraph.evaluate(tops))


def buy(page: Page, offer: str) -> None:
    """Press the button of an offer: `plans` or `packs`, and its label."""
    kind, label = offer.split(" ", 1)
    panel = page.locator("li.panel", has=page.locator("h3 bdi", has_text=label).first)
    panel.locator(f"form[action*='/{kind}/'] button").first.click()
    page.wait_for_url("**/pay/cs_test_*")


@pytest.mark.parametrize(("language", "side"), LANGUAGES)
def test_a_pack_is_bought_and_waited_for(
    page: Page,
    shop: Service,
    complaints: list[str],
    tmp_path: Path,
    language: str,
    side: str,
) -> None:
    log_in(page, shop, language)
    assert page.locator("html").get_attribute("dir") == side
    fits(page, tmp_path, f"{language}-shop")
    buy(page, "packs 100 credits")
    page.get_by_role("button", name="Pay", exact=True).click()
    page.wait_for_url(f"**/{language}/account/billing/success?session_id=cs_test_*")
    expect(page.locator("[data-waiting]")).to_be_visible()
    fits(page, tmp_path, f"{language}-waiting")
    expect(page.locator("#purchase .good")).to_contain_text(
        SAID[language]["hundred"], timeout=TOLD_MS
    )
    fits(page, tmp_path, f"{language}-bought")
    page.locator("main .actions a").click()
    expect(page.locator("section.panel dd").last).to_have_text(SAID[language]["hundred"])
    expect(page.locator(".purchases li")).to_have_count(1)
    fits(page, tmp_path, f"{language}-purchases")
    assert [lines_of(line) for line in page.locator(".purchases p").all()] == [1, 1]
    assert complaints == []


@pytest.mark.parametrize(("language", "side"), LANGUAGES)
def test_a_plan_is_subscribed_to_and_ended_on_the_portal(
    page: Page,
    shop: Service,
    complaints: list[str],
    tmp_path: Path,
    language: str,
    side: str,
) -> None:
    said = SAID[language]
    log_in(page, shop, language)
    buy(page, "plans Basic-1000")
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.locator("#purchase .good")).to_contain_text("Basic-1000", timeout=TOLD_MS)
    page.locator("main .actions a").click()
    expect(page.locator("section.panel dd").first).to_have_text("Basic-1000")
    expect(page.locator("section.panel")).to_contain_text(said["thousand"])
    expect(page.locator("section.panel .note")).to_contain_text(said["renews"])
    fits(page, tmp_path, f"{language}-subscribed")
    page.locator("form[action$='/billing/portal'] button").click()
    page.wait_for_url("**/portal/bps_*")
    page.get_by_role("button", name="Cancel at period end").click()
    page.get_by_role("link", name="Return").click()
    page.wait_for_url(f"**/{language}/account/billing/")
    for _ in range(20):
        if said["ends"] in page.locator("section.panel .note").inner_text():
            break
        page.wait_for_timeout(500)
        page.reload()
    expect(page.locator("section.panel .note")).to_contain_text(said["ends"])
    fits(page, tmp_path, f"{language}-ending")
    assert complaints == []


def test_the_plan_is_switched_on_the_portal(page: Page, shop: Service, stripe: FakeStripe) -> None:
    stripe.delay_s = 0.0
    log_in(page, shop, "en")
    buy(page, "plans Basic-1000")
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.locator("#purchase .good")).to_be_visible(timeout=TOLD_MS)
    page.locator("main .actions a").click()
    page.get_by_role("button", name="Change the plan").click()
    page.wait_for_url("**/portal/bps_*")
    page.locator("select").select_option("price_pro")
    page.get_by_role("button", name="Switch").click()
    page.wait_for_timeout(500)
    page.get_by_role("link", name="Return").click()
    expect(page.locator("section.panel dd").first).to_have_text("Pro-5000")


def test_whoever_turns_back_has_bought_nothing(
    page: Page, shop: Service, stripe: FakeStripe, complaints: list[str]
) -> None:
    log_in(page, shop, "en")
    buy(page, "packs 100 credits")
    page.get_by_role("link", name="Cancel").click()
    page.wait_for_url("**/en/account/billing/cancelled")
    expect(page.locator("h1")).to_have_text("Nothing was bought")
    assert stripe.told == []
    assert complaints == []


def test_without_javascript_there_is_a_link_to_look_again(
    browser: Browser, shop: Service, stripe: FakeStripe
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    log_in(page, shop, "en")
    buy(page, "packs 100 credits")
    page.get_by_role("button", name="Pay", exact=True).click()
    page.get_by_role("link", name="Look again").click()
    expect(page.locator("[data-waiting]")).to_be_visible()
    page.wait_for_timeout(3000)
    page.get_by_role("link", name="Look again").click()
    expect(page.locator("#purchase .good")).to_contain_text("100")
    context.close()


def test_after_a_minute_it_says_that_nothing_is_lost(
    page: Page, shop: Service, stripe: FakeStripe, complaints: list[str], tmp_path: Path
) -> None:
    stripe.webhooks_to = None
    page.clock.install()
    log_in(page, shop, "en")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    buy(page, "packs 100 credits")
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.locator("[data-waiting]")).to_be_visible()
    for _ in range(70):
        page.clock.run_for(1000)
        page.wait_for_timeout(30)
    expect(page.locator("#purchase .late")).to_contain_text("Nothing is lost", timeout=TOLD_MS)
    expect(page.get_by_role("link", name="Look again")).to_be_visible()
    expect(page.locator("[data-waiting]")).to_have_count(0)
    fits(page, tmp_path, "en-late")
    looks = [url for url in asked if "/success/state?" in url]
    assert 8 <= len(looks) <= 11
    page.clock.run_for(60_000)
    assert len([url for url in asked if "/success/state?" in url]) == len(looks)
    foreign = [url for url in asked if not url.startswith((shop.url, stripe.url, "data:"))]
    assert foreign == []
    assert complaints == []
