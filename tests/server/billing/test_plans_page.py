"""The page of plans, which everybody may read: what it offers to whom, and its prices."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from shop import browser_of, opened, shown

from fakes.stripe_server import FakeStripe
from openrembg.server.billing.models import CreditPack, Plan
from openrembg.server.quota.ledger import set_plan
from people import person

pytestmark = [
    pytest.mark.usefixtures("database"),
    # What the page says is the same on every database.
    pytest.mark.parametrize("prepared_database", ["sqlite"], indirect=True),
]

PLANS = "/en/plans"
BILLING = "/en/account/billing/"
NOT_SOLD = "Nothing is sold here: whoever runs this server gives plans and credits."


@pytest.fixture
def shop(database: object, furnish: Any) -> Iterator[FakeStripe]:
    """A Stripe of ours, and a server that sells two plans and a pack through it."""
    with FakeStripe() as running:
        opened(running, furnish)
        CreditPack.objects.exclude(stripe_price_id="price_pack").update(stripe_price_id=None)
        yield running


def links(page: Any) -> list[str]:
    """Return where the buttons in the page's content lead."""
    content = page.content.decode().partition("<main")[2].partition("</main>")[0]
    return re.findall(r'<a class="button[^"]*" href="([^"]*)"', content)


def names(page: Any) -> list[str]:
    """Return what the page offers."""
    return re.findall(r'<h[23] id="(?:plan|pack)-\d+"><bdi>([^<]*)', page.content.decode())


def test_without_stripe_it_shows_what_there_is_and_no_price() -> None:
    page = Client().get(PLANS)
    text = shown(page)
    assert NOT_SOLD in text
    assert names(page) == ["Free", "Basic-1000", "Pro-5000", "Premium-20000"]
    assert "Free Credits 50 a month Requests a minute 20" in text
    assert "Price" not in text
    assert links(page) == ["/en/", "/en/account/signup/"]


def test_a_stripe_without_the_webhook_s_secret_sells_nothing(
    shop: FakeStripe, furnish: Any
) -> None:
    opened(shop, furnish, stripe_webhook_secret=None)
    assert NOT_SOLD in shown(Client().get(PLANS))


def test_it_shows_free_and_what_is_sold_with_its_price(shop: FakeStripe) -> None:
    page = Client().get(PLANS)
    text = shown(page)
    assert NOT_SOLD not in text
    assert names(page) == ["Free", "Basic-1000", "Pro-5000", "100 credits"]
    assert "Free Price free of charge Credits 50 a month Requests a minute 20" in text
    assert "Basic-1000 Price 9.00 EUR a month Credits 1,000 a month Requests a minute 300" in text
    assert "100 credits Price 5.00 EUR Credits 100" in text
    assert shop.calls == []


def test_a_stranger_signs_up_and_comes_to_the_shop(shop: FakeStripe) -> None:
    shop_first = f"/en/account/signup/?next={BILLING}"
    wanted = ["/en/", "/en/account/signup/", shop_first, shop_first]
    assert links(Client().get(PLANS)) == wanted


def test_where_nobody_may_sign_up_nothing_leads_there(shop: FakeStripe, furnish: Any) -> None:
    opened(shop, furnish, sign_up="closed")
    page = Client().get(PLANS)
    assert links(page) == ["/en/"]
    assert "signup" not in page.content.decode()


def test_a_member_sees_their_plan_and_the_way_to_the_others(shop: FakeStripe) -> None:
    ada = person()
    set_plan(ada.user.pk, Plan.objects.get(label="Basic-1000"))
    page = browser_of(ada).get(PLANS)
    assert "Basic-1000 Your plan" in shown(page)
    assert "Free Your plan" not in shown(page)
    assert links(page) == ["/en/", *[f"{BILLING}#plans"] * 2, f"{BILLING}#packs"]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (
            {"anonymous_per_day": 7, "anonymous_per_minute": 3},
            "Pictures a day 7 Requests a minute 3",
        ),
        ({"anonymous_per_day": 7, "anonymous_per_minute": -1}, "Pictures a day 7 Open the editor"),
        ({"anonymous_per_day": -1, "anonymous_per_minute": -1}, "an account Open the editor"),
        ({"anonymous_per_day": 0, "anonymous_per_minute": 5}, None),
        ({"anonymous_per_day": 5, "anonymous_per_minute": 0}, None),
    ],
)
def test_it_says_what_works_without_an_account(
    furnish: Any, limits: dict[str, int], said: str | None
) -> None:
    furnish(**limits)
    text = shown(Client().get(PLANS))
    assert ("Without an account" in text) is (said is not None)
    assert said is None or said in text


def test_a_plan_without_a_limit_names_none(database: object) -> None:
    Plan.objects.filter(label="Pro-5000").update(per_minute=-1)
    assert "Pro-5000 Credits 5,000 a month Premium-20000" in shown(Client().get(PLANS))


def test_it_says_how_credits_work() -> None:
    text = shown(Client().get(PLANS))
    for sentence in (
        "A picture in which something is found costs one credit",
        "What fails costs nothing",
        "are used first",
        "The editor and the API use the same credits.",
    ):
        assert sentence in text


def test_a_label_is_text_and_nothing_else() -> None:
    Plan.objects.filter(label="Pro-5000").update(label="<script>alert(1)</script>")
    content = Client().get(PLANS).content.decode()
    assert "<script>alert" not in content
    assert "&lt;script&gt;alert(1)" in content


def test_numbers_are_written_as_the_language_wants(shop: FakeStripe) -> None:
    text = shown(Client().get("/fa/plans"))
    assert "۱٬۰۰۰" in text
    assert "۹٫۰۰ EUR" in text


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_the_page_is_only_read(method: str) -> None:
    assert getattr(Client(), method)(PLANS).status_code == 405
