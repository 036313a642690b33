"""Replaying the inbox leaves everything as it is, and brings back what was lost."""

from collections.abc import Callable

import pytest
from webhook_client import (
    NOW,
    Buyer,
    buyer,
    numbered,
    plans,
    sold_at,
    state,
    told,
    whole,
)
from webhook_tales import Tale, history, money, renewals, troubles

from fakes.stripe_events import Shape
from openrembg.server.billing.models import (
    BillingPeriod,
    Checkout,
    Customer,
    Payment,
    Plan,
    Reversal,
    StripeEvent,
    Subscription,
)
from openrembg.server.billing.replay import replay
from openrembg.server.quota.models import LedgerEntry

pytestmark = pytest.mark.usefixtures("database", "webhooks")

Furnish = Callable[..., object]
TALES: list[Tale] = [renewals, money, troubles, history]


@pytest.fixture
def buyers(shape: Shape) -> list[Buyer]:
    """One buyer for each tale, who have heard it backwards."""
    plans()
    found = []
    for tell in TALES:
        one = buyer(shape, linked=tell is not history)
        told(*reversed(numbered(tell(one), one.mark)))
        found.append(one)
    return found


def test_a_replay_leaves_everything_as_it_is(buyers: list[Buyer]) -> None:
    before = [state(one) for one in buyers]
    entries = LedgerEntry.objects.count()
    for _ in range(2):
        replayed = replay(NOW)
        assert (replayed.changed, replayed.unreadable) == (0, ())
        assert replayed.events == StripeEvent.objects.count()
    assert [state(one) for one in buyers] == before
    assert LedgerEntry.objects.count() == entries
    whole()


@pytest.mark.parametrize("model", [Subscription, BillingPeriod, Checkout, Reversal, Payment])
def test_a_table_that_was_lost_comes_back(buyers: list[Buyer], model: type[Subscription]) -> None:
    before = [state(one) for one in buyers]
    entries = LedgerEntry.objects.count()
    model.objects.all().delete()
    replay(NOW)
    assert [state(one) for one in buyers] == before
    assert LedgerEntry.objects.count() == entries
    whole()


def test_all_tables_that_were_lost_come_back(buyers: list[Buyer]) -> None:
    before = [state(one) for one in buyers]
    entries = LedgerEntry.objects.count()
    for model in (Customer, Checkout, Reversal, Payment):
        model.objects.all().delete()
    replay(NOW)
    assert [state(one) for one in buyers] == before
    assert LedgerEntry.objects.count() == entries
    whole()


def test_events_that_come_again_after_a_replay_do_nothing(buyers: list[Buyer]) -> None:
    for model in (Customer, Checkout, Reversal, Payment):
        model.objects.all().delete()
    replay(NOW)
    before = [state(one) for one in buyers]
    for one, tell in zip(buyers, TALES, strict=True):
        told(*numbered(tell(one), one.mark))
    assert [state(one) for one in buyers] == before


def test_an_event_that_cannot_be_read_is_named_and_does_not_stop_the_rest(
    buyers: list[Buyer],
) -> None:
    before = [state(one) for one in buyers]
    for n, payload in enumerate(("{", "null", "{}", '{"id": 5}')):
        StripeEvent.objects.create(
            event_id=f"evt_broken_{n}", type="invoice.paid", created=1, payload=payload
        )
    replayed = replay(NOW)
    assert set(replayed.unreadable) >= {f"evt_broken_{n}" for n in range(4)}
    assert [state(one) for one in buyers] == before
    whole()


def test_a_replay_after_a_plan_was_given_another_price_changes_nothing(
    buyers: list[Buyer],
) -> None:
    before = [state(one) for one in buyers]
    sold_at("Basic", "price_basic_2")
    sold_at("Pro", None)
    replay(NOW)
    assert [state(one) for one in buyers] == before
    whole()


def test_a_replay_after_a_plan_got_more_credits_leaves_periods_as_they_were(
    buyers: list[Buyer],
) -> None:
    before = [state(one)["windows"] for one in buyers]
    Plan.objects.filter(label="Basic").update(credits=30)
    replay(NOW)
    assert [state(one)["windows"] for one in buyers] == before
