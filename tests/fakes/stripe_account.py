"""An account at a Stripe of ours: prices, customers, sessions, subscriptions, and what they tell.

It refuses what Stripe refuses, in Stripe's words: https://docs.stripe.com/api/errors and
…/api/checkout/sessions/create. What happens becomes events of `stripe_events`.
"""

import itertools
import re
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from fakes.stripe_events import BASIL, MONTH_S, Event, Part, Shape, Stripe, Subscribed

# A form's fields as Stripe takes them: `line_items[0][price]`.
Form = dict[str, str]

_COMMON: Final = (
    *("mode", "client_reference_id", "success_url", "cancel_url", "locale"),
    *("customer", "customer_email", "customer_creation"),
)
_KNOWN: Final = re.compile(
    rf"({'|'.join(_COMMON)}|line_items\[0\]\[(price|quantity)\]"
    r"|(payment_intent_data\[metadata\]|metadata)\[\w{1,40}\])"
)
_LOCALES: Final = ("auto", "en", "id", "ja", "ko")
_PRICE: Final = "line_items[0][price]"


class Refused(Exception):
    """What Stripe answers instead of doing it."""

    def __init__(self, status: int, message: str, *, param: str = "", code: str = "") -> None:
        super().__init__(message)
        self.status = status
        kind = "idempotency_error" if code == "idempotency" else "invalid_request_error"
        error: Part = {"message": message, "type": kind}
        if param:
            error["param"] = param
        if code and code != "idempotency":
            error |= {"code": code, "doc_url": f"https://stripe.com/docs/error-codes/{code}"}
        self.body: Part = {"error": error}


@dataclass(frozen=True, slots=True)
class FakePrice:
    """A price; interval: None for one that is paid once."""

    id: str
    amount: int
    interval: str | None = None
    is_active: bool = True


@dataclass(slots=True)
class Session:
    """A Checkout session, or one of the portal, which has a customer and a way back."""

    id: str
    form: Form
    customer: str
    is_open: bool = True
    payment_intent: str = ""
    subscription: str = ""
    email: str = ""


@dataclass(slots=True)
class Account:
    """Who the money goes to. shape: of the events and objects."""

    shape: Shape = BASIL
    prices: dict[str, FakePrice] = field(default_factory=dict)
    customers: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    portals: dict[str, Session] = field(default_factory=dict)
    subscriptions: dict[str, Subscribed] = field(default_factory=dict)
    _serial: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def stripe(self) -> Stripe:
        """Who writes the objects."""
        return Stripe(self.shape)

    def sells(self, price: str, amount: int, interval: str | None = None) -> str:
        """Add a price, and return its id."""
        self.prices[price] = FakePrice(price, amount, interval)
        return price

    def price(self, price: str) -> Part:
        """Return a price object."""
        found = self._price(price, "price", 404)
        recurring = None
        if found.interval is not None:
            recurring = {"interval": found.interval, "interval_count": 1, "usage_type": "licensed"}
        return {
            "id": found.id,
            "object": "price",
            "active": found.is_active,
            "currency": "eur",
            "recurring": recurring,
            "type": "one_time" if recurring is None else "recurring",
            "unit_amount": found.amount,
        }

    def open_session(self, form: Form, page: str) -> Part:
        """Return a new Checkout session. page: where the session's page is, without its id."""
        self._check_names(form)
        self._check_mode(form)
        self._check_customer(form)
        for name in ("success_url", "cancel_url"):
            _check_url(form, name)
        if form.get("locale", "auto") not in _LOCALES:
            raise Refused(400, "Invalid locale", param="locale")
        session = Session(f"cs_test_{secrets.token_hex(12)}", form, form.get("customer", ""))
        self.sessions[session.id] = session
        about = self._session(session)
        return about | {"status": "open", "url": f"{page}{session.id}", "payment_status": "unpaid"}

    def open_portal(self, form: Form, page: str) -> Part:
        """Return a new session of the portal."""
        unknown = set(form) - {"customer", "return_url", "locale"}
        if unknown:
            raise _unknown(min(unknown))
        if form.get("customer") not in self.customers:
            raise _missing("customer", form.get("customer", ""), "customer", 400)
        _check_url(form, "return_url")
        session = Session(f"bps_{secrets.token_hex(12)}", form, form["customer"])
        self.portals[session.id] = session
        return {
            "id": session.id,
            "object": "billing_portal.session",
            "customer": session.customer,
            "return_url": form["return_url"],
            "url": f"{page}{session.id}",
        }

    def pay(self, session: Session, email: str = "", *, now: bool = True) -> list[Event]:
        """Complete a session. now: False when the bank takes its time."""
        session.is_open = False
        session.email = email or session.form.get("customer_email", "jenny.rosen@example.com")
        wants_one = session.form.get("customer_creation") == "always"
        if not session.customer and (wants_one or session.form["mode"] == "subscription"):
            session.customer = f"cus_{next(self._serial):09d}"
            self.customers[session.customer] = session.email
        if session.form["mode"] == "subscription":
            return [*self._subscribe(session), self._completed(session, "paid")]
        session.payment_intent = f"pi_{next(self._serial):09d}"
        return [self._completed(session, "paid" if now else "unpaid")]

    def money_arrived(self, session: Session) -> list[Event]:
        """The bank has paid for a session that was completed before."""
        about = self._session(session) | {"payment_status": "paid"}
        kind = "checkout.session.async_payment_succeeded"
        return [self.stripe.event(kind, about, created=_now())]

    def switch(self, subscription: str, price: str) -> list[Event]:
        """Change a subscription's price; the period stays."""
        return self._update(subscription, price=price, amount=self.prices[price].amount)

    def end_later(self, subscription: str) -> list[Event]:
        """Let a subscription end with its period."""
        return self._update(subscription, cancel_at_period_end=True, canceled_at=_now())

    def go_on(self, subscription: str) -> list[Event]:
        """Let it go on after all."""
        return self._update(subscription, cancel_at_period_end=False, canceled_at=None)

    def cancel(self, subscription: str) -> tuple[Part, list[Event]]:
        """End a subscription at once; return it and what that tells."""
        found = self.subscriptions.pop(subscription, None)
        if found is None:
            raise _missing("subscription", subscription, "id", 404)
        event = self.stripe.subscription_deleted(found, created=_now())
        return event["data"]["object"], [event]

    def _subscribe(self, session: Session) -> list[Event]:
        price, now = self.prices[session.form[_PRICE]], _now()
        one = Subscribed(
            f"sub_{next(self._serial):09d}",
            session.customer,
            now,
            now + MONTH_S,
            price.id,
            amount=price.amount,
            interval=price.interval or "month",
        )
        self.subscriptions[one.id] = one
        session.subscription = one.id
        created = self.stripe.subscription_created(one, created=now)
        reason = "subscription_create"
        return [created, self.stripe.invoice_paid(one, created=now, reason=reason)]

    def _update(self, subscription: str, **changes: object) -> list[Event]:
        before = self.subscriptions[subscription]
        after = replace(before, **changes)  # type: ignore[arg-type]
        self.subscriptions[subscription] = after
        return [self.stripe.subscription_updated(after, created=_now(), before=before)]

    def _completed(self, session: Session, payment_status: str) -> Event:
        about = self._session(session) | {"payment_status": payment_status}
        return self.stripe.event("checkout.session.completed", about, created=_now())

    def _session(self, session: Session) -> Part:
        form = session.form
        about = self.stripe.session(
            session.id,
            created=_now(),
            mode=form["mode"],
            customer=session.customer or None,
            reference=form.get("client_reference_id"),
            email=session.email or form.get("customer_email"),
            credits_=form.get("metadata[openrembg_credits]"),
            amount=self.prices[form[_PRICE]].amount,
            payment_intent=session.payment_intent or None,
            subscription=session.subscription or None,
        )
        return about | {"success_url": form["success_url"], "cancel_url": form.get("cancel_url")}

    def _check_names(self, form: Form) -> None:
        for name in form:
            if not _KNOWN.fullmatch(name):
                raise _unknown(name)

    def _check_mode(self, form: Form) -> None:
        price = self._price(form.get(_PRICE, ""), _PRICE, 400)
        if not price.is_active:
            text = "The price specified is inactive. This field only accepts active prices."
            raise Refused(400, text, param=_PRICE)
        match form.get("mode"), price.interval:
            case "payment", None:
                return
            case "payment", _:
                text = "You specified `payment` mode but passed a recurring price."
            case "subscription", None:
                text = "You must provide at least one recurring price in `subscription` mode."
            case "subscription", _ if any(n.startswith("payment_intent_data") for n in form):
                text = "You can not pass `payment_intent_data` in `subscription` mode."
            case "subscription", _ if "customer_creation" in form:
                text = "`customer_creation` can only be used in `payment` and `setup` modes."
            case "subscription", _:
                return
            case _:
                text = "Invalid mode"
        raise Refused(400, text, param="mode")

    def _check_customer(self, form: Form) -> None:
        customer, email = form.get("customer"), form.get("customer_email")
        if customer is not None and (email is not None or "customer_creation" in form):
            text = "You may only specify one of these parameters: customer, customer_email."
            raise Refused(400, text)
        if customer is not None and customer not in self.customers:
            raise _missing("customer", customer, "customer", 400)
        if email is not None and "@" not in email:
            text = f"Invalid email address: {email}"
            raise Refused(400, text, param="customer_email", code="email_invalid")

    def _price(self, price: str, param: str, status: int) -> FakePrice:
        found = self.prices.get(price)
        if found is None:
            raise _missing("price", price, param, status)
        return found


def _check_url(form: Form, name: str) -> None:
    parts = urlsplit(form.get(name, ""))
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise Refused(400, "Not a valid URL", param=name, code="url_invalid")


def _unknown(name: str) -> Refused:
    text = f"Received unknown parameter: {name}"
    return Refused(400, text, param=name, code="parameter_unknown")


def _missing(what: str, name: str, param: str, status: int) -> Refused:
    text = f"No such {what}: '{name}'"
    return Refused(status, text, param=param, code="resource_missing")


def _now() -> int:
    return int(time.time())
