"""What is read out of Stripe's events, in both shapes; all of it may be missing or nonsense."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.stripe_events import SHAPES, Item, Shape, Stripe, Subscribed
from openrembg.server.billing.events import (
    Event,
    Interval,
    InvoiceTold,
    SessionTold,
    SubscriptionTold,
    Unreadable,
    fact_of,
    read_event,
)
from openrembg.server.errors import NotAnEvent
from openrembg.server.quota.windows import Period

START, END = 1_767_960_000, 1_770_552_000
SUB = Subscribed("sub_1", "cus_1", START, END)
TYPES = (
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice.payment_failed",
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "charge.refunded",
    "charge.dispute.created",
)

shapes = pytest.mark.parametrize("shape", SHAPES)


def fact(event: dict[str, Any]) -> Any:
    return fact_of(read_event(json.dumps(event)))


@shapes
def test_a_subscription_tells_the_same_in_both_shapes(shape: Shape) -> None:
    told = fact(Stripe(shape).subscription_updated(SUB, created=START))
    assert told == SubscriptionTold(
        subscription_id="sub_1",
        customer_id="cus_1",
        status="active",
        period=Period(START, END),
        prices=("price_basic",),
        interval=Interval("month", 1),
        ends_at=None,
    )


@shapes
def test_a_paid_invoice_tells_the_same_in_both_shapes(shape: Shape) -> None:
    told = fact(Stripe(shape).invoice_paid(SUB, created=START))
    assert told == InvoiceTold(
        subscription_id="sub_1",
        customer_id="cus_1",
        is_paid=True,
        period=Period(START, END),
        prices=("price_basic",),
    )


def test_of_several_items_the_one_that_ends_last_gives_the_period() -> None:
    items = (
        Item("price_year", start=START, end=END + 900, interval="year"),
        Item("price_month", start=START + 5, end=END),
    )
    event = Stripe("2025-03-31.basil").subscription_updated(
        Subscribed("sub_1", "cus_1", START, END, items=items), created=START
    )
    told = fact(event)
    assert told.period == Period(START, END + 900)
    assert told.interval == Interval("year", 1)
    assert told.prices == ("price_month", "price_year")


@shapes
def test_a_cancellation_never_changes_the_period(shape: Shape) -> None:
    ending = Subscribed("sub_1", "cus_1", START, END, cancel_at_period_end=True)
    told = fact(Stripe(shape).subscription_updated(ending, created=START))
    assert (told.period, told.ends_at) == (Period(START, END), END)
    event = Stripe(shape).subscription_updated(SUB, created=START)
    event["data"]["object"]["cancel_at"] = START + 77
    told = fact(event)
    assert (told.period, told.ends_at) == (Period(START, END), START + 77)


@shapes
def test_a_deleted_subscription_is_canceled_whatever_it_says(shape: Shape) -> None:
    event = Stripe(shape).subscription_deleted(SUB, created=START)
    event["data"]["object"]["status"] = "active"
    assert fact(event).status == "canceled"


@pytest.mark.parametrize(
    ("metadata", "credits_"),
    [
        ("100", 100),
        (100, 100),
        ("0", None),
        ("-5", None),
        ("1e9", None),
        ("abc", None),
        ("１００", None),
        (" 100", None),
        (True, None),
        (1.5, None),
        ([100], None),
        ({"a": 1}, None),
        (None, None),
        ("1" + "0" * 12, 10**12),
        ("1" + "0" * 30, None),
        (10**13, None),
    ],
)
def test_bought_credits_are_a_whole_number_or_unknown(
    metadata: object, credits_: int | None
) -> None:
    event = Stripe("2025-03-31.basil").checkout_completed("cs_1", created=START)
    event["data"]["object"]["metadata"] = {"openrembg_credits": metadata}
    told = fact(event)
    assert isinstance(told, SessionTold)
    assert told.credits == credits_


def test_what_is_expanded_counts_as_its_identifier() -> None:
    event = Stripe("2025-03-31.basil").subscription_updated(SUB, created=START)
    event["data"]["object"]["customer"] = {"id": "cus_9", "object": "customer"}
    assert fact(event).customer_id == "cus_9"


def test_a_subscription_without_a_customer_cannot_be_read() -> None:
    event = Stripe("2025-03-31.basil").subscription_updated(SUB, created=START)
    del event["data"]["object"]["customer"]
    with pytest.raises(Unreadable, match="customer"):
        fact(event)


def test_other_events_tell_nothing() -> None:
    assert fact(Stripe("2025-03-31.basil").customer_created("cus_1", created=START)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "7",
        "{}",
        '{"id": "evt_1", "type": "invoice.paid"}',
        '{"id": 7, "type": "invoice.paid", "created": 1}',
        '{"id": "evt_1", "type": "invoice.paid", "created": true}',
        '{"id": "evt_1", "type": "invoice.paid", "created": -1}',
        '{"id": "evt_1", "type": "invoice.paid", "created": 1e3}',
        '{"id": "evt_1", "type": "invoice.paid", "created": ' + "9" * 5000 + "}",
        '{"id": "evt\\u0000", "type": "invoice.paid", "created": 1}',
        '{"id": "\\ud800", "type": "invoice.paid", "created": 1}',
        '{"id": "' + "e" * 256 + '", "type": "invoice.paid", "created": 1}',
        "[" * 100_000,
    ],
)
def test_what_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(NotAnEvent):
        read_event(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(
    (
        *("id", "customer", "status", "items", "data", "price", "plan", "recurring", "interval"),
        *("interval_count", "current_period_start", "current_period_end", "cancel_at"),
        *("cancel_at_period_end", "subscription", "parent", "lines", "period", "start", "end"),
        *("mode", "metadata", "openrembg_credits", "amount_total", "currency", "payment_intent"),
        *("amount", "amount_refunded", "customer_details", "email", "pricing", "price_details"),
    )
)
NESTED = st.recursive(
    JSON, lambda inner: st.dictionaries(NAMES, inner, max_size=8) | st.lists(inner), max_leaves=30
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TYPES), st.dictionaries(NAMES, NESTED, max_size=12))
def test_nonsense_is_unreadable_at_worst(kind: str, about: dict[str, Any]) -> None:
    try:
        fact_of(Event("evt_1", kind, 1, about))
    except Unreadable:
        return


def test_keys_order_events_by_second_then_by_type() -> None:
    def key(created: int, kind: str, name: str = "evt_1") -> str:
        return Event(name, kind, created, {}).key

    ordered = [
        key(999_999_999, "customer.subscription.deleted"),
        key(1_000_000_000, "customer.subscription.created", "evt_9"),
        key(1_000_000_000, "customer.subscription.updated"),
        key(1_000_000_000, "customer.subscription.updated", "evt_2"),
        key(1_000_000_000, "invoice.payment_failed"),
        key(1_000_000_000, "invoice.paid"),
        key(1_000_000_000, "customer.subscription.deleted"),
        key(1_000_000_001, "customer.subscription.created"),
    ]
    assert ordered == sorted(ordered)
