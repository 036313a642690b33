"""A Stripe that is a process here: what its library makes there, its webhooks tell us."""

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from stripe import StripeClient
from stripe_house import (
    SECRET,
    WEBHOOK,
    Member,
    StripeHouse,
    ask,
    stripe_house,
    tell,
    window,
)

from crowd import ask_at_once
from fakes.stripe_events import OLD, Stripe
from forms import form, photo
from houses import wait_until
from pictures import picture
from services import Service

pytestmark = pytest.mark.wire

PICTURE = form(photo(picture("JPEG"), "photo.jpg"))
TOLD = (
    *("customer.subscription.created", "customer.subscription.deleted"),
    *("invoice.payment_succeeded", "customer.created", "invoice.created"),
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[StripeHouse]:
    with stripe_house(tmp_path) as built:
        built.sell("Basic", 2, "price_basic")
        yield built


def customer_with_card(api: StripeClient, email: str) -> str:
    """Make a customer whose card always pays; return its id."""
    card: Any = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    method = api.v1.payment_methods.create({"type": "card", "card": card})
    customer = api.v1.customers.create({"email": email})
    api.v1.payment_methods.attach(method.id, {"customer": customer.id})
    pays_with: Any = {"default_payment_method": method.id}
    api.v1.customers.update(customer.id, {"invoice_settings": pays_with})
    return str(customer.id)


def sell(api: StripeClient) -> None:
    """Make a product with a monthly price."""
    product = api.v1.products.create({"name": "Basic"})
    api.v1.plans.create(
        {
            "id": "price_basic",
            "amount": 900,
            "currency": "eur",
            "interval": "month",
            "product": product.id,
        }
    )


def register(localstripe: Service, server: Service) -> None:
    """Let localstripe tell our server."""
    hook = {"url": server.url + WEBHOOK, "secret": SECRET, "events": list(TOLD)}
    answer = requests.post(f"{localstripe.url}/_config/webhooks/ours", json=hook, timeout=30)
    assert answer.status_code == 200


def cut(server: Service, member: Member) -> tuple[int, str]:
    """Send a picture; return the status and what it cost."""
    (answer,) = ask_at_once([server.port], 1, PICTURE, {"X-Api-Key": member.key})
    return answer.status, answer.headers["x-credits-charged"]


def calendar_month() -> tuple[int, int, bool]:
    now = dt.datetime.now(dt.UTC)
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (start + dt.timedelta(days=32)).replace(day=1)
    return int(start.timestamp()), int(end.timestamp()) - 1, False


def test_a_subscription_at_localstripe_is_the_window_here(
    house: StripeHouse, localstripe: Service
) -> None:
    server, ada = house.start(), house.member()
    register(localstripe, server)
    api = StripeClient("sk_test_12345", base_addresses={"api": localstripe.url})
    sell(api)
    customer = customer_with_card(api, "somebody@else.example")
    subscription = api.v1.subscriptions.create(
        {"customer": customer, "items": [{"plan": "price_basic"}]}
    )
    # Nobody here is that customer until a purchase of ours says so.
    wait_until(lambda: house.rows("SELECT count(*) FROM billing_subscription")[0][0] == 1)
    assert ask(server, ada)["membership"] == "Free"

    link = ada.linked(Stripe(OLD), created=int(time.time()), customer=customer)
    assert tell(server, link) == 200
    assert ask(server, ada)["membership"] == "Basic"
    (period,) = house.rows('SELECT start, "end" FROM billing_billingperiod')
    assert period[1] > period[0] > time.time() - 3600
    assert window(server, ada) == (*period, True)

    assert [cut(server, ada) for _ in range(3)] == [(200, "1"), (200, "1"), (429, "0")]
    cycle = ask(server, ada)["billingCycle"]
    assert (cycle["apiUsage"], cycle["remainingIncludedCredits"]) == (2, 0)

    api.v1.subscriptions.cancel(subscription.id)
    wait_until(lambda: ask(server, ada)["membership"] == "Free")
    assert window(server, ada) == calendar_month()
    assert cut(server, ada) == (200, "1")
    listed = ask(server, ada, "listBillingCycles=1")["billingCycles"]
    assert [(row["periodStartUnix"], row["apiUsage"]) for row in listed] == [(period[0], 2)]
    assert "failed with response code" not in localstripe.text()
    house.admin("verify-ledger")
