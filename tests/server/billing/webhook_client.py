"""Webhooks as Stripe sends them, and what came of them: for the tests of this folder."""

import datetime as dt
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from allauth.account.models import EmailAddress
from django.db.models import Model, Q
from django.test import Client
from django.utils import timezone
from rmbg_client import send

from fakes.stripe_events import BASIL, MONTH_S, Event, Shape, Stripe, Subscribed, signed
from openrembg.server.billing.models import BillingPeriod, Checkout, Plan, Reversal, Subscription
from openrembg.server.quota.models import Balance, Window
from openrembg.server.quota.verify import account_ids, mismatches
from people import Person, person

SECRET: Final = "whsec_of_the_tests"
WEBHOOK: Final = "/api/webhooks/stripe"
USAGE: Final = "/api/membership-usage"

# Three periods that follow each other; the tests take place in the third.
FIRST: Final = 1_767_960_000
SECOND: Final = FIRST + MONTH_S
THIRD: Final = SECOND + MONTH_S
FOURTH: Final = THIRD + MONTH_S
NOW: Final = dt.datetime.fromtimestamp(THIRD + 86_400, dt.UTC)

_serial = itertools.count(1)
# One for all: each new one reads every static file's name from disk.
_CLIENT: Final = Client(raise_request_exception=False)


@dataclass(frozen=True, slots=True)
class Buyer:
    """A user, and names at Stripe that are nobody else's: each ends with `mark`."""

    who: Person
    mark: str
    stripe: Stripe

    def named(self, name: str) -> str:
        """Return a name of this buyer's alone."""
        return f"{name}{self.mark}"

    @property
    def customer(self) -> str:
        """The customer at Stripe."""
        return self.named("cus")

    @property
    def id(self) -> int:
        """The user's number."""
        return self.who.user.pk

    def sub(self, start: int = THIRD, end: int | None = None, **more: Any) -> Subscribed:
        """Return the buyer's subscription in the period that begins at `start`."""
        last = start + MONTH_S if end is None else end
        return Subscribed(self.named("sub"), self.customer, start, last, **more)

    def linked(self, *, created: int = FIRST - 60) -> Event:
        """Return the event that says whose the customer is: a subscription was bought."""
        return self.stripe.checkout_completed(
            self.named("cs_link"),
            created=created,
            mode="subscription",
            customer=self.customer,
            reference=str(self.id),
            subscription=self.named("sub"),
        )

    def bought(self, credits_: object = "100", *, created: int = THIRD, **more: Any) -> Event:
        """Return the event of a paid pack of credits; more: what `session` takes."""
        facts = {"reference": str(self.id), "payment_intent": self.named("pi")}
        name = self.named("cs")
        return self.stripe.checkout_completed(
            name, created=created, **{**facts, "credits_": credits_, **more}
        )

    def refunded(self, cents: int, *, created: int = THIRD, **more: Any) -> Event:
        """Return the event of a refund: so many of 900 cents by now."""
        facts = {"payment_intent": self.named("pi"), "refunded": cents, **more}
        return self.stripe.charge_refunded(self.named("ch"), created=created, **facts)

    def disputed(self, cents: int = 900, *, created: int = THIRD) -> Event:
        """Return the event of a dispute."""
        payment = self.named("pi")
        return self.stripe.dispute_created(
            self.named("dp"), created=created, payment_intent=payment, amount=cents
        )


def buyer(shape: Shape = BASIL, *, linked: bool = True, verified: bool = True) -> Buyer:
    """Return a new user on Free; linked: Stripe has told which customer that is."""
    mark = f"_{next(_serial):06d}x"
    who = person(f"ada{mark}@example.com", verified=verified)
    one = Buyer(who, mark, Stripe(shape))
    if linked:
        told(one.linked())
    return one


def plan(label: str, credits_: int, price: str | None = None, **more: Any) -> Plan:
    """Return a new plan that is sold for a price at Stripe."""
    return Plan.objects.create(
        label=label, credits=credits_, per_minute=-1, stripe_price_id=price, **more
    )


def plans() -> None:
    """Make the plans that the events tell of: Basic with 3 credits, Pro with 5."""
    plan("Basic", 3, "price_basic")
    plan("Pro", 5, "price_pro")


def sold_at(label: str, price: str | None) -> None:
    """Sell a plan at another price at Stripe, None: at none, as the operator does."""
    changed = Plan.objects.get(label=label)
    changed.stripe_price_id = price
    changed.save(update_fields=("stripe_price_id",))


def post(body: bytes, header: str | None, client: Client | None = None) -> Any:
    """Send a body with a Stripe-Signature."""
    headers = {} if header is None else {"Stripe-Signature": header}
    sender = client or _CLIENT
    return sender.post(WEBHOOK, body, content_type="application/json", headers=headers)


def deliver(event: Event | bytes, client: Client | None = None) -> Any:
    """Send an event as Stripe does now, and return the answer."""
    body, header = signed(event, SECRET, int(timezone.now().timestamp()))
    return post(body, header, client)


def told(*events: Event) -> None:
    """Send events one after the other; each is taken."""
    for event in events:
        answer = deliver(event)
        assert answer.status_code == 200, (event["type"], answer.content)


def numbered(events: Iterable[Event], mark: str) -> list[Event]:
    """Return events whose ids are in the order of the list, and end with `mark`."""
    return [{**event, "id": f"evt_{n:03d}{mark}"} for n, event in enumerate(events)]


def usage(one: Buyer, **parameters: str | int) -> Any:
    """Ask GET /api/membership-usage."""
    answer = _CLIENT.get(USAGE, parameters, headers=one.who.with_key)
    assert answer.status_code == 200, answer.content
    return answer.json()


def cycle(one: Buyer, **parameters: str | int) -> Any:
    """Return what membership-usage says of the present billing cycle."""
    return usage(one, expand="billing_cycle", **parameters)["billingCycle"]


def window(one: Buyer) -> tuple[int, int, bool]:
    """Return where the present cycle begins and ends, and whether Stripe told it."""
    shown = cycle(one)
    return shown["periodStartUnix"], shown["periodEndUnix"], shown["stripeBillingSynced"]


def cycles(one: Buyer) -> list[tuple[int, int, int]]:
    """Return the listed cycles: start, end, and what keys used in them."""
    body = usage(one, listBillingCycles=1)["billingCycles"]
    return [(row["periodStartUnix"], row["periodEndUnix"], row["apiUsage"]) for row in body]


def cut(one: Buyer) -> Mapping[str, str]:
    """Send a picture with the buyer's key; return the answer's headers."""
    answer = send(_CLIENT, headers=one.who.with_key)
    assert answer.status_code == 200, answer.content
    return dict(answer.headers)


def refused(one: Buyer) -> str:
    """Send a picture for which nothing is left; return what the answer says."""
    answer = send(_CLIENT, headers=one.who.with_key)
    assert answer.status_code == 429, answer.content
    return str(answer.json()["error"])


def prepaid(one: Buyer) -> int:
    """Return how many prepaid credits there are."""
    return one.who.balance().prepaid


def plan_of(one: Buyer) -> str:
    """Return the label of the plan."""
    return one.who.balance().plan.label


def verify(one: Buyer) -> None:
    """Confirm the user's address, as the link in the mail does."""
    address = EmailAddress.objects.get(user=one.who.user)
    address.verified = True
    address.save()


def whole() -> None:
    """Fail unless every account's ledger and counters agree."""
    assert [(number, what) for number in account_ids() for what in mismatches(number)] == []


def state(one: Buyer) -> Any:
    """Return all that Stripe's events made of a buyer, without what is the buyer's alone."""
    mine = Q(customer__user=one.id)
    rows = {
        "balance": _rows(Balance, Q(pk=one.id), "user_id", "entries", "head"),
        "windows": _rows(Window, Q(user=one.id), "id", "user_id"),
        "subscriptions": _rows(Subscription, mine),
        "periods": _rows(BillingPeriod, Q(subscription__customer__user=one.id), "id"),
        "checkouts": _rows(Checkout, Q(user=one.id), "user_id", "reference"),
        "reversals": _rows(Reversal, Q(stripe_id__endswith=one.mark)),
        "usage": usage(one, expand="billing_cycle"),
        "cycles": usage(one, listBillingCycles=1),
    }
    return json.loads(json.dumps(rows).replace(one.mark, ""))


def _rows(model: type[Model], which: Q, *without: str) -> list[dict[str, Any]]:
    found = model._default_manager.filter(which).values()
    kept = [{name: row[name] for name in row if name not in without} for row in found]
    return sorted(kept, key=lambda row: json.dumps(row, sort_keys=True))
