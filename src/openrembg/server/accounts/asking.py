"""Who is asking: decided from the request's headers; cookies say nothing here."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from openrembg.server.accounts.address import client_block
from openrembg.server.accounts.credentials import parse
from openrembg.server.accounts.models import ApiKey, Credential, UserToken
from openrembg.server.billing.subscriptions import reconcile
from openrembg.server.errors import (
    AccountGone,
    BothCredentials,
    EmailNotVerified,
    InvalidKey,
    InvalidToken,
)
from openrembg.server.quota.balances import BALANCE_COLUMNS, balance_from
from openrembg.server.quota.models import Balance
from openrembg.server.quota.spending import Payer
from openrembg.server.quota.windows import has_lapsed
from openrembg.server.sql import first

# "Last used" is for people, who do not ask for the second.
NOTE_USE_EVERY: Final = dt.timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Somebody without an account, known by the network they come from."""

    block: str


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody with an account.

    payer: what the request is charged to. balance: what the account has, with its plan, as it was
    when the request came.
    """

    payer: Payer
    is_verified: bool
    balance: Balance

    def require_verified(self) -> None:
        """Raise EmailNotVerified unless the user has confirmed an address."""
        if not self.is_verified:
            raise EmailNotVerified


def who_is_asking(request: HttpRequest) -> Anonymous | Member:
    """Return the caller.

    Raises BothCredentials for a key and a user token at once, InvalidKey and InvalidToken for one
    that opens no account now. `Authorization: Basic` is no user token.
    """
    key, token = _credentials(request)
    if key is not None:
        return _member_with_key(key)
    if token is not None:
        return _member_with_token(token)
    return Anonymous(client_block(request))


def member_with_key(request: HttpRequest) -> Member:
    """Return the caller of a route that takes an API key alone.

    Raises BothCredentials, and InvalidKey also when there is none.
    """
    caller = who_is_asking(request) if "X-Api-Key" in request.headers else None
    if not isinstance(caller, Member):
        raise InvalidKey
    return caller


def token_of(request: HttpRequest) -> UserToken:
    """Return the user token that a request comes with.

    Raises BothCredentials, and InvalidToken also when there is none.
    """
    _, text = _credentials(request)
    secret = parse("token", text or "")
    tokens = UserToken.objects.select_related("user")
    token = None if secret is None else tokens.filter(digest=secret.digest).first()
    if token is None or not token.is_alive(timezone.now()) or not token.user.is_active:
        raise InvalidToken
    return token


def _credentials(request: HttpRequest) -> tuple[str | None, str | None]:
    """Return the texts of the key and the token that were sent. Raises BothCredentials."""
    key = request.headers.get("X-Api-Key")
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer":
        return key, None
    if key is not None:
        raise BothCredentials
    return None, token.strip()


def _member_with_key(text: str) -> Member:
    secret = parse("key", text.strip())
    if secret is None:
        raise InvalidKey
    now = timezone.now()
    row = first(_WITH_KEY, now - NOTE_USE_EVERY, now, secret.digest)
    row = row or first(_WITH_OLD_KEY, now - NOTE_USE_EVERY, now, secret.digest, now)
    if row is None:
        raise InvalidKey
    return _member(ApiKey, Payer(row[1], "api", row[0], row[2]), row, now)


def _member_with_token(text: str) -> Member:
    secret = parse("token", text)
    if secret is None:
        raise InvalidToken
    now = timezone.now()
    row = first(_WITH_TOKEN, now - NOTE_USE_EVERY, now, secret.digest)
    if row is None:
        raise InvalidToken
    return _member(UserToken, Payer(row[1], "app"), row, now)


def _member(kind: type[Credential], payer: Payer, row: tuple[Any, ...], now: dt.datetime) -> Member:
    credential_id, _, _, is_used_long_ago, is_verified, *account = row
    if is_used_long_ago:
        _note_use(kind, credential_id, now)
    return Member(payer, bool(is_verified), present_balance(balance_from(account), now))


def present_balance(balance: Balance, now: dt.datetime) -> Balance:
    """Return what the account has now, when the billing period that was paid for may be over.

    Raises AccountGone.
    """
    if not has_lapsed(balance.period_start, balance.period_end, balance.next_end, now):
        return balance
    reconcile(balance.pk, now)
    present = Balance.objects.select_related("plan").filter(pk=balance.pk).first()
    if present is None:
        raise AccountGone
    return present


def _note_use(kind: type[Credential], credential_id: int, now: dt.datetime) -> None:
    # Of requests at once, which all saw that it was long ago, one writes.
    long_ago = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - NOTE_USE_EVERY)
    kind._default_manager.filter(long_ago, pk=credential_id).update(last_used_at=now)


_ACCOUNT: Final = """
SELECT c.id, c.user_id, {cap},
    c.last_used_at IS NULL OR c.last_used_at <= %s,
    EXISTS (SELECT 1 FROM account_emailaddress e WHERE e.user_id = c.user_id AND e.verified),
    {balance}
FROM {table} c
JOIN accounts_user u ON u.id = c.user_id
JOIN quota_balance b ON b.user_id = c.user_id
JOIN billing_plan p ON p.id = b.plan_id
WHERE u.is_active AND c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > %s)
"""
_KEY: Final = _ACCOUNT.format(cap="c.monthly_cap", table="accounts_apikey", balance=BALANCE_COLUMNS)
_WITH_KEY: Final = _KEY + "AND c.digest = %s"
_WITH_OLD_KEY: Final = _KEY + "AND c.previous_digest = %s AND c.previous_ends_at > %s"
_WITH_TOKEN: Final = (
    _ACCOUNT.format(cap="NULL", table="accounts_usertoken", balance=BALANCE_COLUMNS)
    + "AND c.digest = %s"
)
