"""Whatever a signed body holds: a clear answer, never a 500, and no credit by accident."""

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webhook_client import (
    FOURTH,
    THIRD,
    Buyer,
    buyer,
    deliver,
    plan_of,
    plans,
    prepaid,
    state,
    told,
    usage,
    whole,
    window,
)

from fakes.stripe_events import SHAPES, Event, Shape
from openrembg.server.billing.events import Unreadable, fact_of, read_event
from openrembg.server.billing.models import Plan, StripeEvent
from openrembg.server.errors import NotAnEvent

pytestmark = pytest.mark.usefixtures("database", "webhooks")

Furnish = Callable[..., object]
HUGE = 10**30
# All are read, which is quick; of so many, one is sent.
SENT_EACH = 6
NONSENSE: list[Any] = [
    None,
    "",
    "x",
    "x" * 5000,
    "\x00",
    "\ud800",
    0,
    -1,
    2**31,
    2**63,
    HUGE,
    1.5,
    1e308,
    float("nan"),
    float("inf"),
    True,
    [],
    [None],
    [[]],
    {},
    {"data": None},
    {"data": [1, "x", None]},
    {"id": None},
    {"id": "x\x00y"},
    {"object": "list", "data": [{}] * 30},
]


@pytest.fixture
def ada() -> Buyer:
    plans()
    return buyer()


def every_event(one: Buyer) -> list[Event]:
    """One event of each type that has a meaning."""
    stripe, sub = one.stripe, one.sub()
    later = {"payment_intent": one.named("pi"), "reference": str(one.id), "credits_": "100"}
    return [
        stripe.subscription_created(sub, created=THIRD),
        stripe.subscription_updated(sub, created=THIRD + 1),
        stripe.subscription_deleted(sub, created=THIRD + 5),
        stripe.invoice_paid(sub, created=THIRD + 2),
        stripe.invoice_payment_succeeded(sub, created=THIRD + 2),
        stripe.invoice_payment_failed(sub, created=THIRD + 3),
        one.bought(),
        stripe.checkout_paid_later(one.named("cs"), created=THIRD + 9, **later),
        one.linked(created=THIRD),
        one.refunded(300),
        one.disputed(300),
    ]


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each thing in JSON, but for those that are nothing already."""
    children: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        children = enumerate(value)
    for name, child in children:
        if child not in (None, {}, []):
            yield (*way, name)
        yield from places(child, (*way, name))


def bent(event: Event, way: tuple[Any, ...], value: Any) -> Event:
    """Return an event with something else at one place; value ...: nothing at all."""
    copied = copy.deepcopy(event)
    holder: Any = copied
    for name in way[:-1]:
        holder = holder[name]
    if value is ...:
        del holder[way[-1]]
    else:
        holder[way[-1]] = value
    return copied


def not_a_500(event: Any) -> None:
    """Fail when a body is not answered with 200 or 400."""
    answer = deliver(event)
    assert answer.status_code in (200, 400), (answer.status_code, answer.content, event)
    if answer.status_code == 400:
        assert set(answer.json()) >= {"error", "status", "code"}


def test_anything_may_be_missing(shape: Shape) -> None:
    plans()
    one = buyer(shape)
    for event in every_event(one):
        for number, way in enumerate(places(event)):
            if way != ("id",):
                event["id"] = f"evt_{event['type']}_{number}_{shape}"
            lacking = bent(event, way, ...)
            read_or_refused(lacking)
            if number % SENT_EACH == 0:
                not_a_500(lacking)
    assert_usable(one)


def read_or_refused(event: Event) -> None:
    """Fail when reading an event fails in another way than it may."""
    try:
        fact_of(read_event(json.dumps(event)))
    except (NotAnEvent, Unreadable):
        return


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_anything_may_be_nonsense(database: object, data: st.DataObject) -> None:
    if not Plan.objects.filter(label="Pro").exists():
        plans()
    one = buyer(data.draw(st.sampled_from(SHAPES)))
    event = data.draw(st.sampled_from(every_event(one)))
    for _ in range(data.draw(st.integers(1, 3))):
        ways = [way for way in places(event) if way[0] in ("created", "data", "type", "id")]
        event = bent(event, data.draw(st.sampled_from(ways)), data.draw(st.sampled_from(NONSENSE)))
    not_a_500(event)
    assert_usable(one)


def assert_usable(one: Buyer) -> None:
    """Fail unless the account still answers, and a proper event still counts."""
    told(one.stripe.subscription_updated(one.sub(), created=THIRD + 50_000))
    assert usage(one)["credits"] >= 0
    assert window(one)[2] in (True, False)
    told(one.stripe.subscription_updated(one.sub(FOURTH - 1000), created=9_999_999_998))
    whole()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"1",
        b'"event"',
        b"{}",
        b"{",
        b"not json",
        b"\xff\xfe{}",
        b'{"id": "\xc3\x28"}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"id": ' + b"9" * 10_000 + b"}",
        b'{"id": "evt_1", "type": "x", "created": 1, "data": null}\x00',
        b"a=b&c=d",
    ],
)
def test_what_is_not_an_event_is_refused(ada: Buyer, body: bytes) -> None:
    before = StripeEvent.objects.count()
    answer = deliver(body)
    assert answer.status_code == 400, answer.content
    assert set(answer.json()) >= {"error", "status", "code"}
    assert StripeEvent.objects.count() == before


def test_a_deeply_nested_event_does_no_harm(ada: Buyer) -> None:
    deep = b"[" * 50_000 + b"]" * 50_000
    event = json.dumps(ada.bought()).encode().replace(b'"EUR"', b"0")
    body = event.replace(b'"consent": null', b'"consent": ' + deep)
    assert deliver(body).status_code in (200, 400)
    shallow = b"[" * 300 + b"]" * 300
    assert deliver(event.replace(b'"consent": null', b'"consent": ' + shallow)).status_code == 200
    assert prepaid(ada) == 100


def test_a_body_of_three_megabytes_gets_an_answer(ada: Buyer) -> None:
    event = ada.bought()
    event["data"]["object"]["line_items"] = "x" * 3_000_000
    answer = deliver(event)
    assert answer.status_code in (200, 400, 413), answer.content
    if answer.status_code != 200:
        assert set(answer.json()) >= {"error", "status"}
        assert prepaid(ada) == 0


@pytest.mark.parametrize(
    "credits_",
    [
        *("", " ", "abc", "-5", "0", "00", "+5", "1e9", "1.5", "5.0", "0x10", "1_000", "١٠"),
        *("10\n", " 10", "10 ", "NaN", "true", str(HUGE), "9" * 5000),
        *(0, -5, 1.5, HUGE, True, False, [10], ["10"], {}, {"a": 1}),
    ],
)
def test_nonsense_credits_are_none(ada: Buyer, credits_: object) -> None:
    told(ada.bought(credits_))
    assert prepaid(ada) == 0
    # It waits for the operator, and what comes after it is not hindered.
    told(ada.stripe.subscription_updated(ada.sub(), created=THIRD))
    assert (plan_of(ada), prepaid(ada)) == ("Basic", 0)


@pytest.mark.parametrize("metadata", [None, [], "10", 10, {"openrembg_credits": None}, {"x": "1"}])
def test_metadata_may_be_anything(ada: Buyer, metadata: object) -> None:
    event = ada.bought("10")
    event["data"]["object"]["metadata"] = metadata
    told(event)
    assert prepaid(ada) == 0


def test_unknown_types_are_taken_and_do_nothing(ada: Buyer) -> None:
    before = state(ada)
    for kind in ("payout.paid", "invoice.created", "charge.dispute.closed", "x" * 255, "💶"):
        about = {"id": "po_1", "object": "payout", "customer": ada.customer}
        told(ada.stripe.event(kind, about, created=THIRD))
    told(ada.stripe.customer_created(ada.customer, created=THIRD, email="ada@example.com"))
    assert state(ada) == before


def test_an_event_of_a_thin_api_is_not_an_event(ada: Buyer) -> None:
    thin = {
        "id": "evt_test_65",
        "object": "v2.core.event",
        "type": "v1.billing.meter.no_meter_found",
        "created": "2026-02-10T12:00:00.000Z",
        "related_object": {"id": "meter_1", "type": "billing.meter", "url": "/v1/…"},
    }
    assert deliver(thin).status_code in (200, 400)


def test_an_invoice_of_nothing_that_renews_means_nothing(ada: Buyer) -> None:
    before = state(ada)
    for status in ("paid", "open"):
        about = ada.stripe.invoice(None, created=THIRD, status=status, customer=ada.customer)
        told(ada.stripe.event("invoice.paid", about, created=THIRD))
    assert state(ada) == before
