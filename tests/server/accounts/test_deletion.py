import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.db import connections
from django.test import Client
from test_export import furnished
from typer.testing import CliRunner
from visits import LANGUAGES, PASSWORD, is_in, log_in, text_of

from fakes.stripe_events import MONTH_S, Event, Subscribed, signed
from fakes.stripe_server import KEY, SECRET, FakeStripe
from openrembg.cli import app
from openrembg.server.accounts.deletion import NotDeleted, delete_account
from openrembg.server.accounts.models import ApiKey, User, UserToken
from openrembg.server.billing.models import Checkout, Customer, StripeEvent, Subscription
from openrembg.server.quota.models import Day, LedgerEntry, Window

pytestmark = pytest.mark.usefixtures("database", "quick_passwords")


def delete(client: Client, password: str = PASSWORD, language: str = "en") -> Any:
    return client.post(f"/{language}/account/delete/", {"password": password}, follow=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_goes_but_the_ledger_and_other_people(
    client: Client, new_user: Any, read_mails: Any, language: str
) -> None:
    ada, bob = new_user(language=language), new_user("bob@example.com")
    furnished(ada)
    furnished(bob)
    elsewhere = Client()
    log_in(elsewhere)
    log_in(client)
    page = delete(client, language=language)
    assert page.redirect_chain[-1][0] == f"/{language}/account/deleted/"
    assert not is_in(client)
    assert not is_in(elsewhere), "every session ends"
    assert list(User.objects.all()) == [bob]
    for model in (ApiKey, UserToken, Day, Window, EmailAddress, Customer, Checkout):
        assert list(model._default_manager.values_list("user", flat=True)) == [bob.pk]
    assert {entry.user_id for entry in LedgerEntry.objects.all()} == {ada.pk, bob.pk}
    [mail] = read_mails()
    assert mail.to == "ada@example.com"


def test_the_page_says_what_goes_and_what_stays(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    text = text_of(client.get("/en/account/delete/"))
    assert "cannot be undone" in text
    assert "What remains" in text
    assert User.objects.count() == 1


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_wrong_password_deletes_nothing(client: Client, new_user: Any, password: str) -> None:
    new_user()
    log_in(client)
    assert "errorlist" in text_of(delete(client, password))
    assert User.objects.count() == 1
    assert is_in(client)


def test_guesses_are_limited(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    for _ in range(5):
        delete(client, "wrong")
    assert "Too many failed attempts to sign in" in text_of(delete(client))
    assert User.objects.count() == 1


def test_another_user_s_password_deletes_nothing(client: Client, new_user: Any) -> None:
    new_user()
    bob = new_user("bob@example.com")
    bob.set_password("another phrase of bob")
    bob.save()
    log_in(client)
    delete(client, "another phrase of bob")
    assert User.objects.count() == 2


def test_nobody_deletes_without_logging_in(client: Client, new_user: Any) -> None:
    new_user()
    assert delete(client).redirect_chain[-1][0].startswith("/en/account/login/")
    assert User.objects.count() == 1


def test_the_address_is_free_again(client: Client, new_user: Any, read_mails: Any) -> None:
    new_user()
    log_in(client)
    delete(client)
    new_user()
    log_in(client)
    assert is_in(client)


# With a subscription.


@pytest.fixture
def stripe(furnish: Any) -> Iterator[FakeStripe]:
    """A Stripe of ours that this process asks."""
    with FakeStripe() as running:
        furnish(stripe_secret_key=KEY, stripe_api_base=running.url)
        yield running


def subscribed(stripe: FakeStripe, user: User, name: str = "sub_1", **about: Any) -> None:
    """Let a user have a subscription, here and at Stripe."""
    customer, _ = Customer.objects.get_or_create(customer_id=f"cus_{user.pk}", user=user)
    Subscription.objects.create(
        subscription_id=name, customer=customer, **{"status": "active", **about}
    )
    stripe.account.subscriptions[name] = Subscribed(name, customer.pk, 1, 1 + MONTH_S)


@pytest.mark.parametrize("status", ["active", "trialing", "past_due", "unpaid", "paused", ""])
def test_a_subscription_is_cancelled_first(
    client: Client, new_user: Any, stripe: FakeStripe, status: str
) -> None:
    user = new_user()
    subscribed(stripe, user, status=status)
    subscribed(stripe, user, "sub_2", status="canceled")
    log_in(client)
    delete(client)
    assert not User.objects.exists()
    assert [(call.method, call.path) for call in stripe.calls] == [
        ("DELETE", "/v1/subscriptions/sub_1")
    ]


def test_one_that_stripe_has_ended_already_stops_nobody(
    client: Client, new_user: Any, stripe: FakeStripe
) -> None:
    subscribed(stripe, new_user())
    stripe.account.subscriptions.clear()
    log_in(client)
    delete(client)
    assert not User.objects.exists()


def test_nothing_is_deleted_while_stripe_is_away(
    client: Client, new_user: Any, stripe: FakeStripe, read_mails: Any
) -> None:
    user = new_user()
    furnished(user)
    subscribed(stripe, user)
    stripe.faults.status = 503
    log_in(client)
    text = text_of(delete(client))
    assert "Nothing was deleted, because the subscription sub_1 could not be cancelled." in text
    assert "does not answer" in text
    assert User.objects.count() == Checkout.objects.count() == 1
    assert StripeEvent.objects.exclude(payload="").count() == 3
    assert read_mails() == []
    assert is_in(client)


def test_without_a_key_a_subscription_keeps_the_account(
    client: Client, new_user: Any, stripe: FakeStripe, furnish: Any
) -> None:
    user = new_user()
    subscribed(stripe, user)
    furnish()
    log_in(client)
    text = text_of(delete(client))
    assert "the subscription sub_1 goes on, and this server has no key" in text
    assert User.objects.count() == 1
    Subscription.objects.update(ends_at=1)
    delete(client)
    assert not User.objects.exists()
    assert stripe.calls == []


def test_what_stripe_told_of_the_user_is_forgotten(new_user: Any, stripe: FakeStripe) -> None:
    ada, bob = new_user(), new_user("bob@example.com")
    furnished(ada)
    furnished(bob)
    delete_account(ada, tell=False)
    blank = StripeEvent.objects.filter(payload="").order_by("pk")
    assert [event.event_id for event in blank] == [f"evt_{ada.pk}_0", f"evt_{ada.pk}_1"]
    assert StripeEvent.objects.count() == 6


def test_one_that_begins_meanwhile_is_cancelled_too(new_user: Any, stripe: FakeStripe) -> None:
    user = new_user()
    subscribed(stripe, user)

    def begin() -> None:
        subscribed(stripe, user, "sub_2")
        connections.close_all()

    stripe.faults.meanwhile = begin
    delete_account(user, tell=False)
    assert [call.path for call in stripe.calls][-1] == "/v1/subscriptions/sub_2"
    assert not User.objects.exists()


def test_events_that_come_meanwhile_stop_nothing(
    new_user: Any, stripe: FakeStripe, furnish: Any
) -> None:
    furnish(stripe_secret_key=KEY, stripe_api_base=stripe.url, stripe_webhook_secret=SECRET)
    user = new_user()
    subscribed(stripe, user)
    one = stripe.account.subscriptions["sub_1"]
    now = int(time.time())
    events = [
        stripe.account.stripe.subscription_updated(one, created=now + number, start=1 + number)
        for number in range(24)
    ]

    def tell(event: Event) -> int:
        body, signature = signed(event, SECRET, now)
        try:
            answer = Client(raise_request_exception=False).post(
                "/api/webhooks/stripe",
                body,
                content_type="application/json",
                headers={"Stripe-Signature": signature},
            )
            return int(answer.status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as senders:
        answers = senders.map(tell, events)
        delete_account(user, tell=False)
        assert set(answers) == {200}
    assert not User.objects.exists()
    assert not Customer.objects.exclude(user=None).exists()


def test_the_command_says_why_nothing_was_deleted(new_user: Any, stripe: FakeStripe) -> None:
    subscribed(stripe, new_user())
    stripe.faults.status = 401
    stripe.faults.text = '{"error": {"message": "Invalid API Key provided"}}'
    done = CliRunner().invoke(app, ["admin", "delete-user", "ada@example.com", "--yes"])
    assert done.exit_code == 1
    assert "Nothing was deleted, because the subscription sub_1" in done.stderr
    assert User.objects.count() == 1
    stripe.faults.status = stripe.faults.text = None
    done = CliRunner().invoke(app, ["admin", "delete-user", "ada@example.com", "--yes"])
    assert done.exit_code == 0, done.stderr
    assert not User.objects.exists()


def test_the_sentence_is_one_for_people(new_user: Any, stripe: FakeStripe, furnish: Any) -> None:
    user = new_user()
    subscribed(stripe, user)
    furnish()
    with pytest.raises(NotDeleted, match=r"^Nothing was deleted: the subscription sub_1 goes on"):
        delete_account(user)
