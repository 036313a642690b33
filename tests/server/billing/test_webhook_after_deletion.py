"""Events go on for a while after an account is gone; nothing of its owner comes back with them."""

from collections.abc import Callable

import pytest
from webhook_client import SECRET, THIRD, buyer, plans, told

from openrembg.server.accounts.deletion import delete_account
from openrembg.server.billing import waiting
from openrembg.server.billing.models import Customer, StripeEvent

pytestmark = pytest.mark.usefixtures("database")


def test_events_after_a_deletion_leave_only_their_names(furnish: Callable[..., object]) -> None:
    furnish(stripe_webhook_secret=SECRET)
    plans()
    ada, eve = buyer(), buyer()
    delete_account(ada.who.user, tell=False)
    told(ada.stripe.subscription_deleted(ada.sub(), created=THIRD + 1))
    told(eve.stripe.subscription_created(eve.sub(), created=THIRD + 1))
    assert not waiting.customers().exists()
    assert not Customer.objects.filter(pk=ada.customer).exists()
    kept = StripeEvent.objects.filter(customer_id=ada.customer)
    assert [row.payload for row in kept] == ["", ""]
    assert Customer.objects.get(pk=eve.customer).user_id == eve.id
