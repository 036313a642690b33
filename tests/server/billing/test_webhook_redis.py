"""With a Redis, its keys say what the webhooks told."""

import time
from collections.abc import Callable, Iterator

import pytest
import time_machine
from redis import Redis
from webhook_client import (
    FOURTH,
    NOW,
    SECRET,
    THIRD,
    Buyer,
    buyer,
    cut,
    cycle,
    plans,
    refused,
    told,
    window,
)

from services import Service

pytestmark = pytest.mark.usefixtures("database")

Furnish = Callable[..., object]
WAIT_S = 10.0


@pytest.fixture(autouse=True)
def keys(furnish: Furnish, redis: Service) -> Iterator["Redis"]:
    furnish(stripe_webhook_secret=SECRET, redis_url=f"redis://127.0.0.1:{redis.port}/0")
    with (
        time_machine.travel(NOW, tick=False),
        Redis(port=redis.port, decode_responses=True) as opened,
    ):
        yield opened


def says(keys: Redis, one: Buyer, **wanted: object) -> bool:
    """Wait until the keys of a user say something; False when they do not."""
    deadline = time.monotonic() + WAIT_S
    expected = {name: None if value is None else str(value) for name, value in wanted.items()}
    found = None
    while found != expected and time.monotonic() < deadline:
        found = {name: keys.get(f"user:{one.id}:{name}") for name in wanted}
        time.sleep(0.01)
    return found == expected


def test_keys_follow_a_subscription_from_its_beginning_to_its_end(keys: Redis) -> None:
    plans()
    ada = buyer()
    told(ada.stripe.subscription_created(ada.sub(), created=THIRD), ada.bought("7"))
    period = {"billing_period_start": THIRD, "billing_period_end": FOURTH}
    standing = {"membership": "Basic", "credits": 3, "prepaid_credits": 7}
    assert says(keys, ada, **period, **standing)
    assert window(ada) == (THIRD, FOURTH, True)
    for _ in range(4):
        cut(ada)
    assert says(keys, ada, **{f"api_usage:cycle:{THIRD}": 3, "prepaid_credits": 6})
    told(ada.stripe.subscription_updated(ada.sub(price="price_pro"), created=THIRD + 60))
    assert says(keys, ada, membership="Pro", credits=5)
    assert cycle(ada)["remainingIncludedCredits"] == 2
    told(ada.refunded(900))
    assert says(keys, ada, prepaid_credits=0)
    cut(ada)
    cut(ada)
    refused(ada)
    told(ada.stripe.subscription_deleted(ada.sub(), created=THIRD + 99))
    gone = {"billing_period_start": None, "billing_period_end": None}
    assert says(keys, ada, membership="Free", credits=50, **gone)
    assert window(ada)[2] is False


def test_a_period_that_lapses_unheard_leaves_the_keys_of_free(keys: Redis) -> None:
    plans()
    ada = buyer()
    told(ada.stripe.subscription_created(ada.sub(), created=THIRD, cancel_at_period_end=True))
    assert says(keys, ada, membership="Basic", billing_period_end=FOURTH)
    with time_machine.travel(FOURTH, tick=False):
        assert window(ada)[2] is False
        assert says(keys, ada, membership="Free", billing_period_end=None)


def test_the_answers_are_the_same_after_redis_forgot_everything(keys: Redis) -> None:
    plans()
    ada = buyer()
    told(ada.stripe.subscription_created(ada.sub(), created=THIRD))
    cut(ada)
    before = cycle(ada)
    keys.flushall()
    assert cycle(ada) == before
    assert before["stripeBillingSynced"] is True
