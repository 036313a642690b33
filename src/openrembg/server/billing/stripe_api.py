"""What we ask of Stripe; nothing else here calls it. No call belongs into a database transaction.

    StripeFailed          what people are told is its text; the details are in the log
    ├── StripeAway        it does not answer, or says that it cannot now
    ├── KeyRefused        the key may not do this
    │   └── KeyUnknown    it does not know our key
    ├── NoSuchPrice       the price is not there, or cannot be bought in this way
    └── StripeRefused     it understood, and did not do it

https://docs.stripe.com/api/checkout/sessions/create, …/customer_portal/sessions/create,
…/subscriptions/cancel, …/prices/retrieve
"""

import hashlib
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from openrembg.server.accounts.models import User
from openrembg.server.billing.models import CreditPack, Plan

if TYPE_CHECKING:
    # It takes a quarter of a second, which most commands do without.
    from stripe import StripeClient, StripeError
    from stripe.params.billing_portal import SessionCreateParams as PortalParams
    from stripe.params.checkout import SessionCreateParams as CheckoutParams

# To connect, and to wait for each part of the answer.
TIMEOUT_S: Final = (2.0, 4.0)
# Once more, with the same Idempotency-Key: nothing is done twice.
RETRIES: Final = 1
# When Stripe is slow, so many threads wait for it; the others cut out.
AT_ONCE: Final = 8
# What Checkout speaks of our languages; it lets the browser choose for the others.
LOCALES: Final = ("en", "id", "ja", "ko")
CREDITS: Final = "openrembg_credits"

logger = logging.getLogger("openrembg.billing")
_calls: Final = threading.BoundedSemaphore(AT_ONCE)


class StripeFailed(Exception):
    """A call that was in vain; its text is a sentence for people."""

    sentence: ClassVar[Promise]

    def __str__(self) -> str:
        return str(self.sentence)


class StripeAway(StripeFailed):
    """Stripe does not answer."""

    sentence = _(
        "Our payment provider does not answer at the moment. Please try again in a few minutes."
    )


class KeyRefused(StripeFailed):
    """Stripe does not take our key."""

    sentence = _(
        "Our payment provider does not accept this server's key. Whoever runs this server has to "
        "look at it."
    )


class KeyUnknown(KeyRefused):
    """Stripe does not know our key: mistyped, rolled, or of another Stripe."""


class NoSuchPrice(StripeFailed):
    """Stripe does not sell this."""

    sentence = _(
        "This cannot be bought at the moment, because our payment provider does not know its price."
    )


class StripeRefused(StripeFailed):
    """Stripe did not do it."""

    sentence = _(
        "Our payment provider did not do this. Whoever runs this server finds the reason in its "
        "log."
    )


@dataclass(frozen=True, slots=True)
class Urls:
    """Where Checkout leads back to. success: with {CHECKOUT_SESSION_ID}, which Stripe fills in."""

    success: str
    cancel: str


@dataclass(frozen=True, slots=True)
class Price:
    """A price at Stripe. amount: in the smallest unit; None when it depends on more.

    currency: three capital letters. interval: day, week, month or year; None: bought once.
    """

    id: str
    amount: int | None
    currency: str
    interval: str | None
    interval_count: int
    is_active: bool


def open_checkout(
    user: User, offer: Plan | CreditPack, urls: Urls, ticket: str, customer_id: str | None = None
) -> str:
    """Return the address of a Checkout page that sells an offer.

    ticket: of the form; the same one opens the same page. customer_id: who the user is at Stripe,
    if that is known. Raises StripeFailed.
    """
    params = _checkout(user, offer, urls)
    if customer_id is None:
        return _opened(params | _new_customer(user, offer), ticket)
    try:
        return _opened(params | {"customer": customer_id}, ticket)
    except _CustomerGone:
        return _opened(params | _new_customer(user, offer), ticket)


def open_portal(customer_id: str, return_url: str) -> str:
    """Return the address of the page where a customer changes what they have. Raises StripeFailed.

    It has to be switched on once: https://dashboard.stripe.com/settings/billing/portal
    """
    params = {"customer": customer_id, "return_url": return_url, "locale": _locale()}
    with _called() as stripe:
        session = stripe.v1.billing_portal.sessions.create(cast("PortalParams", params))
    return _known_page(getattr(session, "url", None))


def cancel_subscription(subscription_id: str) -> None:
    """End a subscription now; one that is gone is none any more. Raises StripeFailed."""
    with _called() as stripe:
        from stripe import InvalidRequestError

        try:
            stripe.v1.subscriptions.cancel(subscription_id)
        except InvalidRequestError as error:
            if error.code != "resource_missing":
                raise


def price(price_id: str) -> Price:
    """Return a price as Stripe knows it. Raises StripeFailed."""
    with _called() as stripe:
        found = stripe.v1.prices.retrieve(price_id)
    recurring = found.recurring
    return Price(
        id=found.id,
        amount=found.unit_amount,
        currency=found.currency.upper(),
        interval=recurring.interval if recurring else None,
        interval_count=recurring.interval_count if recurring else 1,
        is_active=found.active,
    )


class _CustomerGone(StripeRefused):
    """Stripe does not know the customer that we named: deleted there, or of another account."""


def _checkout(user: User, offer: Plan | CreditPack, urls: Urls) -> dict[str, Any]:
    params: dict[str, Any] = {
        "client_reference_id": str(user.pk),
        "line_items": [{"price": offer.stripe_price_id, "quantity": 1}],
        "success_url": urls.success,
        "cancel_url": urls.cancel,
        "locale": _locale(),
    }
    if isinstance(offer, Plan):
        return params | {"mode": "subscription"}
    # The payment carries it too, for whoever looks at it on Stripe's pages.
    bought = {CREDITS: str(offer.credits)}
    return params | {
        "mode": "payment",
        "metadata": bought,
        "payment_intent_data": {"metadata": bought},
    }


def _new_customer(user: User, offer: Plan | CreditPack) -> dict[str, Any]:
    about: dict[str, Any] = {"customer_email": user.email}
    # A subscription always makes a customer; a payment does when it is told to.
    return about if isinstance(offer, Plan) else about | {"customer_creation": "always"}


def _locale() -> str:
    language = get_language() or ""
    return language if language in LOCALES else "auto"


def _opened(params: dict[str, Any], ticket: str) -> str:
    # Another page in another language, say, is another request: Stripe refuses one key for both.
    key = hashlib.sha256(json.dumps([ticket, params], sort_keys=True).encode()).hexdigest()
    with _called() as stripe:
        session = stripe.v1.checkout.sessions.create(
            cast("CheckoutParams", params), {"idempotency_key": key}
        )
    return _known_page(getattr(session, "url", None))


def _known_page(url: str | None) -> str:
    """Return an address of Stripe's that our pages may lead to. Raises StripeRefused."""
    parts = urlsplit(url or "")
    origin = f"{parts.scheme}://{parts.netloc}"
    pages: tuple[str, ...] = settings.OPENREMBG.stripe_pages
    if url is not None and ("*" in pages or origin in pages):
        return url
    logger.error("Stripe's page is at %s, which STRIPE_PAGES does not name.", origin)
    raise StripeRefused


@contextmanager
def _called() -> "Iterator[StripeClient]":
    """Yield the client, and raise StripeFailed in the place of the library's own errors."""
    key: str | None = settings.OPENREMBG.stripe_secret_key
    if key is None:
        raise KeyRefused
    if not _calls.acquire(blocking=False):
        logger.error("Stripe was not asked, because %d calls wait for its answers.", AT_ONCE)
        raise StripeAway
    try:
        yield from _answered(key)
    finally:
        _calls.release()


def _answered(key: str) -> "Iterator[StripeClient]":
    from stripe import StripeError

    try:
        yield _client(key)
    except StripeError as error:
        _log(error)
        raise _failure(error) from error


def _client(key: str) -> "StripeClient":
    import stripe

    # On disk it keeps a number of this machine, and tells how long the last call took.
    stripe.enable_telemetry = False
    return stripe.StripeClient(
        key,
        base_addresses={"api": settings.OPENREMBG.stripe_api_base},
        max_network_retries=RETRIES,
        http_client=stripe.RequestsClient(timeout=TIMEOUT_S),
    )


def _failure(error: "StripeError") -> StripeFailed:
    from stripe import (
        APIConnectionError,
        APIError,
        AuthenticationError,
        InvalidRequestError,
        RateLimitError,
    )
    from stripe import PermissionError as NotPermitted

    if isinstance(error, AuthenticationError):
        return KeyUnknown()
    if isinstance(error, NotPermitted):
        return KeyRefused()
    if isinstance(error, APIConnectionError | APIError | RateLimitError):
        return StripeAway()
    if not isinstance(error, InvalidRequestError):
        return StripeRefused()
    about = error.param or ""
    if about == "customer" and error.code == "resource_missing":
        return _CustomerGone()
    # `line_items[0][price]` of Checkout, `price` of prices.
    return NoSuchPrice() if "price" in about else StripeRefused()


def _log(error: "StripeError") -> None:
    # Stripe's words are for developers and name what was sent; an address may be in them.
    words = str(error.user_message or "").replace(settings.OPENREMBG.stripe_secret_key or "\0", "…")
    facts = {
        "error": type(error).__name__,
        "status": error.http_status,
        "code": _plain(error.code),
        "param": _plain(getattr(error, "param", None)),
        "stripe_request": _plain(error.request_id),
        "words": "" if "@" in words else _plain(words[:500]),
    }
    logger.error("Stripe did not do what it was asked for.", extra={"fields": facts})


def _plain(text: object) -> str:
    """Return a text for a log that is read on a terminal, to which some characters are commands."""
    return "".join(char if char.isprintable() else " " for char in str(text or ""))
