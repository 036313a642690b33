"""The people who see the pages of the site, with what the pages shall show of them."""

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.forms import default_token_generator
from allauth.account.internal.userkit import user_id_to_str
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.conf import settings
from django.db.models import F
from django.test import Client
from django.utils import timezone

from openrembg.server.accounts.keys import create_key, create_token, revoke, rotate_key
from openrembg.server.accounts.models import ApiKey, User
from openrembg.server.billing.models import (
    Checkout,
    CreditPack,
    Customer,
    Plan,
    Subscription,
)
from openrembg.server.quota.ledger import Term, changing, follow, top_up, write_window
from openrembg.server.quota.models import Day, KeyMonth, Window
from openrembg.server.quota.windows import Period, month_of, unix
from site_pages import SitePage, Visitor

PASSWORD: Final = "correct horse battery"
DAY_S: Final = 24 * 3600
CYCLE_S: Final = 30 * DAY_S
SESSION: Final = "cs_test_site"
# What is for sale: label -> (Stripe's price, cents).
PLAN_PRICES: Final = {
    "Basic-1000": ("price_basic", 900),
    "Pro-5000": ("price_pro", 2900),
    "Premium-20000": ("price_premium", 7900),
}
PACK_PRICES: Final = {
    "100 credits": ("price_100", 300),
    "1,000 credits": ("price_1000", 1900),
    "10,000 credits": ("price_10000", 9900),
}
# A server that sells, at a Stripe that nobody asks.
SELLING: Final = {
    "STRIPE_SECRET_KEY": "sk_test_51QLk3aFakeOne",
    "STRIPE_WEBHOOK_SECRET": "whsec_fake_one",
    "STRIPE_API_BASE": "http://127.0.0.1:9",
}


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody, and the numbers in the addresses of their pages."""

    clients: dict[Visitor, Client]
    fill: dict[str, str]
    key_text: str

    def path(self, page: SitePage, language: str) -> str:
        """Return where a page is."""
        return f"/{language}/{page.path.format(**self.fill)}"

    def form(self, page: SitePage, language: str) -> dict[str, str]:
        """Return what is sent from the page to see its answer; empty: nothing is."""
        return {name: text.format(language=language) for name, text in page.form}

    def cookies(self, visitor: Visitor) -> dict[str, str]:
        """Return what a visitor's browser has to send to be known."""
        jar = self.clients[visitor].cookies
        return {name: morsel.value for name, morsel in jar.items()}

    def renew(self) -> None:
        """Bring back what the look at a page uses up: recovery codes are shown once."""
        guarded = User.objects.get(email="grace@example.com")
        _with_recovery_codes(guarded)


def gathered() -> Cast:
    """Write everybody into the empty database that is connected to."""
    _sell()
    owner, key, key_text = _owner()
    guarded = _guarded()
    staff = User.objects.create_user("staff@example.com", is_staff=True)
    EmailAddress.objects.create(user=staff, email=staff.email, verified=True, primary=True)
    clients: dict[Visitor, Client] = {
        "nobody": Client(raise_request_exception=False),
        "owner": _logged_in(owner),
        "beginner": _logged_in(_user("bea@example.com")),
        "guarded": _logged_in(guarded),
        "entering": _entering(guarded),
        "staff": _logged_in(staff),
    }
    fill = {
        "key": str(key.pk),
        "session": SESSION,
        "confirm": _confirmation(),
        "reset": f"{user_pk_to_url_str(owner)}-{default_token_generator.make_token(owner)}",
    }
    return Cast(clients, fill, key_text)


def _sell() -> None:
    for model, prices in ((Plan, PLAN_PRICES), (CreditPack, PACK_PRICES)):
        for label, (price, cents) in prices.items():
            model._default_manager.filter(label=label).update(
                stripe_price_id=price, price_cents=cents, currency="EUR"
            )


def _user(email: str) -> User:
    user = User.objects.create_user(email, PASSWORD)
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    return user


def _owner() -> tuple[User, ApiKey, str]:
    user = _user("ada.lovelace@example.com")
    key, secret = create_key(user, "Shop photos, nightly", monthly_cap=2000)
    second, _ = create_key(user, "<b>Team</b> of the very long name that nobody shortens")
    rotate_key(second, dt.timedelta(hours=24))
    ended, _ = create_key(user, "Old laptop")
    revoke(ended)
    create_token(user, "")
    create_token(user, "")
    _subscribed(user)
    _bought(user)
    _used(user, (key, second))
    return user, key, secret.text


def _subscribed(user: User) -> None:
    """Let the user have paid for three periods, of which the third runs."""
    plan = Plan.objects.get(label="Pro-5000")
    customer = Customer.objects.create(pk=f"cus_{user.pk}", user=user)
    Subscription.objects.create(
        pk=f"sub_{user.pk}", customer=customer, status="active", interval="month"
    )
    for period in _periods():
        at = dt.datetime.fromtimestamp(period.start, dt.UTC)
        with changing(user.pk):
            write_window(user.pk, period, plan.credits, at=at)
            follow(user.pk, Term(plan, period, period.end + CYCLE_S), at=at)


def _periods() -> list[Period]:
    start = unix(timezone.now()) - 17 * DAY_S
    return [Period(start - n * CYCLE_S, start - (n - 1) * CYCLE_S) for n in (2, 1, 0)]


def _bought(user: User) -> None:
    """Let the user have bought a pack, of which the Checkout page knows nothing yet."""
    top_up(user.pk, 1000, reference="cs_test_before")
    Checkout.objects.create(
        pk="cs_test_before",
        mode="payment",
        user=user,
        created=unix(timezone.now()) - 9 * DAY_S,
        is_paid=True,
        amount=1900,
        currency="eur",
        credits=1000,
    )


def _used(user: User, keys: tuple[ApiKey, ...]) -> None:
    """Let the user have used credits on most days, some of them prepaid."""
    first, today = _periods()[0], timezone.now().date()
    length = (today - dt.datetime.fromtimestamp(first.start, dt.UTC).date()).days
    for age in range(length, -1, -1):
        if age % 7 == 3:
            continue
        day = today - dt.timedelta(days=age)
        for key, credits_ in _of_day(age, keys):
            _count(user, day, key, credits_)


def _of_day(age: int, keys: tuple[ApiKey, ...]) -> Iterator[tuple[ApiKey | None, int]]:
    yield None, 8 + age * 11 % 40
    yield keys[0], 20 + age * 37 % 120
    if age % 3 == 0:
        yield keys[1], 5 + age * 5 % 30


def _count(user: User, day: dt.date, key: ApiKey | None, credits_: int) -> None:
    at = dt.datetime.combine(day, dt.time(1), dt.UTC)
    Day.objects.create(user=user, day=day, key=key, included=credits_, prepaid=credits_ // 20)
    counter = "app" if key is None else "api"
    changes = {counter: F(counter) + credits_}
    windows = Window.objects.filter(user=user)
    month, _ = windows.get_or_create(user=user, kind="month", start=month_of(at).start)
    windows.filter(pk=month.pk).update(**changes)
    cycles = windows.filter(kind="cycle", start__lte=unix(at), end__gt=unix(at))
    cycles.update(**changes)
    if key is not None:
        row, _ = KeyMonth.objects.get_or_create(key=key, start=month_of(at).start)
        KeyMonth.objects.filter(pk=row.pk).update(used=F("used") + credits_)


def _guarded() -> User:
    user = _user("grace@example.com")
    EmailAddress.objects.create(user=user, email="grace.hopper@example.com", verified=False)
    TOTP.activate(user, generate_totp_secret())
    _with_recovery_codes(user)
    return user


def _with_recovery_codes(user: User) -> None:
    kind = Authenticator.Type.RECOVERY_CODES
    Authenticator.objects.filter(user=user, type=kind).delete()
    RecoveryCodes.activate(user)


def _confirmation() -> str:
    """Return the key of a link that confirms an address."""
    user = User.objects.create_user("new@example.com", PASSWORD)
    address = EmailAddress.objects.create(user=user, email=user.email, verified=False, primary=True)
    return str(EmailConfirmationHMAC.create(address).key)


def _logged_in(user: User) -> Client:
    """Return a browser that is logged in, and has proved it so late that no test takes as long."""
    client = Client(raise_request_exception=False)
    client.force_login(user)
    proof = {"method": "password", "at": time.time() + DAY_S, "reauthenticated": True}
    session = client.session
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [proof]
    session[f"{AUTHENTICATION_METHODS_SESSION_KEY}_user"] = user_id_to_str(user)
    session.save()
    return client


def _entering(user: User) -> Client:
    client = Client(raise_request_exception=False)
    form = {"login": user.email, "password": PASSWORD}
    answer = client.post("/en/account/login/", form)
    assert answer.status_code == 302
    assert settings.SESSION_COOKIE_NAME in client.cookies
    return client
