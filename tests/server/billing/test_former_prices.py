"""A plan is sold at another price; whoever subscribed at the old one goes on paying that."""

from collections.abc import Callable, Iterator

import pytest
import time_machine
from django.utils import timezone
from webhook_client import SECRET, THIRD, Buyer, buyer, cycle, plan_of, plans, told

from fakes.stripe_events import DAY_S
from openrembg.server.billing.models import Plan, PlanPrice
from openrembg.server.billing.replay import replay
from openrembg.server.billing.subscriptions import reprice

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def _clock(furnish: Callable[..., object]) -> Iterator[None]:
    furnish(stripe_webhook_secret=SECRET)
    with time_machine.travel(THIRD + DAY_S, tick=False):
        yield


@pytest.fixture
def ada() -> Buyer:
    plans()
    return buyer()


def sell(label: str, price: str | None) -> None:
    plan = Plan.objects.get(label=label)
    plan.stripe_price_id = price
    plan.save(update_fields=("stripe_price_id",))


@pytest.mark.parametrize("price", ["price_new", None])
def test_a_former_price_still_brings_the_plan(ada: Buyer, price: str | None) -> None:
    sell("Basic", price)
    told(ada.stripe.subscription_created(ada.sub(price="price_basic"), created=THIRD))
    assert plan_of(ada) == "Basic"
    assert cycle(ada)["includedCredits"] == 3


def test_replay_knows_former_prices(ada: Buyer) -> None:
    told(ada.stripe.subscription_created(ada.sub(price="price_basic"), created=THIRD))
    sell("Basic", "price_new")
    found = replay(timezone.now())
    assert (found.changed, found.unknown_prices) == (0, ())
    assert plan_of(ada) == "Basic"


def test_a_price_that_is_given_to_another_plan_moves(ada: Buyer) -> None:
    told(ada.stripe.subscription_created(ada.sub(price="price_basic"), created=THIRD))
    sell("Basic", None)
    sell("Pro", "price_basic")
    assert reprice("price_basic", timezone.now()) == 1
    assert plan_of(ada) == "Pro"
    assert list(PlanPrice.objects.filter(plan__label="Basic")) == []


def test_a_price_that_a_plan_got_meanwhile_counts_with_the_next_event(ada: Buyer) -> None:
    told(ada.stripe.subscription_created(ada.sub(price="price_late"), created=THIRD))
    assert plan_of(ada) == "Free"
    PlanPrice.objects.create(price_id="price_late", plan=Plan.objects.get(label="Pro"))
    told(ada.stripe.invoice_paid(ada.sub(price="price_late"), created=THIRD + 60))
    assert plan_of(ada) == "Pro"
    assert cycle(ada)["includedCredits"] == 5
