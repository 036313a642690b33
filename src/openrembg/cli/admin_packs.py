"""`openrembg admin packs`, `pack`: prepaid credits that are bought at once."""

from typing import Annotated, Any

import typer

from openrembg.cli.admin_arguments import whole
from openrembg.cli.admin_database import opened
from openrembg.cli.admin_offers import (
    Currency,
    NoPrice,
    PriceCents,
    kept,
    label_given,
    price_given,
    price_text,
)
from openrembg.cli.terminal import print_table, say, shown


def packs() -> None:
    """List the credit packs: credits, price, Stripe's price."""
    with opened():
        from openrembg.server.billing.models import CreditPack

        rows = [
            [shown(pack.label), str(pack.credits), price_text(pack), pack.stripe_price_id or ""]
            for pack in CreditPack.objects.order_by("credits", "label")
        ]
    print_table(("pack", "credits", "price", "Stripe price"), rows)


def pack(
    label: Annotated[str, typer.Argument(metavar="LABEL", help="What buyers see. Any text.")],
    credits_: Annotated[
        str | None,
        typer.Option("--credits", metavar="N", help="The prepaid credits that it brings."),
    ] = None,
    price_cents: PriceCents = None,
    currency: Currency = None,
    no_price: NoPrice = False,
) -> None:
    """Make a pack of prepaid credits, or change one; what was bought stays as it was."""
    changes: dict[str, Any] = price_given(price_cents, currency, without=no_price)
    if credits_ is not None:
        changes["credits"] = whole(credits_, "--credits", 1)
    with opened():
        from openrembg.server.billing.models import CreditPack

        made = kept(CreditPack, label_given(label), changes)
        say(f"The pack {made.label} has {made.credits} prepaid credits.")
        if made.price_cents is not None:
            say(f"Its price is shown as {price_text(made)}.")
