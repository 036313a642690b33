"""Everything that the server knows of a user, as JSON; written piece by piece, however much."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet

from openrembg.server.accounts.models import ApiKey, User, UserToken
from openrembg.server.billing.models import (
    BillingPeriod,
    Checkout,
    Customer,
    Reversal,
    Subscription,
)
from openrembg.server.quota.models import Balance, Day, LedgerEntry, UsageWarning, Window

Rows = Iterable[dict[str, Any]]
CHUNK: Final = 2000

CREDENTIAL: Final = (
    *("id", "name", "prefix", "created_at", "expires_at", "revoked_at", "last_used_at"),
)
KEY: Final = (*CREDENTIAL, "monthly_cap")
USER: Final = (
    *("id", "email", "language", "usage_mails", "is_staff", "date_joined", "last_login"),
)
ADDRESS: Final = ("email", "verified", "primary")
FACTOR: Final = ("type", "created_at", "last_used_at")
BALANCE: Final = ("plan_id", "prepaid", "period_start", "period_end", "next_end", "entries")
WINDOW: Final = (
    *("kind", "start", "end", "credits", "synced"),
    *("app", "api", "prepaid_app", "prepaid_api"),
)
DAY: Final = ("day", "key_id", "included", "prepaid")
WARNING: Final = ("kind", "start", "allowance", "level", "sent_at")
ENTRY: Final = (
    *("number", "at", "event", "included", "prepaid", "channel", "key_id"),
    *("month_start", "cycle_start", "cycle_end", "next_end"),
    *("plan", "reference", "note", "previous", "hash"),
)
CUSTOMER: Final = ("customer_id",)
SUBSCRIPTION: Final = (
    *("subscription_id", "customer_id", "status", "interval", "interval_count", "ends_at"),
)
PERIOD: Final = ("subscription_id", "start", "end", "prices", "plan__label", "credits")
PURCHASE: Final = (
    *("session_id", "mode", "created", "customer_id", "subscription_id", "payment_intent"),
    *("email", "is_paid", "amount", "currency", "credits", "taken_back"),
)
REVERSAL: Final = ("stripe_id", "payment_intent", "amount")

SECTIONS: Final[dict[str, Callable[[User], Rows]]] = {
    "account": lambda user: _rows(User.objects.filter(pk=user.pk), USER),
    "addresses": lambda user: _rows(EmailAddress.objects.filter(user_id=user.pk), ADDRESS),
    "second_factors": lambda user: _rows(Authenticator.objects.filter(user_id=user.pk), FACTOR),
    "keys": lambda user: _rows(ApiKey.objects.filter(user=user), KEY),
    "tokens": lambda user: _rows(UserToken.objects.filter(user=user), CREDENTIAL),
    "balance": lambda user: _rows(Balance.objects.filter(user=user), BALANCE),
    "usage_windows": lambda user: _rows(Window.objects.filter(user=user), WINDOW),
    "usage_days": lambda user: _rows(Day.objects.filter(user=user), DAY),
    "usage_warnings": lambda user: _rows(UsageWarning.objects.filter(user=user), WARNING),
    "ledger": lambda user: _rows(LedgerEntry.objects.filter(user_id=user.pk), ENTRY, "number"),
    "customers": lambda user: _rows(Customer.objects.filter(user=user), CUSTOMER),
    "subscriptions": lambda user: _rows(
        Subscription.objects.filter(customer__user=user), SUBSCRIPTION
    ),
    "billing_periods": lambda user: _rows(
        BillingPeriod.objects.filter(subscription__customer__user=user), PERIOD
    ),
    "purchases": lambda user: _rows(Checkout.objects.filter(user=user), PURCHASE),
    "money_back": lambda user: _rows(_reversals(user), REVERSAL),
}


def pieces(user: User) -> Iterator[str]:
    """Yield the JSON text of an export: one list of objects a section."""
    yield "{"
    for number, (name, rows) in enumerate(SECTIONS.items()):
        yield f"{',' if number else ''}\n{json.dumps(name)}: ["
        yield from _list(rows(user))
        yield "]"
    yield "\n}\n"


def _list(rows: Rows) -> Iterator[str]:
    for number, row in enumerate(rows):
        text = json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False)
        yield f"{',' if number else ''}\n  {text}"


def _reversals(user: User) -> QuerySet[Reversal]:
    payments = Checkout.objects.filter(user=user).exclude(payment_intent="")
    return Reversal.objects.filter(payment_intent__in=payments.values("payment_intent"))


def _rows(found: QuerySet[Any, Any], fields: tuple[str, ...], order: str = "pk") -> Rows:
    rows: Rows = found.order_by(order).values(*fields).iterator(chunk_size=CHUNK)
    return rows
