"""Forms that do their work once, however often a browser sends them.

A page that shows a fresh key is the answer to a POST, because nothing keeps the key's text. When
that page is reloaded the browser sends the form again; its ticket says that it is the same form.
"""

import secrets
from typing import Final

from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import transaction
from django.http import HttpRequest

from openrembg.server.accounts.models import User

USED: Final = "used_tickets"
# More forms than anybody has open; whoever sends an older one again does it on purpose.
KEPT: Final = 200
MAX_CHARS: Final = 32


def fresh_ticket() -> str:
    """Return the ticket of a form that is shown anew."""
    return secrets.token_urlsafe(16)


def claim(request: HttpRequest, user: User, ticket: str) -> bool:
    """Return whether a form comes for the first time; of two at once one does.

    Raises SessionInterrupted (400) when the user has logged out meanwhile.
    """
    try:
        return _claim(request, user, ticket)
    except UpdateError as error:
        raise SessionInterrupted("The session has ended.") from error


def _claim(request: HttpRequest, user: User, ticket: str) -> bool:
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        # As the session is now, not as it was when the request came.
        used = type(request.session)(request.session.session_key).get(USED, [])
        is_first = ticket not in used
        request.session[USED] = [*used, ticket][-KEPT:] if is_first else used
        request.session.save()
        return is_first
