import datetime as dt
import json

import pytest
from benchmarks.__main__ import arguments
from benchmarks.membership import Mode
from benchmarks.stripe_events import Customer, signature
from benchmarks.webhooks import Webhooks, webhooks_table

from openrembg.server.billing.events import (
    Fact,
    SessionTold,
    SubscriptionTold,
    fact_of,
    read_event,
)
from openrembg.server.billing.signature import verify
from openrembg.server.errors import BadSignature
from openrembg.server.quota.windows import Period

WHO = Customer("1_0", 7, "price_1")


def read(body: bytes) -> Fact | None:
    return fact_of(read_event(body.decode()))


def test_webhooks_are_measured_alone_when_they_are_named() -> None:
    chosen = arguments(["--webhooks"])

    assert (chosen.webhooks, chosen.library, chosen.membership) == (True, False, False)


def test_table_says_whether_the_goal_was_met() -> None:
    modes = (Mode("quick", (1.0,) * 100), Mode("slow", (999.0,) * 100))
    quick, slow = webhooks_table(Webhooks(60, modes)).splitlines()[2:]

    assert "200 ms met" in quick
    assert "200 ms missed" in slow


def test_the_events_are_understood_by_the_server() -> None:
    session = read(WHO.checkout(5))
    subscription = read(WHO.subscription(1, 10, 20, at=10))

    assert isinstance(session, SessionTold)
    assert (session.reference, session.customer_id) == ("7", "cus_1_0")
    assert isinstance(subscription, SubscriptionTold)
    assert (subscription.period, subscription.prices) == (Period(10, 20), ("price_1",))


def test_events_of_one_customer_have_names_of_their_own() -> None:
    bodies = [WHO.checkout(5), *(WHO.subscription(n, 10, 20, at=10) for n in range(3))]

    assert len({json.loads(body)["id"] for body in bodies}) == 4


def test_the_signature_is_one_of_now() -> None:
    body, now = WHO.checkout(5), dt.datetime.now(dt.UTC)

    assert verify(body, signature(body, "whsec_a"), "whsec_a", now) == body.decode()
    with pytest.raises(BadSignature):
        verify(body, signature(body, "whsec_a"), "whsec_b", now)
