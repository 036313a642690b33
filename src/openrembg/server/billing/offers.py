"""Which offer has which of Stripe's prices."""

import re
from typing import Final

from openrembg.server.billing.models import FREE, MAX_ID, CreditPack, Offer, Plan

# Mostly `price_…`; plans from before Stripe had prices are called what their owner wanted.
_PRICE_ID: Final = re.compile(r"(?!(prod|sk|pk|rk|whsec|sub|cus)_)[!-~]+")


def is_price_id(text: str) -> bool:
    """Return whether a text looks like the id of a price at Stripe."""
    return len(text) <= MAX_ID and _PRICE_ID.fullmatch(text) is not None


def offer_called(label: str) -> Offer | None:
    """Return the plan with a label; without one, the credit pack with it."""
    plan = Plan.objects.filter(label=label).first()
    return plan or CreditPack.objects.filter(label=label).first()


def seller_of(price_id: str) -> Offer | None:
    """Return the offer that a price at Stripe sells."""
    plan = Plan.objects.filter(stripe_price_id=price_id).first()
    return plan or CreditPack.objects.filter(stripe_price_id=price_id).first()


def stood_for(price_id: str) -> Plan | None:
    """Return the plan that a price at Stripe stands for, now sold at it or not."""
    return Plan.objects.filter(prices=price_id).first()


def namesake(label: str, kind: type[Offer]) -> Offer | None:
    """Return the plan with a label that a credit pack wants, or the other way round."""
    other = CreditPack if issubclass(kind, Plan) else Plan
    return other._default_manager.filter(label=label).first()


def is_free(offer: object) -> bool:
    """Return whether an offer is what everybody begins with, which cannot be sold."""
    return isinstance(offer, Plan) and offer.label == FREE
