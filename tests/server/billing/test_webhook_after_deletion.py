"""Events go on for a while after an account is gone; nothing of its owner comes back with them."""

from collections.abc import Callable

import pytest
from django.utils import timezone
from webhook_client import SECRET, THIRD, Buyer, buyer, plans, told

from openrembg.server.accounts.deletion import delete_account
from openrembg.server.billing import waiting
from openrembg.server.billing.models import Checkout, Customer, StripeEvent
from openrembg.server.billing.replay import replay

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def gone(furnish: Callable[..., object]) -> Buyer:
    """A buyer who bought a pack as well, and has deleted the account."""
    furnish(stripe_webhook_secret=SECRET)
    plans()
    ada = buyer()
    told(ada.bought(customer=None))
    delete_account(ada.who.user, tell=False)
    return ada


def contents() -> list[str]:
    return [row.payload for row in StripeEvent.objects.exclude(payload="")]


def notes() -> list[str]:
    return [row.note for row in StripeEvent.objects.exclude(note="").order_by("pk")]


def test_events_after_a_deletion_leave_only_their_names(gone: Buyer) -> None:
    told(
        gone.stripe.subscription_deleted(gone.sub(), created=THIRD + 1),
        gone.refunded(90),
        gone.disputed(),
        gone.stripe.checkout_paid_later(
            gone.named("cs"), created=THIRD, payment_intent=gone.named("pi"), customer=None
        ),
    )
    assert contents() == []
    assert not Customer.objects.exists()
    assert not Checkout.objects.exists()
    assert StripeEvent.objects.count() == 6


def test_who_still_pays_without_an_account_is_told_to_the_operator(gone: Buyer) -> None:
    told(
        gone.stripe.subscription_created(gone.sub(), created=THIRD + 1),
        gone.bought(created=THIRD + 2, customer=gone.customer),
    )
    assert notes() == [
        f"A deleted account has the subscription {gone.named('sub')}: cancel it.",
        f"A deleted account paid for {gone.named('cs')}: refund it.",
    ]
    assert contents() == []


def test_a_replay_brings_nobody_back(gone: Buyer) -> None:
    eve = buyer()
    told(
        gone.stripe.subscription_deleted(gone.sub(), created=THIRD + 1),
        eve.stripe.charge_refunded(
            "ch_shop", created=THIRD, customer="cus_shop", payment_intent="pi_shop", refunded=5
        ),
    )
    replay(timezone.now())
    assert list(Customer.objects.values_list("pk", "user")) == [(eve.customer, eve.id)]
    assert not waiting.customers().exists()
