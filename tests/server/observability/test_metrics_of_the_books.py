"""What is counted where there is a database: credits, mails, Stripe, and what is late."""

import datetime as dt
import json
import time
import uuid
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.fixtures import Settings as DjangoSettings
from rmbg_client import send

from fakes.steady_matter import SteadyMatter
from fakes.stripe_events import signed
from houses import wait_until
from openrembg.server import database as databases
from openrembg.server import upkeep
from openrembg.server.billing.models import Customer
from openrembg.server.quota import receipts
from openrembg.server.quota.models import Delivery
from openrembg.server.quota.overdue import settle_each
from openrembg.server.sending import Receipt
from people import Person, person
from services import HOST, free_port

pytestmark = [
    pytest.mark.usefixtures("database"),
    # Each counts once, whatever the database.
    pytest.mark.parametrize("prepared_database", ["sqlite"], indirect=True),
]

SECRET = "whsec_of_the_tests"


def total(name: str, **labels: str) -> float:
    """Return what /metrics says now; 0 for what is not there."""
    text = Client().get("/metrics").content.decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def credits_(event: str, source: str) -> float:
    return total("openrembg_credits_total", event=event, source=source)


@pytest.fixture
def ada() -> Person:
    return person(credits_=1, prepaid=1)


def test_credits_are_counted_as_charged_or_given_back(
    client: Client, ada: Person, furnish: Any
) -> None:
    included, prepaid = credits_("charged", "included"), credits_("charged", "prepaid")
    for _ in range(2):
        assert send(client, headers=ada.with_key).status_code == 200
    assert credits_("charged", "included") == included + 1
    assert credits_("charged", "prepaid") == prepaid + 1
    ada = person("eve@example.com", credits_=5)
    released = credits_("released", "included")
    furnish(SteadyMatter(finds=False))
    assert send(client, headers=ada.with_key).status_code == 200
    furnish(SteadyMatter(error=ZeroDivisionError()))
    assert send(client, headers=ada.with_key).status_code == 500
    assert credits_("released", "included") == released + 2
    assert credits_("charged", "included") == included + 1


def test_a_picture_that_was_not_sent_is_counted_as_returned(client: Client, ada: Person) -> None:
    stop, wants, before = receipts.start(), list[Receipt](), credits_("returned", "included")
    try:
        answer = send(client, headers=ada.with_key, openrembg__on_sent=wants.append)
        assert answer.status_code == 200
        assert total("openrembg_deliveries_sending") == 1
        wants[0].failed()
        wait_until(lambda: credits_("returned", "included") == before + 1)
        assert total("openrembg_deliveries_sending") == 0
    finally:
        stop()


def test_a_credit_that_cannot_be_given_back_is_told() -> None:
    def fail() -> bool:
        raise ValueError("a counter is not what the ledger says")

    before = total("openrembg_credit_faults_total")
    assert settle_each([(uuid.uuid4(), fail)]) == 0
    assert total("openrembg_credit_faults_total") == before + 1


def test_what_nobody_gives_back_is_late_and_what_stripe_told_waits() -> None:
    now = timezone.now()
    minute = dt.timedelta(minutes=1)
    for age in (-minute, minute, 6 * minute):
        Delivery.objects.create(id=uuid.uuid4(), user_id=1, deadline=now - age)
    Customer.objects.create(pk="cus_of_nobody")
    upkeep.look_for_arrears()
    assert total("openrembg_late", what="deliveries") == 1
    assert total("openrembg_late", what="reservations") == 0
    assert total("openrembg_payments_waiting") == 1
    Delivery.objects.all().delete()
    Customer.objects.all().delete()
    upkeep.look_for_arrears()
    assert total("openrembg_late") == total("openrembg_payments_waiting") == 0


def test_stripes_events_are_counted_with_their_age(client: Client, furnish: Any) -> None:
    furnish(stripe_webhook_secret=SECRET)
    now = int(time.time())
    event = {"id": "evt_1", "object": "event", "type": "ping", "created": now - 120}
    event |= {"api_version": "2025-03-31.basil", "data": {"object": {}}, "livemode": False}

    def outcomes() -> dict[str, float]:
        names = ("new", "repeated", "unsigned", "unreadable")
        return {name: total("openrembg_stripe_events_total", outcome=name) for name in names}

    def post(body: bytes, header: str) -> int:
        sent = {"Stripe-Signature": header}
        path, kind = "/api/webhooks/stripe", "application/json"
        return int(client.post(path, body, content_type=kind, headers=sent).status_code)

    before, lag = outcomes(), total("openrembg_stripe_lag_seconds_sum")
    body, header = signed(json.dumps(event).encode(), SECRET, now)
    assert [post(body, header), post(body, header), post(body, "t=1,v1=0")] == [200, 200, 400]
    assert post(*signed(b"[]", SECRET, now)) == 400
    assert outcomes() == {name: number + 1 for name, number in before.items()}
    assert 120 <= total("openrembg_stripe_lag_seconds_sum") - lag < 240


def test_retries_and_troubles_of_the_database_are_counted(client: Client, ada: Person) -> None:
    before = total("openrembg_replays_total")
    for _ in range(2):
        send(client, headers={**ada.with_key, "Idempotency-Key": "one"})
    assert total("openrembg_replays_total") == before + 1
    before = total("openrembg_database_troubles_total")
    databases.note_trouble()
    assert total("openrembg_database_troubles_total") == before + 1


def test_a_request_line_has_the_user_and_the_code_of_an_error(
    client: Client, ada: Person, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "openrembg.request")
    send(client, ("w", "abc"), headers=ada.with_key)
    (record,) = (one for one in caplog.records if one.name == "openrembg.request")
    fields: dict[str, object] = record.fields  # type: ignore[attr-defined]
    assert (fields["user"], fields["code"]) == (ada.user.pk, "invalid_request")
    assert ada.key_text not in str(fields)
    assert ada.user.email not in str(fields)


def test_mails_are_counted_as_sent_or_failed(
    client: Client, ada: Person, settings: DjangoSettings
) -> None:
    def counts() -> list[float]:
        return [total("openrembg_mails_total", outcome=one) for one in ("sent", "failed")]

    cache.clear()
    sent, failed = counts()
    page, who = reverse("account_reset_password"), {"email": ada.user.email}
    assert client.post(page, who).status_code == 302
    assert counts() == [sent + 1, failed]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = HOST, free_port()
    assert client.post(page, who).status_code < 500
    assert counts() == [sent + 1, failed + 1]
    cache.clear()
