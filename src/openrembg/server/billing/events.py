"""Stripe's events as facts, whichever version of the API wrote them.

    SubscriptionTold   what a subscription is now
    InvoiceTold        an invoice of a subscription was paid, or could not be
    SessionTold        a Checkout session came to its end
    ReversalTold       money of a payment went back

Until API version 2025-03-31 a subscription has its period itself and an invoice names its
subscription; since then the subscription's items have it and the invoice's parent names it. Both
are read here, and nowhere else. All that comes from outside is checked for type and size, since
the signature says only who sent it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from openrembg.server.billing.models import MAX_ID
from openrembg.server.errors import NotAnEvent
from openrembg.server.quota.windows import Period

# The last second that `periodStartUnix` can name.
MAX_SECOND: Final = 9_999_999_999
MAX_AMOUNT: Final = 10**15
# As many as an operator may grant.
MAX_CREDITS: Final = 10**12
# Stripe's own limit is three years.
MAX_INTERVALS: Final = 1200
INTERVALS: Final = ("day", "week", "month", "year")

_CREDITS: Final = re.compile(r"[0-9]{1,13}", re.ASCII)
# Of those that come in the same second, the later ones; a deletion is the last.
_RANKS: Final = {
    "customer.subscription.created": 0,
    "customer.subscription.updated": 1,
    "invoice.payment_failed": 2,
    "invoice.paid": 3,
    "invoice.payment_succeeded": 3,
    "customer.subscription.deleted": 4,
}

Json = dict[str, Any]


class Unreadable(Exception):
    """An event of a known type lacks what it tells. One sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event as Stripe sent it; `about` is the object that it tells of."""

    id: str
    type: str
    created: int
    about: Json

    @property
    def key(self) -> str:
        """What orders events by when they happened; as text, the later one is the greater."""
        return f"{self.created:012d}.{_RANKS.get(self.type, 0)}.{self.id}"


@dataclass(frozen=True, slots=True)
class Interval:
    """What a price is for: so many of a unit, for instance 3 × month."""

    unit: str
    count: int


@dataclass(frozen=True, slots=True)
class SubscriptionTold:
    """What a subscription is. ends_at: when it was told to end, None when it goes on."""

    subscription_id: str
    customer_id: str
    status: str
    period: Period | None
    prices: tuple[str, ...]
    interval: Interval | None
    ends_at: int | None


@dataclass(frozen=True, slots=True)
class InvoiceTold:
    """An invoice of a subscription. period, prices: of the lines that begin or renew it."""

    subscription_id: str
    customer_id: str
    is_paid: bool
    period: Period | None
    prices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionTold:
    """A Checkout session at its end. credits: None when it does not say how many were bought."""

    session_id: str
    mode: str
    customer_id: str
    subscription_id: str
    payment_intent: str
    reference: str
    email: str
    is_paid: bool
    amount: int
    currency: str
    credits: int | None


@dataclass(frozen=True, slots=True)
class ReversalTold:
    """Money of a payment that went back, all that the charge or dispute amounts to by now."""

    stripe_id: str
    payment_intent: str
    amount: int


Fact = SubscriptionTold | InvoiceTold | SessionTold | ReversalTold


def read_event(text: str) -> Event:
    """Return the event that a payload holds. Raises NotAnEvent."""
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotAnEvent(type(error).__name__) from error
    whole = _json(payload)
    about = _json(_json(whole.get("data")).get("object"))
    identifier, kind, created = whole.get("id"), whole.get("type"), whole.get("created")
    if not _is_text(identifier) or not _is_text(kind) or not _is_number(created, MAX_SECOND):
        raise NotAnEvent("no id, type or created")
    return Event(str(identifier), str(kind), int(created or 0), about)


def fact_of(event: Event) -> Fact | None:
    """Return what an event tells, None for one that is none of our business. Raises Unreadable."""
    match event.type:
        case "customer.subscription.created" | "customer.subscription.updated":
            return _subscription(event.about, str(event.about.get("status", ""))[:50])
        case "customer.subscription.deleted":
            return _subscription(event.about, "canceled")
        case "invoice.paid" | "invoice.payment_succeeded":
            return _invoice(event.about, is_paid=True)
        case "invoice.payment_failed":
            return _invoice(event.about, is_paid=False)
        case "checkout.session.completed" | "checkout.session.async_payment_succeeded":
            return _session(event.about)
        case "charge.refunded":
            return _reversal(event.about, "amount_refunded")
        case "charge.dispute.created":
            return _reversal(event.about, "amount")
    return None


def customer_of(event: Event) -> str:
    """Return the customer that an event is about, an empty text for none."""
    return _any_id(event.about.get("customer"))


def payment_of(event: Event) -> str:
    """Return the payment that an event is about, an empty text for none."""
    return _any_id(event.about.get("payment_intent"))


def _subscription(about: Json, status: str) -> SubscriptionTold:
    items = sorted(_list(about.get("items")), key=_end_of)
    last = items[-1] if items else {}
    period = _latest((_period_of(about), *map(_period_of, items)))
    return SubscriptionTold(
        subscription_id=_id(about.get("id"), "subscription"),
        customer_id=_id(about.get("customer"), "customer"),
        status=_printable(status),
        period=period,
        prices=_prices(items) or _prices([about]),
        interval=_interval(last) or _interval(about),
        ends_at=_ends_at(about, period),
    )


def _ends_at(about: Json, period: Period | None) -> int | None:
    if about.get("cancel_at_period_end") is True and period is not None:
        return period.end
    return _second(about.get("cancel_at"))


def _invoice(about: Json, *, is_paid: bool) -> InvoiceTold | None:
    parent = _json(_json(about.get("parent")).get("subscription_details"))
    subscription = about.get("subscription") or parent.get("subscription")
    if subscription is None:
        return None
    renewing = sorted(filter(_renews, _list(about.get("lines"))), key=_end_of_line)
    return InvoiceTold(
        subscription_id=_id(subscription, "subscription"),
        customer_id=_id(about.get("customer"), "customer"),
        is_paid=is_paid,
        period=_line_period(renewing[-1]) if renewing else None,
        prices=_prices(renewing),
    )


def _renews(line: Json) -> bool:
    """Whether a line is for a whole period of a subscription, and not for a change amid one."""
    item = _json(_json(line.get("parent")).get("subscription_item_details"))
    belongs = line.get("type") == "subscription" or bool(item)
    is_part = line.get("proration") is True or item.get("proration") is True
    return belongs and not is_part and _line_period(line) is not None


def _session(about: Json) -> SessionTold | None:
    mode = about.get("mode")
    if mode not in ("payment", "subscription"):
        return None
    details = _json(about.get("customer_details"))
    email = details.get("email") or about.get("customer_email")
    return SessionTold(
        session_id=_id(about.get("id"), "session"),
        mode=mode,
        customer_id=_any_id(about.get("customer")),
        subscription_id=_any_id(about.get("subscription")),
        payment_intent=_any_id(about.get("payment_intent")),
        reference=_any_id(about.get("client_reference_id")),
        email=str(email).strip().lower() if _is_text(email) else "",
        is_paid=about.get("payment_status") in ("paid", "no_payment_required"),
        amount=_amount(about.get("amount_total")),
        currency=_currency(about.get("currency")),
        credits=_credits(_json(about.get("metadata")).get("openrembg_credits")),
    )


def _reversal(about: Json, amount: str) -> ReversalTold | None:
    payment = _any_id(about.get("payment_intent"))
    if not payment:
        return None  # A payment from before there were intents; Checkout makes none such.
    if not _is_number(about.get(amount), MAX_AMOUNT):
        raise Unreadable(f"There is no '{amount}'.")
    return ReversalTold(_id(about.get("id"), "id"), payment, _amount(about.get(amount)))


def _prices(holders: list[Json]) -> tuple[str, ...]:
    """Return the prices of items or lines, each once, in any of the places where they stand."""
    found = dict.fromkeys(name for holder in holders for name in _price_names(holder))
    return tuple(sorted(found))


def _price_names(holder: Json) -> Iterator[str]:
    pricing = _json(_json(holder.get("pricing")).get("price_details"))
    for place in (holder.get("price"), pricing.get("price"), holder.get("plan")):
        name = _any_id(place)
        if name and " " not in name:
            yield name
            return


def _interval(holder: Json) -> Interval | None:
    recurring = _json(_json(holder.get("price")).get("recurring")) or _json(holder.get("plan"))
    unit, count = recurring.get("interval"), recurring.get("interval_count", 1)
    if unit not in INTERVALS or not _is_number(count, MAX_INTERVALS) or count < 1:
        return None
    return Interval(unit, count)


def _period_of(holder: Json) -> Period | None:
    return _period(holder.get("current_period_start"), holder.get("current_period_end"))


def _line_period(line: Json) -> Period | None:
    period = _json(line.get("period"))
    return _period(period.get("start"), period.get("end"))


def _period(start: object, end: object) -> Period | None:
    first, last = _second(start), _second(end)
    return None if first is None or last is None or first >= last else Period(first, last)


def _latest(periods: tuple[Period | None, ...]) -> Period | None:
    known = [period for period in periods if period is not None]
    return max(known, key=lambda period: (period.end, period.start), default=None)


def _end_of(holder: Json) -> int:
    period = _period_of(holder)
    return 0 if period is None else period.end


def _end_of_line(line: Json) -> int:
    period = _line_period(line)
    return 0 if period is None else period.end


def _credits(value: object) -> int | None:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _CREDITS.fullmatch(text) or not 1 <= int(text) <= MAX_CREDITS:
        return None
    return int(text)


def _amount(value: object) -> int:
    return value if isinstance(value, int) and _is_number(value, MAX_AMOUNT) else 0


def _currency(value: object) -> str:
    is_one = isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha()
    return str(value).lower() if is_one else ""


def _second(value: object) -> int | None:
    return value if isinstance(value, int) and _is_number(value, MAX_SECOND) else None


def _id(value: object, what: str) -> str:
    found = _any_id(value)
    if not found:
        raise Unreadable(f"There is no {what}.")
    return found


def _any_id(value: object) -> str:
    """Return an identifier, that of an object where Stripe was asked to expand it."""
    name = value.get("id") if isinstance(value, dict) else value
    return str(name) if _is_text(name) else ""


def _json(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Json]:
    found = _json(value).get("data")
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID and value.isprintable()


def _is_number(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _printable(text: str) -> str:
    return text if text.isprintable() else ""
