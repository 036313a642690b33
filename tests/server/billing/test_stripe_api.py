"""What is asked of Stripe, over real HTTP to one of ours, and what its errors become."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.utils.translation import override
from shop import opened, pack_id

from fakes.stripe_server import KEY, FakeStripe
from openrembg.server.billing import stripe_api
from openrembg.server.billing.models import CreditPack, Plan
from openrembg.server.billing.stripe_api import (
    KeyRefused,
    KeyUnknown,
    NoSuchPrice,
    Price,
    StripeAway,
    StripeRefused,
    Urls,
)
from people import person

URLS = Urls(
    "https://cutouts.example/ok?session_id={CHECKOUT_SESSION_ID}", "https://cutouts.example/no"
)


@pytest.fixture
def stripe(furnish: Any) -> Iterator[FakeStripe]:
    """A Stripe of ours that this process asks."""
    with FakeStripe() as running:
        furnish(
            stripe_secret_key=KEY,
            stripe_api_base=running.url,
            stripe_pages=(running.url,),
        )
        yield running


def test_a_price_is_read(stripe: FakeStripe) -> None:
    stripe.account.sells("price_1", 900, "year")
    stripe.account.sells("price_2", 500)
    assert stripe_api.price("price_1") == Price("price_1", 900, "EUR", "year", 1, is_active=True)
    assert stripe_api.price("price_2").interval is None


def test_a_price_that_is_not_there_is_said(stripe: FakeStripe) -> None:
    with pytest.raises(NoSuchPrice):
        stripe_api.price("price_3")


def test_without_a_key_nobody_is_asked(stripe: FakeStripe, furnish: Any) -> None:
    furnish(stripe_api_base=stripe.url)
    with pytest.raises(KeyRefused):
        stripe_api.price("price_1")
    assert stripe.calls == []


def test_the_machine_is_not_described(stripe: FakeStripe) -> None:
    stripe.account.sells("price_1", 900)
    for _ in range(2):
        stripe_api.price("price_1")
    for call in stripe.calls:
        assert "x-stripe-client-telemetry" not in call.headers
        assert "telemetry_id" not in call.headers["x-stripe-client-user-agent"]
        assert "platform" not in call.headers["x-stripe-client-user-agent"]


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (500, StripeAway),
        (502, StripeAway),
        (429, StripeAway),
        (401, KeyUnknown),
        (403, KeyRefused),
        (402, StripeRefused),
    ],
)
def test_every_status_has_a_sentence(
    stripe: FakeStripe, status: int, failure: type[Exception]
) -> None:
    stripe.faults.status, stripe.faults.text = status, '{"error": {"message": "no", "type": "x"}}'
    with pytest.raises(failure) as caught:
        stripe_api.price("price_1")
    assert type(caught.value) is failure
    assert str(caught.value).endswith(".")


def test_the_sentence_speaks_the_page_s_language() -> None:
    with override("fa"):
        persian = str(StripeAway())
    assert persian != str(StripeAway())


def test_the_log_has_details_and_no_secret_or_address(
    stripe: FakeStripe, caplog: pytest.LogCaptureFixture
) -> None:
    about = f"Invalid: {KEY}", "Invalid email address: ada@example.com"
    for words in about:
        stripe.faults.status = 400
        error = {"message": words, "type": "invalid_request_error", "param": "customer"}
        stripe.faults.text = json.dumps({"error": error})
        with caplog.at_level(logging.DEBUG, "openrembg"), pytest.raises(StripeRefused):
            stripe_api.price("price_1")
    fields = [record.fields for record in caplog.records if record.name == "openrembg.billing"]  # type: ignore[attr-defined]
    assert [field["param"] for field in fields] == ["customer", "customer"]
    assert [field["words"] for field in fields] == ["Invalid: …", ""]


def test_the_log_holds_no_commands_for_a_terminal(
    stripe: FakeStripe, caplog: pytest.LogCaptureFixture
) -> None:
    words = "No \x1b[2Jsuch\x9b31m price\r\n\u202eecirp"
    error = {"message": words, "type": "invalid_request_error", "param": "a\x1bb", "code": "\x07c"}
    stripe.faults.status, stripe.faults.text = 400, json.dumps({"error": error})
    with pytest.raises(StripeRefused):
        stripe_api.price("price_1")
    [fields] = [record.fields for record in caplog.records if record.name == "openrembg.billing"]  # type: ignore[attr-defined]
    assert all(str(value).isprintable() for value in fields.values())
    assert (fields["param"], fields["code"]) == ("a b", " c")
    assert fields["words"].startswith("No  [2Jsuch 31m price")


@pytest.mark.parametrize("prepared_database", ["sqlite"], indirect=True)
def test_an_answer_that_is_late_is_waited_for_and_asked_for_once_more(
    database: object, stripe: FakeStripe, furnish: Any
) -> None:
    opened(stripe, furnish)
    stripe.faults.pauses_s.append(stripe_api.TIMEOUT_S[1] + 0.2)
    url = stripe_api.open_checkout(person().user, CreditPack.objects.get(pk=pack_id()), URLS, "t")
    assert url.startswith(f"{stripe.url}/pay/")
    assert len(stripe.calls) == 2
    assert len(stripe.account.sessions) == 1, "with the same Idempotency-Key"


@pytest.mark.parametrize("prepared_database", ["sqlite"], indirect=True)
def test_a_stripe_that_never_answers_is_asked_once_more_and_given_up(
    database: object, stripe: FakeStripe, furnish: Any
) -> None:
    opened(stripe, furnish)
    stripe.faults.hangs.set()
    with pytest.raises(StripeAway):
        stripe_api.open_checkout(person().user, CreditPack.objects.get(pk=pack_id()), URLS, "t")
    assert len(stripe.calls) == 2, "asked once more"


def test_so_many_wait_for_a_slow_stripe_and_the_next_are_told_at_once(stripe: FakeStripe) -> None:
    stripe.account.sells("price_1", 900)
    stripe.faults.hangs.set()
    with ThreadPoolExecutor(stripe_api.AT_ONCE) as waiting:
        prices = [waiting.submit(stripe_api.price, "price_1") for _ in range(stripe_api.AT_ONCE)]
        while len(stripe.calls) < stripe_api.AT_ONCE:
            time.sleep(0.01)
        with pytest.raises(StripeAway):
            stripe_api.price("price_1")
        assert len(stripe.calls) == stripe_api.AT_ONCE, "nobody asked for it"
        stripe.faults.hangs.clear()
        assert {price.result().amount for price in prices} == {900}
    for _ in range(stripe_api.AT_ONCE + 1):
        assert stripe_api.price("price_1").amount == 900


def test_a_subscription_that_is_gone_is_cancelled_already(stripe: FakeStripe) -> None:
    stripe_api.cancel_subscription("sub_gone")
    assert [(call.method, call.path) for call in stripe.calls] == [
        ("DELETE", "/v1/subscriptions/sub_gone")
    ]


def test_a_customer_that_is_gone_has_no_portal(stripe: FakeStripe) -> None:
    with pytest.raises(StripeRefused):
        stripe_api.open_portal("cus_gone", "https://cutouts.example/")


def test_an_address_without_a_host_is_refused_as_stripe_refuses_it(
    database: object, stripe: FakeStripe, furnish: Any
) -> None:
    opened(stripe, furnish)
    plan = Plan.objects.get(label="Basic-1000")
    with pytest.raises(StripeRefused):
        stripe_api.open_checkout(person().user, plan, Urls("/ok", "/no"), "t")


def test_the_library_is_loaded_when_it_is_needed() -> None:
    code = (
        "import django; django.setup()\n"
        "import sys\n"
        "import openrembg.server.urls, openrembg.server.billing.pages\n"
        "assert 'stripe' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={"DJANGO_SETTINGS_MODULE": "openrembg.server.settings", "PATH": "/usr/bin:/bin"},
    )
