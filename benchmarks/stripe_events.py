"""Stripe's events as its API sends them since 2025-03-31, as little of them as matters here."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any, Final

API_VERSION: Final = "2025-03-31.basil"
DAY_S: Final = 86400


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer with one subscription. reference: the user here. price: what is subscribed to."""

    name: str
    reference: int
    price: str

    def checkout(self, at: int) -> bytes:
        """Return the event that links the customer to the user."""
        session = {
            "id": f"cs_{self.name}",
            "object": "checkout.session",
            "mode": "subscription",
            "payment_status": "paid",
            "client_reference_id": str(self.reference),
            "customer": f"cus_{self.name}",
            "subscription": f"sub_{self.name}",
            "created": at,
            "metadata": {},
        }
        return _event(f"{self.name}_c", "checkout.session.completed", at, session)

    def subscription(self, number: int, start: int, end: int, *, at: int) -> bytes:
        """Return the event number `number` about the subscription: it is active in this period."""
        price = {
            "id": self.price,
            "object": "price",
            "recurring": {"interval": "day", "interval_count": 1},
        }
        item = {
            "id": f"si_{self.name}",
            "object": "subscription_item",
            "current_period_start": start,
            "current_period_end": end,
            "price": price,
            "quantity": 1,
        }
        subscription = {
            "id": f"sub_{self.name}",
            "object": "subscription",
            "customer": f"cus_{self.name}",
            "status": "active",
            "cancel_at": None,
            "cancel_at_period_end": False,
            "created": at,
            "items": {"object": "list", "data": [item]},
            "metadata": {},
        }
        return _event(f"{self.name}_s{number}", "customer.subscription.updated", at, subscription)


def signature(body: bytes, secret: str) -> str:
    """Return the header `Stripe-Signature` of an event that is sent now."""
    moment = int(time.time())
    signed = f"{moment}.".encode() + body
    return f"t={moment},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def _event(name: str, kind: str, at: int, about: dict[str, Any]) -> bytes:
    event = {
        "id": f"evt_{name}",
        "object": "event",
        "api_version": API_VERSION,
        "created": at,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
        "data": {"object": about},
    }
    return json.dumps(event, indent=2).encode()
