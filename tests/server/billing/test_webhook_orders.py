"""The order in which events arrive, and how often, makes no difference."""

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from webhook_client import (
    FIRST,
    FOURTH,
    SECOND,
    THIRD,
    buyer,
    numbered,
    plans,
    state,
    told,
    whole,
)
from webhook_tales import Tale, history, money, renewals, troubles

from fakes.stripe_events import SHAPES, Shape
from openrembg.server.billing.models import Plan

pytestmark = pytest.mark.usefixtures("database", "webhooks")

Furnish = Callable[..., object]


def after(tell: Tale, shape: Shape, order: tuple[int, ...]) -> Any:
    """Return the state of a new buyer whom the events reach in an order, by their numbers."""
    one = buyer(shape, linked=tell is not history)
    events = numbered(tell(one), one.mark)
    told(*(events[number] for number in order))
    return state(one)


def orders_of_five(step: int) -> Iterator[tuple[Shape, tuple[int, ...]]]:
    """Return every so many of the 120 orders of five events, in either shape by turns.

    On PostgreSQL, where the same code takes twice as long, a seventh of them.
    """
    every = step if connection.vendor == "sqlite" else step * 7
    orders = itertools.islice(itertools.permutations(range(5)), 0, None, every)
    return zip(itertools.cycle(SHAPES), orders, strict=False)


def test_all_120_orders_of_five_renewals_give_one_state() -> None:
    plans()
    expected = after(renewals, SHAPES[0], (0, 1, 2, 3, 4))
    for shape, order in orders_of_five(1):
        assert after(renewals, shape, order) == expected, (shape, order)
    whole()


@pytest.mark.parametrize("tell", [money, troubles])
def test_other_events_in_forty_orders_give_one_state(tell: Tale) -> None:
    plans()
    expected = after(tell, SHAPES[0], (0, 1, 2, 3, 4))
    for shape, order in orders_of_five(3):
        assert after(tell, shape, order) == expected, (shape, order)
    whole()


def test_both_shapes_give_one_state() -> None:
    plans()
    for tell in (renewals, money, troubles):
        old, new = (after(tell, shape, tuple(range(5))) for shape in SHAPES)
        assert old == new


def test_five_renewals_are_the_plan_and_the_window_of_the_last(shape: Shape) -> None:
    plans()
    found = after(renewals, shape, (4, 2, 0, 3, 1))
    assert found["usage"]["membership"] == "Pro"
    assert found["usage"]["credits"] == 5
    assert found["usage"]["billingCycle"] == {
        "periodStartUnix": THIRD,
        "periodEndUnix": FOURTH,
        "appUsage": 0,
        "apiUsage": 0,
        "includedCredits": 5,
        "prepaidCredits": 0,
        "usedIncludedCredits": 0,
        "remainingIncludedCredits": 5,
        "stripeBillingSynced": True,
    }
    credits_ = {row["start"]: row["credits"] for row in found["windows"] if row["kind"] == "cycle"}
    assert credits_ == {FIRST: 3, SECOND: 3, THIRD: 5}


def test_money_that_came_and_went_leaves_its_share() -> None:
    # 100 credits for 900 cents, of which 300 + 200 went back: 55 of them, rounded down.
    found = after(money, SHAPES[0], (4, 3, 2, 1, 0))
    assert found["usage"]["prepaidCredits"] == 45


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shape=st.sampled_from(SHAPES),
    order=st.lists(st.integers(0, 13), min_size=1, max_size=20),
)
@example(shape=SHAPES[0], order=list(range(13, -1, -1)))
@example(shape=SHAPES[1], order=[*range(14), *range(14)])
def test_any_events_of_a_history_give_the_state_of_their_order(
    database: object, shape: Shape, order: list[int]
) -> None:
    if not Plan.objects.filter(label="Pro").exists():
        plans()
    assert after(history, shape, tuple(order)) == after(history, shape, tuple(sorted(set(order))))


@pytest.mark.parametrize("seed", range(2))
def test_a_whole_history_in_any_order_is_the_same_history(seed: int) -> None:
    plans()
    order = list(range(14)) * 2
    random.Random(seed).shuffle(order)
    for shape in SHAPES:
        found = after(history, shape, tuple(order))
        assert found == after(history, shape, tuple(range(14)))
        assert found["usage"]["membership"] == "Free"
        assert found["usage"]["prepaidCredits"] == 20
        assert not found["usage"]["billingCycle"]["stripeBillingSynced"]
    whole()
