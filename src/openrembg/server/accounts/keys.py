"""API keys and user tokens: made, replaced, ended."""

import datetime as dt
from typing import Final, TypeVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from openrembg.server.accounts.credentials import Secret, fresh
from openrembg.server.accounts.models import ApiKey, Credential, User, UserToken

C = TypeVar("C", bound=Credential)

MAX_KEYS: Final = 100
MAX_TOKENS: Final = 100
MAX_OVERLAP: Final = dt.timedelta(days=30)


class TooManyKeys(Exception):
    """The user has as many live keys as one may have."""


class NotAlive(Exception):
    """The key has been revoked or has expired."""


def create_key(
    user: User,
    name: str = "",
    *,
    expires_at: dt.datetime | None = None,
    monthly_cap: int | None = None,
) -> tuple[ApiKey, Secret]:
    """Return a new key and its text, which nobody can read again. Raises TooManyKeys."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if alive(ApiKey, user).count() >= MAX_KEYS:
            raise TooManyKeys
        secret = fresh("key")
        key = ApiKey.objects.create(
            user=user,
            name=name,
            prefix=secret.prefix,
            digest=secret.digest,
            expires_at=expires_at,
            monthly_cap=monthly_cap,
        )
        return key, secret


def rotate_key(key: ApiKey, overlap: dt.timedelta) -> Secret:
    """Give a key a new text; the old one goes on working for `overlap` (0 to 30 days).

    Name, cap, expiry and usage stay. Of two rotations within the overlap, the first text ends at
    the second one. Raises NotAlive.
    """
    now, secret = timezone.now(), fresh("key")
    with transaction.atomic():
        old = ApiKey.objects.select_for_update().get(pk=key.pk)
        if not old.is_alive(now):
            raise NotAlive
        old.previous_digest = old.digest
        old.previous_ends_at = now + min(max(overlap, dt.timedelta(0)), MAX_OVERLAP)
        old.digest, old.prefix = secret.digest, secret.prefix
        old.save(update_fields=("previous_digest", "previous_ends_at", "digest", "prefix"))
    return secret


def change_key(
    key: ApiKey, *, name: str, expires_at: dt.datetime | None, monthly_cap: int | None
) -> None:
    """Change what a key is called and how far it goes, not its text. Raises NotAlive."""
    changed = alive(ApiKey, key.user).filter(pk=key.pk)
    if not changed.update(name=name, expires_at=expires_at, monthly_cap=monthly_cap):
        raise NotAlive


def create_token(
    user: User, name: str = "", *, session_digest: str = ""
) -> tuple[UserToken, Secret]:
    """Return a new user token and its text; it lives as long as the settings say.

    session_digest: of the session that it ends with, when there is one.
    Of a user's tokens the newest MAX_TOKENS stay; the others, which are old, are deleted.
    """
    secret, now = fresh("token"), timezone.now()
    lifetime = dt.timedelta(seconds=settings.OPENREMBG.token_lifetime_s)
    token = UserToken.objects.create(
        user=user,
        name=name,
        prefix=secret.prefix,
        digest=secret.digest,
        created_at=now,
        expires_at=now + lifetime,
        session_digest=session_digest,
    )
    tokens = UserToken.objects.filter(user=user)
    newest = tokens.order_by("-pk").values_list("pk", flat=True)[:MAX_TOKENS]
    tokens.exclude(pk__in=list(newest)).delete()
    return token, secret


def revoke(credential: Credential) -> None:
    """End a credential, from this moment on in every process; a dead one stays as it is."""
    type(credential)._default_manager.filter(pk=credential.pk, revoked_at__isnull=True).update(
        revoked_at=timezone.now()
    )


def revoke_all(user: User, *kinds: type[Credential]) -> None:
    """End everything of these kinds, or of all, that opens the user's account to programs."""
    for kind in kinds or (ApiKey, UserToken):
        kind._default_manager.filter(user=user, revoked_at__isnull=True).update(
            revoked_at=timezone.now()
        )


def alive(kind: type[C], user: User) -> models.QuerySet[C]:
    """Return the user's credentials of a kind that open the account now, newest first."""
    still = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
    return kind._default_manager.filter(still, user=user, revoked_at__isnull=True).order_by("-pk")
