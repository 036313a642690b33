"""A shop of the tests: offers with prices at a Stripe of ours, and people who press its buttons."""

import html
import re
from collections.abc import Callable
from typing import Any, Final

from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from fakes.stripe_events import signed
from fakes.stripe_server import KEY, SECRET, FakeStripe
from openrembg.server.billing.models import CreditPack, Plan
from people import Person

PAGE: Final = "/en/account/billing/"
OFFERS: Final = {"Basic-1000": ("price_basic", 900), "Pro-5000": ("price_pro", 2900)}


def opened(stripe: FakeStripe, furnish: Callable[..., Any], **settings: Any) -> None:
    """Let this process sell two plans and a pack through a Stripe of ours."""
    chosen: dict[str, Any] = {
        "stripe_secret_key": KEY,
        "stripe_webhook_secret": SECRET,
        "stripe_api_base": stripe.url,
        "stripe_pages": (stripe.url,),
    }
    furnish(**(chosen | settings))
    # Where openings of payment pages are counted, for users with the same numbers.
    cache.clear()
    for label, (price, amount) in OFFERS.items():
        stripe.account.sells(price, amount, "month")
        plan = Plan.objects.get(label=label)
        plan.stripe_price_id, plan.price_cents, plan.currency = price, amount, "EUR"
        plan.save()
    stripe.account.sells("price_pack", 500)
    pack, _ = CreditPack.objects.get_or_create(label="100 credits", defaults={"credits": 100})
    pack.stripe_price_id, pack.price_cents, pack.currency = "price_pack", 500, "EUR"
    pack.save()


def plan_id(label: str) -> int:
    """Return the number of a plan."""
    return Plan.objects.get(label=label).pk


def pack_id() -> int:
    """Return the number of the pack that is sold."""
    return CreditPack.objects.get(stripe_price_id="price_pack").pk


def browser_of(who: Person) -> Client:
    """Return a browser that is logged in; its forms are checked as the world's are."""
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    browser.force_login(who.user)
    return browser


def press(browser: Client, action: str, **fields: str) -> Any:
    """Send a form of the billing page."""
    text = browser.get(PAGE).content.decode()
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))
    return browser.post(f"{PAGE}{action}", {**hidden, **fields})


def shown(response: Any) -> str:
    """Return what a page says, without its tags."""
    assert response.status_code == 200, response.status_code
    tags = r"<(head|template)[ >].*?</\1>|<[^>]*>"
    text = re.sub(tags, " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(text).split())


def after(browser: Client, response: Any) -> str:
    """Return what the billing page says to which a form leads."""
    assert (response.status_code, response.headers["Location"]) == (302, PAGE)
    return shown(browser.get(PAGE))


def pay(stripe: FakeStripe, checkout_url: str, **how: Any) -> str:
    """Pay on the page of a Checkout session, and return the session's name."""
    session = stripe.account.sessions[checkout_url.rsplit("/", 1)[1]]
    stripe.happened(stripe.account.pay(session, **how))
    return session.id


def tell(stripe: FakeStripe) -> None:
    """Deliver the events that wait."""
    while stripe.untold:
        body, signature = signed(stripe.untold.pop(0), SECRET, int(timezone.now().timestamp()))
        answer = Client().post(
            "/api/webhooks/stripe",
            body,
            content_type="application/json",
            headers={"Stripe-Signature": signature},
        )
        assert answer.status_code == 200, answer.content


def forms(response: Any) -> list[str]:
    """Return where the forms of a page are sent."""
    return re.findall(r'<form method="post" action="([^"]*)"', response.content.decode())
