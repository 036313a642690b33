"""The page of plans and credits: what it shows, and where its buttons lead."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from shop import PAGE, after, browser_of, forms, opened, pack_id, pay, plan_id, press, shown, tell
from time_machine import TimeMachineFixture

from fakes.stripe_events import DAY_S
from fakes.stripe_server import KEY, FakeStripe
from openrembg.server.accounts.models import User
from openrembg.server.billing.models import (
    BillingPeriod,
    Checkout,
    CreditPack,
    Customer,
    Plan,
    Subscription,
)
from openrembg.server.billing.pages import SAME_FORM_S
from openrembg.server.billing.templatetags.billing_text import moment
from openrembg.server.quota.ledger import set_plan
from openrembg.server.quota.models import Balance
from people import Person, person

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def stripe() -> Iterator[FakeStripe]:
    """A Stripe of ours."""
    with FakeStripe() as running:
        yield running


@pytest.fixture
def shop(database: object, stripe: FakeStripe, furnish: Any) -> FakeStripe:
    """The same, which sells two plans and a pack."""
    opened(stripe, furnish)
    return stripe


@pytest.fixture
def ada(database: object) -> Person:
    """A user without anything."""
    return person()


def subscribed(stripe: FakeStripe, browser: Client, label: str = "Basic-1000") -> str:
    """Subscribe to a plan as a person does, and return the subscription's name."""
    answer = press(browser, f"plans/{plan_id(label)}/buy")
    assert answer.status_code == 303, answer.content
    session = pay(stripe, answer.headers["Location"])
    tell(stripe)
    return stripe.account.sessions[session].subscription


# What it shows.


def test_it_shows_what_the_user_has(shop: FakeStripe, ada: Person) -> None:
    text = shown(browser_of(ada).get(PAGE))
    assert "Plan Free" in text
    assert "Included credits left 50 of 50" in text
    assert "Prepaid credits 0" in text
    assert re.search(r"They last until \w+\.? \d+, \d{4}, 11:59 p\.m\. UTC", text)


def test_it_shows_plans_and_packs_with_their_prices(shop: FakeStripe, ada: Person) -> None:
    text = shown(browser_of(ada).get(PAGE))
    assert "Basic-1000 Price 9.00 EUR a month Credits 1,000 a month" in text
    assert "100 credits Price 5.00 EUR Credits 100 Buy" in text
    assert "Free Your plan" in text
    assert "Premium-20000 Credits 20,000 a month" in text


def test_a_price_is_written_as_its_currency_and_language_want(
    shop: FakeStripe, ada: Person
) -> None:
    Plan.objects.filter(label="Pro-5000").update(price_cents=123456, currency="JPY")
    browser = browser_of(ada)
    assert "123,456 JPY a month" in shown(browser.get(PAGE))
    assert "۱۲۳٬۴۵۶ JPY" in shown(browser.get(PAGE.replace("en", "fa", 1)))


def test_only_what_has_a_price_at_stripe_has_a_button(shop: FakeStripe, ada: Person) -> None:
    CreditPack.objects.exclude(stripe_price_id="price_pack").update(stripe_price_id=None)
    found = forms(browser_of(ada).get(PAGE))
    wanted = [f"{PAGE}plans/{plan_id(label)}/buy" for label in ("Basic-1000", "Pro-5000")]
    assert found == [*wanted, f"{PAGE}packs/{pack_id()}/buy"]


def test_without_a_key_nothing_is_sold(shop: FakeStripe, furnish: Any, ada: Person) -> None:
    furnish()
    browser = browser_of(ada)
    page = browser.get(PAGE)
    assert forms(page) == []
    assert "whoever runs this server gives plans and credits" in shown(page)
    for action in (f"plans/{plan_id('Basic-1000')}/buy", f"packs/{pack_id()}/buy"):
        assert "not sold here any more" in after(browser, _sent(browser, action))
    assert "nothing yet" in after(browser, _sent(browser, "portal"))
    assert shop.calls == []


def test_without_the_webhook_s_secret_nothing_is_sold(
    stripe: FakeStripe, furnish: Any, ada: Person
) -> None:
    """Whoever paid would get nothing: no event would be believed."""
    opened(stripe, furnish, stripe_webhook_secret=None)
    browser = browser_of(ada)
    page = browser.get(PAGE)
    assert forms(page) == []
    assert "Nothing is sold here" in shown(page)
    assert "not sold here any more" in after(browser, _sent(browser, f"packs/{pack_id()}/buy"))
    assert stripe.calls == []


def _sent(browser: Client, action: str) -> Any:
    """Send a form that the page does not have."""
    return browser.post(f"{PAGE}{action}", _token(browser))


def _token(browser: Client) -> dict[str, str]:
    page = browser.get("/en/account/profile/").content.decode()
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]*)"', page)
    assert found is not None
    return {"csrfmiddlewaretoken": found[1]}


@pytest.mark.parametrize("language", ["en", "fa", "id", "ja", "ko"])
def test_the_pages_are_there_in_every_language(
    shop: FakeStripe, ada: Person, language: str
) -> None:
    browser = browser_of(ada)
    subscribed(shop, browser)
    for page in ("", "success?session_id=cs_test_x", "cancelled"):
        text = browser.get(f"/{language}/account/billing/{page}").content.decode()
        direction = "rtl" if language == "fa" else "ltr"
        assert f'<html lang="{language}" dir="{direction}">' in text


# Who gets in.


def test_nobody_is_sent_to_log_in(shop: FakeStripe) -> None:
    for page in ("", "plans/1/buy", "packs/1/buy", "portal", "success", "success/state"):
        for method in ("get", "post"):
            answer = getattr(Client(), method)(f"{PAGE}{page}")
            assert answer.status_code in (302, 405), page
            if answer.status_code == 302:
                assert answer.headers["Location"].startswith("/en/account/login/?next=")
    assert shop.calls == []


def test_nothing_is_bought_without_the_csrf_token(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    for action in (f"plans/{plan_id('Basic-1000')}/buy", f"packs/{pack_id()}/buy", "portal"):
        assert browser.post(f"{PAGE}{action}").status_code == 403
        back = browser.get(f"{PAGE}{action}")
        assert (back.status_code, back.headers["Location"]) == (302, PAGE)
    assert shop.calls == []


def test_an_unconfirmed_address_buys_nothing(shop: FakeStripe) -> None:
    browser = browser_of(person(verified=False))
    page = browser.get(PAGE)
    assert forms(page) == []
    assert "Confirm your e-mail address" in shown(page)
    answer = _sent(browser, f"packs/{pack_id()}/buy")
    assert "Confirm your e-mail address before you buy something." in after(browser, answer)
    assert shop.calls == []


def test_staff_buy_as_everybody_does(shop: FakeStripe, ada: Person) -> None:
    User.objects.filter(pk=ada.user.pk).update(is_staff=True, is_superuser=True)
    assert press(browser_of(ada), f"packs/{pack_id()}/buy").status_code == 303


# Buying.


def test_a_pack_leads_to_checkout_and_becomes_credits(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    answer = press(browser, f"packs/{pack_id()}/buy")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"{shop.url}/pay/cs_test_")
    [call] = shop.calls
    assert call.form == {
        "mode": "payment",
        "client_reference_id": str(ada.user.pk),
        "customer_email": "ada@example.com",
        "customer_creation": "always",
        "line_items[0][price]": "price_pack",
        "line_items[0][quantity]": "1",
        "metadata[openrembg_credits]": "100",
        "payment_intent_data[metadata][openrembg_credits]": "100",
        "success_url": f"http://testserver{PAGE}success?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"http://testserver{PAGE}cancelled",
        "locale": "en",
    }
    pay(shop, answer.headers["Location"])
    tell(shop)
    text = shown(browser.get(PAGE))
    assert "Prepaid credits 100" in text
    assert "Credits: 100 5.00 EUR paid" in text


def test_a_plan_leads_to_checkout_and_becomes_the_plan(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    subscribed(shop, browser)
    [call] = shop.calls
    assert call.form["mode"] == "subscription"
    assert not any("metadata" in name or "creation" in name for name in call.form)
    text = shown(browser.get(PAGE))
    assert "Plan Basic-1000" in text
    assert "Included credits left 1,000 of 1,000" in text
    assert re.search(r"Renews on [^.]*\.? \d+, \d{4}, .* UTC\.", text)
    assert Balance.objects.get(pk=ada.user.pk).plan.label == "Basic-1000"


def test_a_known_customer_buys_as_that_customer(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    subscribed(shop, browser)
    press(browser, f"packs/{pack_id()}/buy")
    form = shop.calls[-1].form
    assert form["customer"] == Customer.objects.get(user=ada.user).pk
    assert "customer_email" not in form
    assert "customer_creation" not in form


def test_a_customer_that_stripe_has_deleted_buys_as_a_new_one(
    shop: FakeStripe, ada: Person
) -> None:
    Customer.objects.create(customer_id="cus_gone", user=ada.user)
    answer = press(browser_of(ada), f"packs/{pack_id()}/buy")
    assert answer.status_code == 303
    assert [call.form.get("customer") for call in shop.calls] == ["cus_gone", None]


@pytest.mark.parametrize(
    ("language", "locale"), [("fa", "auto"), ("id", "id"), ("ja", "ja"), ("ko", "ko")]
)
def test_checkout_speaks_the_page_s_language_if_it_can(
    shop: FakeStripe, ada: Person, language: str, locale: str
) -> None:
    browser = Client()
    browser.force_login(ada.user)
    browser.post(f"/{language}/account/billing/packs/{pack_id()}/buy")
    form = shop.calls[0].form
    assert form["locale"] == locale
    assert f"/{language}/account/billing/success" in form["success_url"]


def test_the_public_address_is_where_stripe_leads_back(
    stripe: FakeStripe, furnish: Any, ada: Person
) -> None:
    opened(stripe, furnish, public_url="https://cutouts.example")
    browser = Client()
    browser.force_login(ada.user)
    browser.post(
        f"{PAGE}packs/{pack_id()}/buy?next=https://evil.example", {"next": "//evil.example"}
    )
    form = stripe.calls[0].form
    assert form["success_url"].startswith("https://cutouts.example/en/account/billing/success?")
    assert form["cancel_url"] == "https://cutouts.example/en/account/billing/cancelled"


def test_stripe_leads_back_to_no_host_that_nobody_named(
    shop: FakeStripe, settings: Any, ada: Person
) -> None:
    """Whoever sends the form may write any Host header."""
    settings.ALLOWED_HOSTS = ["*"]
    browser = Client()
    browser.force_login(ada.user)
    for host, site in (
        ("evil.example", "http://127.0.0.1:8000"),
        ("localhost:8001", "http://localhost:8001"),
    ):
        browser.post(f"{PAGE}packs/{pack_id()}/buy", headers={"Host": host})
        form = shop.calls[-1].form
        assert form["success_url"].startswith(f"{site}{PAGE}success?")
        assert form["cancel_url"] == f"{site}{PAGE}cancelled"
    subscribed(shop, browser_of(ada))
    browser.post(f"{PAGE}portal", headers={"Host": "evil.example"})
    assert shop.calls[-1].form["return_url"] == f"http://127.0.0.1:8000{PAGE}"


def test_the_same_page_sells_again_what_was_bought_on_it(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    found = set()
    for _ in range(3):
        answer = press(browser, f"packs/{pack_id()}/buy", ticket="one")
        found.add(pay(shop, answer.headers["Location"]))
        tell(shop)
    assert len(found) == 3
    assert Balance.objects.get(pk=ada.user.pk).prepaid == 300


def test_a_page_that_stays_open_leads_to_a_fresh_session(
    shop: FakeStripe, ada: Person, time_machine: TimeMachineFixture
) -> None:
    """Of the one that was opened at first nobody may have told, and it may be paid or expired."""
    browser = browser_of(ada)
    first = press(browser, f"packs/{pack_id()}/buy", ticket="one")
    time_machine.move_to(time.time() + SAME_FORM_S)
    later = press(browser, f"packs/{pack_id()}/buy", ticket="one")
    assert later.headers["Location"] != first.headers["Location"]


def test_somebody_who_clicks_and_clicks_is_told_to_wait(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    opened_ones = [press(browser, f"packs/{pack_id()}/buy").status_code for _ in range(10)]
    assert opened_ones == [303] * 10
    answer = press(browser, f"plans/{plan_id('Basic-1000')}/buy")
    assert "too often. Try again in a minute." in after(browser, answer)
    Customer.objects.create(customer_id="cus_1", user=ada.user)
    assert "too often" in after(browser, press(browser, "portal"))
    assert len(shop.calls) == 10
    other = browser_of(person("bob@example.com"))
    assert press(other, f"packs/{pack_id()}/buy").status_code == 303


def test_a_double_click_opens_one_session(
    shop: FakeStripe, ada: Person, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(1_800_000_000 // SAME_FORM_S * SAME_FORM_S)
    browser = browser_of(ada)
    text = browser.get(PAGE).content.decode()
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))
    shop.faults.pauses_s.append(0.4)

    def click(_number: int) -> str:
        again = Client()
        again.cookies = browser.cookies
        try:
            return str(again.post(f"{PAGE}packs/{pack_id()}/buy", fields).headers["Location"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as clicks:
        found = set(clicks.map(click, range(2)))
    assert len(found) == 1
    assert len(shop.account.sessions) == 1


def test_the_same_form_for_another_offer_is_another_session(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    first = press(browser, f"packs/{pack_id()}/buy", ticket="one")
    second = press(browser, f"plans/{plan_id('Basic-1000')}/buy", ticket="one")
    other = press(browser_of(person("bob@example.com")), f"packs/{pack_id()}/buy", ticket="one")
    found = {answer.headers["Location"] for answer in (first, second, other)}
    assert len(found) == 3


# Whoever has a plan.


def test_with_a_subscription_the_buttons_lead_to_the_portal(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    subscribed(shop, browser)
    page = browser.get(PAGE)
    assert f"{PAGE}plans/{plan_id('Basic-1000')}/buy" not in forms(page)
    assert "Change the plan" in shown(page)
    assert "Change, pay or cancel" in shown(page)
    answer = press(browser, f"plans/{plan_id('Pro-5000')}/buy")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"{shop.url}/portal/bps_")
    assert shop.calls[-1].form == {
        "customer": Customer.objects.get(user=ada.user).pk,
        "return_url": f"http://testserver{PAGE}",
        "locale": "en",
    }
    assert press(browser, "portal").headers["Location"].startswith(f"{shop.url}/portal/bps_")


def test_a_change_on_the_portal_is_shown(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    name = subscribed(shop, browser)
    shop.happened(shop.account.switch(name, "price_pro"))
    tell(shop)
    assert "Plan Pro-5000" in shown(browser.get(PAGE))


def test_a_plan_that_ends_says_when(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    name = subscribed(shop, browser)
    shop.happened(shop.account.end_later(name))
    tell(shop)
    assert re.search(r"Ends on .* UTC\. Nothing is charged any more\.", shown(browser.get(PAGE)))
    shop.happened(shop.account.go_on(name))
    tell(shop)
    assert "Renews on" in shown(browser.get(PAGE))


def test_a_period_that_nobody_told_of_yet_is_shown_with_its_end(
    shop: FakeStripe, ada: Person, time_machine: TimeMachineFixture
) -> None:
    browser = browser_of(ada)
    name = subscribed(shop, browser)
    told = BillingPeriod.objects.get(subscription=name)
    for seconds, text in ((told.end, "Renews on"), (told.end + 40 * DAY_S, "is active")):
        time_machine.move_to(seconds + 60)
        browser.force_login(ada.user)
        page = shown(browser.get(PAGE))
        assert text in page
        assert moment(told.end) not in page


def test_a_failed_payment_is_said_clearly(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    name = subscribed(shop, browser)
    Subscription.objects.filter(pk=name).update(status="past_due", told="9")
    page = browser.get(PAGE)
    assert "Payment failed: the last payment for your plan did not go through." in shown(page)
    assert 'class="note alarm"' in page.content.decode()
    Subscription.objects.filter(pk=name).update(status="unpaid")
    assert "Payment failed, and your plan has ended." in shown(browser.get(PAGE))
    answer = press(browser, f"plans/{plan_id('Pro-5000')}/buy")
    assert answer.headers["Location"].startswith(f"{shop.url}/portal/")


def test_several_subscriptions_are_told_apart_and_warned_of(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    tab = press(browser, f"plans/{plan_id('Pro-5000')}/buy").headers["Location"]
    subscribed(shop, browser)
    assert "several" not in shown(browser.get(PAGE))
    pay(shop, tab)
    tell(shop)
    text = shown(browser.get(PAGE))
    assert "Plan Pro-5000" in text
    assert "Basic-1000 : Renews on" in text
    assert "Pro-5000 : Renews on" in text
    assert "only the one with the most credits counts. Cancel the others." in text
    # Two tabs of somebody whom Stripe did not know: two customers, each with a portal.
    for one in Subscription.objects.filter(customer__user=ada.user):
        browser.post(f"{PAGE}portal", {**_token(browser), "subscription": one.pk})
        assert shop.calls[-1].form["customer"] == one.customer_id
    assert forms(browser.get(PAGE)).count(f"{PAGE}portal") == 2


def test_nobody_gets_to_another_s_portal(shop: FakeStripe, ada: Person) -> None:
    name = subscribed(shop, browser_of(ada))
    eve = browser_of(person("eve@example.com"))
    answer = eve.post(f"{PAGE}portal", {**_token(eve), "subscription": name})
    assert "nothing yet" in after(eve, answer)
    mine = subscribed(shop, eve)
    eve.post(f"{PAGE}portal", {**_token(eve), "subscription": name})
    assert shop.calls[-1].form["customer"] == Subscription.objects.get(pk=mine).customer_id


def test_a_plan_that_was_given_is_not_taken_without_a_warning(
    shop: FakeStripe, furnish: Any, ada: Person
) -> None:
    browser = browser_of(ada)
    warning = "Your present plan was given to you; a subscription replaces it."
    assert warning not in shown(browser.get(PAGE))
    set_plan(ada.user.pk, Plan.objects.get(label="Pro-5000"))
    assert warning in shown(browser.get(PAGE))
    subscribed(shop, browser)
    assert warning not in shown(browser.get(PAGE))
    furnish()
    bob = person("bob@example.com")
    set_plan(bob.user.pk, Plan.objects.get(label="Pro-5000"))
    assert warning not in shown(browser_of(bob).get(PAGE)), "nothing could replace it"


def test_a_first_payment_that_never_came_stops_nobody(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    name = subscribed(shop, browser)
    Subscription.objects.filter(pk=name).update(status="incomplete", told="9")
    assert "first payment for your subscription has not come" in shown(browser.get(PAGE))
    answer = press(browser, f"plans/{plan_id('Pro-5000')}/buy")
    assert answer.headers["Location"].startswith(f"{shop.url}/pay/")


def test_another_s_purchases_and_subscriptions_are_not_shown(shop: FakeStripe, ada: Person) -> None:
    subscribed(shop, browser_of(ada))
    text = shown(browser_of(person("eve@example.com")).get(PAGE))
    assert "Renews on" not in text
    assert "What you bought" not in text


def test_money_that_went_back_is_shown(shop: FakeStripe, ada: Person) -> None:
    Checkout.objects.create(
        session_id="cs_1", mode="payment", user=ada.user, created=1_790_000_000,
        is_paid=True, amount=500, currency="eur", credits=100, taken_back=40,
    )  # fmt: skip
    text = shown(browser_of(ada).get(PAGE))
    assert "Money went back, and with it credits: 40" in text


# What goes wrong.


def test_a_price_that_is_gone_is_said(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    shop.account.prices.clear()
    answer = press(browser, f"packs/{pack_id()}/buy")
    assert "does not know its price" in after(browser, answer)


def test_an_offer_that_was_taken_off_sale_meanwhile_is_not_sold(
    shop: FakeStripe, ada: Person
) -> None:
    browser = browser_of(ada)
    pack = pack_id()
    CreditPack.objects.filter(pk=pack).update(stripe_price_id=None)
    for number in (pack, 10**9, 10**30):
        answer = press(browser, f"packs/{number}/buy")
        assert "not sold here any more" in after(browser, answer)
    assert shop.calls == []


def test_a_wrong_key_is_said_and_never_shown(
    shop: FakeStripe, furnish: Any, ada: Person, caplog: pytest.LogCaptureFixture
) -> None:
    opened(shop, furnish, stripe_secret_key="sk_test_wrong_and_secret")
    browser = browser_of(ada)
    text = after(browser, press(browser, f"packs/{pack_id()}/buy"))
    assert "does not accept this server's key" in text
    assert "wrong_and_secret" not in text + caplog.text
    assert "AuthenticationError" in str([getattr(r, "fields", "") for r in caplog.records])


def test_a_stripe_that_is_away_is_said(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    shop.stop_answering()
    assert "does not answer at the moment" in after(
        browser, press(browser, f"packs/{pack_id()}/buy")
    )


@pytest.mark.parametrize(("status", "text"), [(500, "{}"), (503, "<html>"), (200, "<html>")])
def test_a_stripe_that_talks_nonsense_is_away(
    shop: FakeStripe, ada: Person, status: int, text: str
) -> None:
    browser = browser_of(ada)
    shop.faults.status, shop.faults.text = status, text
    answer = press(browser, f"packs/{pack_id()}/buy")
    assert "does not answer at the moment" in after(browser, answer)


def test_a_page_that_is_none_of_stripe_s_is_not_gone_to(
    shop: FakeStripe, furnish: Any, ada: Person
) -> None:
    browser = browser_of(ada)
    opened(shop, furnish, stripe_pages=("https://checkout.stripe.com",))
    answer = press(browser, f"packs/{pack_id()}/buy")
    assert "did not do this" in after(browser, answer)
    shop.faults.text = '{"object": "checkout.session"}'
    answer = press(browser, f"packs/{pack_id()}/buy")
    assert "did not do this" in after(browser, answer)


# The policy of the page.


def test_only_the_page_with_the_buttons_leads_to_stripe(shop: FakeStripe, ada: Person) -> None:
    browser = browser_of(ada)
    policy = browser.get(PAGE).headers["Content-Security-Policy"]
    assert f"form-action 'self' {shop.url};" in policy
    for page in ("/en/account/", f"{PAGE}success", f"{PAGE}cancelled", "/en/account/keys"):
        policy = browser.get(page).headers["Content-Security-Policy"]
        assert "form-action 'self';" in policy
    assert KEY not in browser.get(PAGE).content.decode()
