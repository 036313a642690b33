"""`openrembg admin set-price`, `replay-stripe`: what Stripe sells, and what it told."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openrembg.cli.admin_database import opened
from openrembg.cli.admin_offers import called, label_given, price_text
from openrembg.cli.terminal import USAGE, say, shown, stop

if TYPE_CHECKING:
    from openrembg.server.billing.models import Offer
    from openrembg.server.billing.replay import Replayed
    from openrembg.server.billing.stripe_api import Price

MAX_NAMED = 10


def set_price(
    label: Annotated[
        str, typer.Argument(metavar="LABEL", help="A plan, or a credit pack if no plan has it.")
    ],
    price_id: Annotated[
        str | None, typer.Argument(metavar="STRIPE_PRICE_ID", help="Such as price_1PbQyZ….")
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Take it off sale; whoever has it keeps it.")
    ] = False,
) -> None:
    """Sell a plan or a credit pack at one of Stripe's prices."""
    if (price_id is None) != clear:
        stop("Give either a price at Stripe or --clear.", USAGE)
    with opened():
        from openrembg.server.billing.offers import is_free

        offer = _find_offer(label_given(label))
        if price_id is None:
            _keep(offer, {"stripe_price_id": None})
            say(f"{called(offer)} cannot be bought any more.{_still_shown(offer)}")
            return
        if is_free(offer):
            stop(f"{called(offer)} is what everybody has for nothing; it cannot be sold.")
        wanted = _checked_id(price_id.strip(), offer)
        _keep(offer, {"stripe_price_id": wanted, **_told_by_stripe(offer, wanted)})
        price = price_text(offer)
        say(f"{called(offer)} is sold at {wanted}{f'; {price} is shown' if price else ''}.")
        _reprice(offer, wanted)


def replay_stripe() -> None:
    """Make what Stripe told anew from the inbox of its events, and every account with it."""
    with opened():
        from django.utils import timezone

        from openrembg.server.billing.replay import replay

        done = replay(timezone.now())
    for sentence in _found(done):
        typer.echo(sentence)
    if done.unreadable:
        named = ", ".join(done.unreadable[:MAX_NAMED])
        stop(f"{_count(len(done.unreadable), 'event')} cannot be read: {named}.")


def _found(done: "Replayed") -> Iterator[str]:
    """Yield what a replay found, a sentence each."""
    forgotten = f", {done.forgotten} of them of deleted accounts" if done.forgotten else ""
    yield f"{_count(done.events, 'event')} in the inbox{forgotten}."
    yield f"{_count(done.accounts, 'account')} compared, {done.changed} changed."
    if done.waiting_customers:
        customers = _count(done.waiting_customers, "customer")
        yield f"{customers} of nobody: see /admin/ and link-customer."
    if done.waiting_purchases:
        purchases = _count(done.waiting_purchases, "purchase")
        yield f"{purchases} without user or credits: see /admin/ and complete-purchase."
    if done.unknown_prices:
        yield f"No plan has {', '.join(map(shown, done.unknown_prices))}: see set-price."


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _find_offer(label: str) -> "Offer":
    from openrembg.server.billing.models import CreditPack, Plan
    from openrembg.server.billing.offers import offer_called

    offer = offer_called(label)
    if offer is None:
        known = [
            name
            for model in (Plan, CreditPack)
            for name in model.objects.order_by("credits").values_list("label", flat=True)
        ]
        stop(f"Nothing is called '{shown(label)}'; there are {shown(', '.join(known))}.")
    return offer


def _checked_id(price_id: str, offer: "Offer") -> str:
    """Return the id; leave with a sentence if it is none, or sells something else already."""
    from openrembg.server.billing.offers import is_price_id, seller_of

    if not is_price_id(price_id):
        stop(f"A price looks like price_1PbQyZ, and not like '{shown(price_id[:64])}'.", USAGE)
    seller = seller_of(price_id)
    if seller is not None and seller != offer:
        stop(f"{called(seller)} is sold at {price_id} already.")
    return price_id


def _told_by_stripe(offer: "Offer", price_id: str) -> dict[str, Any]:
    """Return what Stripe says of the price, as fields; nothing when it cannot be asked."""
    from django.conf import settings

    from openrembg.server.billing import stripe_api

    if settings.OPENREMBG.stripe_secret_key is None:
        return {}
    try:
        with _unlogged():
            price = stripe_api.price(price_id)
    except stripe_api.NoSuchPrice:
        stop(f"Stripe has no price {price_id} in the account of STRIPE_SECRET_KEY.")
    except stripe_api.StripeAway:
        say("Warning: Stripe does not answer; the price was not looked at.")
        return {}
    except stripe_api.KeyUnknown:
        stop("Stripe does not know STRIPE_SECRET_KEY; the price was not kept.")
    except stripe_api.KeyRefused:
        say("Warning: Stripe does not let STRIPE_SECRET_KEY read prices; it was not looked at.")
        return {}
    except stripe_api.StripeFailed as failure:
        words = getattr(failure.__cause__, "user_message", None) or "it does not say why"
        stop(f"Stripe does not tell of {price_id}, so it was not kept: {shown(str(words))}")
    return _fields(offer, price)


def _still_shown(offer: "Offer") -> str:
    from openrembg.server.billing.models import Plan

    price, verb = price_text(offer), "plan" if isinstance(offer, Plan) else "pack"
    return f" {price} is still shown; `{verb} --no-price` ends that." if price else ""


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep out of the log what is said on the terminal."""
    logger = logging.getLogger("openrembg.billing")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _fields(offer: "Offer", price: "Price") -> dict[str, Any]:
    from openrembg.server.billing.models import Plan

    is_plan = isinstance(offer, Plan)
    if is_plan and price.interval is None:
        stop(f"{price.id} is paid once; a plan needs a price that recurs.")
    if not is_plan and price.interval is not None:
        stop(f"{price.id} recurs each {price.interval}; a pack needs one paid once.")
    if not price.is_active:
        say("Warning: the price is archived at Stripe, so nobody can buy it.")
    if price.amount is None or price.interval_count != 1:
        say("The price is not one amount for one interval: none will be shown.")
        return {"price_cents": None, "currency": price.currency}
    told = {"price_cents": price.amount, "currency": price.currency}
    return told | {"interval": price.interval} if is_plan else told


def _keep(offer: "Offer", fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        setattr(offer, name, value)
    offer.save(update_fields=list(fields))


def _reprice(offer: "Offer", price_id: str) -> None:
    from django.utils import timezone

    from openrembg.server.billing.models import Plan
    from openrembg.server.billing.subscriptions import reprice

    if isinstance(offer, Plan):
        say(f"{_count(reprice(price_id, timezone.now()), 'account')} changed.")
