"""The end of a session: the user tokens that its pages got end with it."""

from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from openrembg.server import errors
from openrembg.server.accounts.credentials import Secret, digest_of
from openrembg.server.accounts.keys import create_token
from openrembg.server.accounts.models import User, UserToken


def create_token_of_session(user: User, session: SessionBase) -> tuple[UserToken, Secret]:
    """Return a new user token that lives no longer than the session, and its text.

    Raises NotLoggedIn when the session has ended meanwhile.
    """
    key = session.session_key or ""
    with transaction.atomic():
        _lock(user)
        if not session.exists(key):
            raise errors.NotLoggedIn
        return create_token(user, session_digest=digest_of(key))


def end_tokens(*, request: HttpRequest, user: Any, **_rest: Any) -> None:
    """End a session and its tokens at once: no page gets one in between."""
    key = request.session.session_key
    if user is None or key is None:
        return
    with transaction.atomic():
        _lock(user)
        tokens = UserToken.objects.filter(user_id=user.pk, session_digest=digest_of(key))
        tokens.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())
        request.session.delete()


def _lock(user: User) -> None:
    list(User.objects.select_for_update().filter(pk=user.pk).values_list("pk"))
