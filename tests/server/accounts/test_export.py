import datetime as dt
import json
from typing import Any

import pytest
from django.test import Client
from visits import is_in, log_in, text_of

from openrembg.server.accounts.models import ApiKey, User, UserToken
from openrembg.server.billing.models import (
    BillingPeriod,
    Checkout,
    Customer,
    Reversal,
    StripeEvent,
    Subscription,
)
from openrembg.server.quota.models import Day, LedgerEntry, Window

pytestmark = pytest.mark.usefixtures("database", "quick_passwords")

URL = "/en/account/export/"


def furnished(user: User) -> None:
    """Give a user one of everything."""
    key = ApiKey.objects.create(user=user, name="shop", prefix="ork_1", digest=f"d{user.pk}")
    UserToken.objects.create(user=user, name="phone", prefix="ort_1", digest=f"t{user.pk}")
    Day.objects.create(user=user, key=key, day=dt.date(2026, 11, 20), included=3)
    Window.objects.create(user=user, kind="month", start=1_793_491_200, api=3)
    LedgerEntry.objects.create(
        user_id=user.pk, number=1, event="top_up", prepaid=10, previous="0" * 64, hash="1" * 64
    )
    furnished_by_stripe(user)


def furnished_by_stripe(user: User) -> None:
    """Give a user a subscription that has ended, and a purchase whose money went back."""
    name = str(user.pk)
    customer = Customer.objects.create(customer_id=f"cus_{name}", user=user)
    subscription = Subscription.objects.create(
        subscription_id=f"sub_{name}", customer=customer, status="canceled"
    )
    BillingPeriod.objects.create(subscription=subscription, start=1, end=2, told="1")
    Checkout.objects.create(
        session_id=f"cs_{name}",
        mode="payment",
        user=user,
        created=1_790_000_000,
        customer_id=customer.pk,
        payment_intent=f"pi_{name}",
        amount=500,
        currency="eur",
        credits=100,
    )
    Reversal.objects.create(stripe_id=f"ch_{name}", payment_intent=f"pi_{name}", amount=200)
    for number, (about, text) in enumerate(
        [(customer.pk, "{}"), ("", f'{{"payment_intent": "pi_{name}"}}'), ("", '{"id": "pi_"}')]
    ):
        StripeEvent.objects.create(
            event_id=f"evt_{name}_{number}", type="x", created=1, customer_id=about, payload=text
        )


def exported(client: Client) -> Any:
    answer = client.post(URL)
    assert answer.headers["Content-Type"] == "application/json"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "private, no-store"
    return json.loads(b"".join(answer.streaming_content))  # type: ignore[attr-defined]


def test_it_has_everything_of_its_owner_and_nothing_of_others(
    client: Client, new_user: Any
) -> None:
    ada, bob = new_user(), new_user("bob@example.com")
    furnished(ada)
    furnished(bob)
    log_in(client)
    data = exported(client)
    assert data["account"][0]["email"] == "ada@example.com"
    assert data["addresses"] == [{"email": "ada@example.com", "verified": True, "primary": True}]
    assert (data["keys"][0]["name"], data["tokens"][0]["name"]) == ("shop", "phone")
    assert (data["usage_days"][0]["included"], data["usage_windows"][0]["api"]) == (3, 3)
    assert [entry["prepaid"] for entry in data["ledger"]] == [10]
    assert data["customers"] == [{"customer_id": f"cus_{ada.pk}"}]
    assert data["subscriptions"][0]["status"] == "canceled"
    assert (data["billing_periods"][0]["start"], data["billing_periods"][0]["end"]) == (1, 2)
    assert (data["purchases"][0]["amount"], data["purchases"][0]["credits"]) == (500, 100)
    assert data["money_back"][0]["amount"] == 200
    assert all(len(rows) <= 1 for rows in data.values())
    assert "bob@example.com" not in json.dumps(data)


def test_it_has_no_secrets(client: Client, new_user: Any) -> None:
    user = new_user()
    furnished(user)
    log_in(client)
    text = json.dumps(exported(client))
    for secret in (user.password, f"d{user.pk}", "digest", "password"):
        assert secret not in text


def test_an_empty_account_has_an_export_too(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    assert exported(client)["ledger"] == []


def test_the_page_explains_and_nobody_else_gets_it(client: Client, new_user: Any) -> None:
    new_user()
    for answer in (client.get(URL), client.post(URL)):
        assert answer.headers["Location"] == f"/en/account/login/?next={URL}"
    log_in(client)
    assert is_in(client)
    assert "JSON" in text_of(client.get(URL))
