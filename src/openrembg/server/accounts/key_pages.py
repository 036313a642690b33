"""The pages on which a user sees, makes, changes and ends their API keys and user tokens.

Every key is looked for among the user's own, so that another's is not there (404).
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from openrembg.server.accounts.credentials import Secret
from openrembg.server.accounts.key_forms import ChangeKeyForm, NewKeyForm, RotateForm
from openrembg.server.accounts.keys import (
    MAX_KEYS,
    NotAlive,
    TooManyKeys,
    alive,
    change_key,
    create_key,
    revoke,
    revoke_all,
    rotate_key,
)
from openrembg.server.accounts.models import ApiKey, User, UserToken
from openrembg.server.accounts.once import claim
from openrembg.server.quota.models import KeyMonth
from openrembg.server.quota.windows import month_of

# Of keys that have ended, the newest are shown.
MAX_ENDED: Final = 50


@dataclass(frozen=True, slots=True)
class Line:
    """A key as the list shows it. used: credits in this calendar month (UTC)."""

    key: ApiKey
    used: int
    is_alive: bool
    old_text_ends_at: dt.datetime | None


@login_required
@require_http_methods(["GET", "POST"])
def keys(request: HttpRequest) -> HttpResponse:
    """List the user's keys; make one and show its text, this once."""
    form = NewKeyForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _list(request, form)
    user = _owner(request)
    if not claim(request, user, form.cleaned_data["ticket"]):
        return _was_sent_before(request)
    try:
        key, secret = create_key(user, **form.facts)
    except TooManyKeys:
        text = _("You have %(number)s keys that work, and nobody may have more. Revoke one first.")
        messages.error(request, text % {"number": MAX_KEYS})
        return redirect("account_keys")
    return _shown_once(request, key, secret)


@login_required
@require_http_methods(["GET", "POST"])
def key(request: HttpRequest, pk: int) -> HttpResponse:
    """Change what a key is called and how far it goes."""
    mine = _living(request, pk)
    if mine is None:
        return _has_ended(request)
    form = ChangeKeyForm(mine, request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return render(request, "account_keys/change.html", {"key": mine, "form": form})
    try:
        change_key(mine, **form.facts)
    except NotAlive:
        return _has_ended(request)
    messages.success(request, _("The key is changed."))
    return redirect("account_keys")


@login_required
@require_http_methods(["GET", "POST"])
def rotate(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a key a new text and show it, this once."""
    mine = _living(request, pk)
    if mine is None:
        return _has_ended(request)
    form = RotateForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return render(request, "account_keys/rotate.html", {"key": mine, "form": form})
    if not claim(request, _owner(request), form.cleaned_data["ticket"]):
        return _was_sent_before(request)
    try:
        secret = rotate_key(mine, form.lasts)
    except NotAlive:
        return _has_ended(request)
    mine.refresh_from_db()
    return _shown_once(request, mine, secret)


@login_required
@require_http_methods(["GET", "POST"])
def revoke_key(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask whether a key is to end, and end it."""
    mine = _living(request, pk)
    if mine is None:
        return _has_ended(request)
    if request.method != "POST":
        return render(request, "account_keys/revoke.html", {"key": mine})
    revoke(mine)
    messages.success(request, _("The key is revoked."))
    return redirect("account_keys")


@login_required
@require_http_methods(["GET"])
def tokens(request: HttpRequest) -> HttpResponse:
    """List the user's tokens that work."""
    living = alive(UserToken, _owner(request))
    return render(request, "account_keys/tokens.html", {"tokens": living})


@login_required
@require_POST
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    """End one token."""
    revoke(get_object_or_404(UserToken, pk=pk, user=_owner(request)))
    messages.success(request, _("The token is revoked."))
    return redirect("account_tokens")


@login_required
@require_POST
def revoke_tokens(request: HttpRequest) -> HttpResponse:
    """End all of the user's tokens."""
    revoke_all(_owner(request), UserToken)
    messages.success(request, _("All tokens are revoked."))
    return redirect("account_tokens")


def _list(request: HttpRequest, form: NewKeyForm) -> HttpResponse:
    lines = _lines(_owner(request), timezone.now())
    context: dict[str, Any] = {
        "form": form,
        "living": [line for line in lines if line.is_alive],
        "ended": [line for line in lines if not line.is_alive][:MAX_ENDED],
    }
    return render(request, "account_keys/keys.html", context)


def _lines(user: User, now: dt.datetime) -> list[Line]:
    months = KeyMonth.objects.filter(key__user=user, start=month_of(now).start)
    used = dict(months.values_list("key_id", "used"))
    mine = ApiKey.objects.filter(user=user).order_by("-pk")
    return [
        Line(key, used.get(key.pk, 0), key.is_alive(now), _old_text_ends_at(key, now))
        for key in mine
    ]


def _old_text_ends_at(key: ApiKey, now: dt.datetime) -> dt.datetime | None:
    ends = key.previous_ends_at
    return ends if ends is not None and ends > now else None


def _shown_once(request: HttpRequest, key: ApiKey, secret: Secret) -> HttpResponse:
    ends = _old_text_ends_at(key, timezone.now())
    # Of this very request: whoever reads the page sent its Host header, and has reached us by it.
    site = settings.OPENREMBG.public_url or f"{request.scheme}://{request.get_host()}"
    context = {
        "key": key,
        "text": secret.text,
        "old_text_ends_at": ends,
        "rmbg_url": f"{site}/rmbg",
    }
    response = render(request, "account_keys/fresh.html", context)
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _was_sent_before(request: HttpRequest) -> HttpResponse:
    text = _("This form was sent before, so nothing was done. A key is shown only once.")
    messages.warning(request, text)
    return redirect("account_keys")


def _has_ended(request: HttpRequest) -> HttpResponse:
    messages.warning(request, _("This key has ended, and nothing starts it again."))
    return redirect("account_keys")


def _living(request: HttpRequest, pk: int) -> ApiKey | None:
    """Return the user's key, None for one that has ended. Raises Http404 for anybody else's."""
    mine = get_object_or_404(ApiKey, pk=pk, user=_owner(request))
    return mine if mine.is_alive(timezone.now()) else None


def _owner(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 (login_required has seen to that)
    return request.user
