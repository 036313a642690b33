"""The same event a hundred times at once, and many at once: each takes effect once."""

import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from stripe_house import StripeHouse, ask, stripe_house, tell_at_once, window

from fakes.stripe_events import MONTH_S, SHAPES, Event, Shape, Stripe
from services import Service

pytestmark = pytest.mark.wire


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StripeHouse]:
    postgresql = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    with stripe_house(tmp_path_factory.mktemp("house"), postgresql) as built:
        built.sell("Basic", 3, "price_basic")
        built.sell("Pro", 5, "price_pro")
        yield built


@pytest.fixture(scope="module")
def servers(house: StripeHouse) -> list[Service]:
    """Two servers on one database."""
    return [house.start() for _ in range(2)]


@pytest.mark.parametrize("number", [1, 2])
def test_one_event_a_hundred_times_at_once_takes_effect_once(
    house: StripeHouse, servers: list[Service], number: int
) -> None:
    ada, now = house.member(), int(time.time())
    facts = {"reference": str(ada.id), "credits_": "100", "payment_intent": f"pi_{ada.id}"}
    bought = Stripe().checkout_completed(f"cs_{ada.id}", created=now, **facts)
    assert Counter(tell_at_once(servers[:number], [bought] * 100)) == {200: 100}
    assert ask(servers[0], ada)["prepaidCredits"] == 100
    assert house.rows("SELECT event_id FROM billing_stripeevent").count((bought["id"],)) == 1
    entries = house.rows("SELECT user_id, event FROM quota_ledgerentry")
    assert [event for user_id, event in entries if user_id == ada.id] == ["top_up"]
    house.admin("verify-ledger")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_whole_history_at_once_and_many_times_is_one_history(
    house: StripeHouse, servers: list[Service], shape: Shape
) -> None:
    stripe, ada, start = Stripe(shape), house.member(), int(time.time()) - 86_400
    first, second = (ada.sub(start - back, start - back + MONTH_S) for back in (MONTH_S, 0))
    bought = {"reference": str(ada.id), "credits_": "90", "payment_intent": f"pi_{ada.id}"}
    payment = {"payment_intent": f"pi_{ada.id}"}
    events: list[Event] = [
        ada.linked(stripe, created=start - MONTH_S),
        stripe.subscription_created(first, created=start - MONTH_S),
        stripe.invoice_paid(first, created=start - MONTH_S + 9),
        stripe.subscription_updated(second, created=start, price="price_pro"),
        stripe.invoice_payment_failed(second, created=start + 9),
        stripe.invoice_paid(second, created=start + 60),
        stripe.checkout_completed(f"cs_{ada.id}", created=start, **bought),
        stripe.charge_refunded(f"ch_{ada.id}", created=start + 60, refunded=300, **payment),
        stripe.charge_refunded(f"ch_{ada.id}", created=start + 90, refunded=600, **payment),
    ]
    many = events * 8
    random.Random(7).shuffle(many)
    statuses = Counter(tell_at_once(servers, many))
    assert statuses == {200: len(many)}
    body = ask(servers[1], ada)
    assert (body["membership"], body["prepaidCredits"]) == ("Pro", 30)
    assert body["billingCycle"]["includedCredits"] == 5
    assert window(servers[0], ada) == (second.start, second.end, True)
    house.admin("verify-ledger")


def test_many_customers_at_once_do_not_hinder_each_other(
    house: StripeHouse, servers: list[Service]
) -> None:
    stripe, start = Stripe(), int(time.time()) - 60
    members = [house.member() for _ in range(4)]
    events = [
        event
        for ada in members
        for event in (
            ada.linked(stripe, created=start),
            stripe.subscription_created(ada.sub(start, start + MONTH_S), created=start),
            stripe.invoice_paid(ada.sub(start, start + MONTH_S), created=start + 1),
        )
    ]
    assert Counter(tell_at_once(servers, events * 4)) == {200: len(events) * 4}
    assert {ask(servers[0], ada)["membership"] for ada in members} == {"Basic"}
    house.admin("replay-stripe")
    assert {window(servers[1], ada)[2] for ada in members} == {True}
    house.admin("verify-ledger")
