"""What the verbs of plans and of credit packs share: making or changing one, and its price."""

import re
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from openrembg.cli.admin_arguments import line, whole
from openrembg.cli.terminal import USAGE, shown, stop

if TYPE_CHECKING:
    from openrembg.server.billing.models import Offer

AnOffer = TypeVar("AnOffer", bound="Offer")

PriceCents = Annotated[
    str | None,
    typer.Option(
        "--price-cents",
        metavar="N",
        help="The price that is shown, in the smallest unit: 1200 is 12.00 EUR, or 1200 JPY.",
    ),
]
Currency = Annotated[
    str | None, typer.Option("--currency", metavar="EUR", help="Its currency, three letters.")
]
NoPrice = Annotated[bool, typer.Option("--no-price", help="Show no price any more.")]


def price_given(
    price_cents: str | None, currency: str | None, *, without: bool = False
) -> dict[str, Any]:
    """Return what the options of a price say: the fields that they change. without: --no-price."""
    changes: dict[str, Any] = {}
    if without and (price_cents is not None or currency is not None):
        stop("Give either a price or --no-price.", USAGE)
    if without:
        return {"price_cents": None, "currency": ""}
    if price_cents is not None:
        changes["price_cents"] = whole(price_cents, "--price-cents", 0)
    if currency is not None:
        if not re.fullmatch("[A-Za-z]{3}", currency):
            stop(f"A currency has three letters, and not '{shown(currency[:64])}'.", USAGE)
        changes["currency"] = currency.upper()
    return changes


def kept(model: type[AnOffer], label: str, changes: dict[str, Any]) -> AnOffer:
    """Make the offer with a label, or change it; leave with a sentence if that makes no sense."""
    from django.db import transaction

    from openrembg.server.billing.offers import namesake

    what = model._meta.verbose_name
    with transaction.atomic():
        offer = model._default_manager.select_for_update().filter(label=label).first()
        if offer is None and "credits" not in changes:
            stop(f"There is no {what} '{label}' yet; --credits N makes it.", USAGE)
        if not changes:
            stop("Say what to change: --credits N, or another option.", USAGE)
        other = namesake(label, model) if offer is None else None
        if other is not None:
            stop(f"{called(other)} has this label; a plan and a credit pack cannot share one.")
        offer = offer or model(label=label)
        for name, value in changes.items():
            setattr(offer, name, value)
        if offer.price_cents is not None and not offer.currency:
            stop("A price needs a currency: --currency EUR.", USAGE)
        offer.save()
        return offer


def label_given(text: str) -> str:
    """Return a label; leave with a sentence if it is empty or no line."""
    from openrembg.server.billing.models import MAX_LABEL

    label = line(text, "label", MAX_LABEL)
    if not label:
        stop("The label is empty.", USAGE)
    return label


def price_text(offer: "Offer") -> str:
    """Return the price that is shown, as `12.00 EUR`; empty without one."""
    from openrembg.server.billing.money import money

    if offer.price_cents is None:
        return ""
    return money(offer.price_cents, offer.currency)


def called(offer: "Offer") -> str:
    """Return what a sentence begins with that is about an offer."""
    return f"The {offer._meta.verbose_name} {shown(offer.label)}"
