"""`openrembg admin create-key`, `create-token`, `list-keys`, `revoke-key`: credentials."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from openrembg.cli.admin_arguments import line, moment, whole
from openrembg.cli.admin_database import Email, find_user, opened
from openrembg.cli.terminal import USAGE, print_table, say, shown, stop

if TYPE_CHECKING:
    from openrembg.server.accounts.models import ApiKey, User

KEY_COLUMNS = ("begins with", "name", "state", "created", "expires", "last used", "cap", "used")


def create_key(
    email: Email,
    name: Annotated[
        str, typer.Option("--name", metavar="N", help="What its owner will know it by.")
    ] = "",
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires",
            metavar="DATE|DAYS",
            help="The last day on which it works (UTC), or for how many days. Default: for ever.",
        ),
    ] = None,
    cap: Annotated[
        str | None,
        typer.Option(
            "--cap", metavar="N", help="The credits that it may use in a calendar month (UTC)."
        ),
    ] = None,
) -> None:
    """Print a new API key of a user, and nothing else. Nobody can read it again."""
    now = dt.datetime.now(dt.UTC)
    expires_at = None if expires is None else moment(expires, now)
    monthly_cap = None if cap is None else whole(cap, "--cap", 0)
    with opened():
        from openrembg.server.accounts import keys
        from openrembg.server.accounts.models import MAX_NAME

        user, label = find_user(email), line(name, "name", MAX_NAME)
        try:
            _, secret = keys.create_key(user, label, expires_at=expires_at, monthly_cap=monthly_cap)
        except keys.TooManyKeys:
            stop(f"{user.email} has {keys.MAX_KEYS} keys already; revoke one first.")
        typer.echo(secret.text)


def create_token(email: Email) -> None:
    """Print a new user token, and nothing else; the settings say for how long it is valid."""
    with opened():
        from openrembg.server.accounts import keys

        _, secret = keys.create_token(find_user(email), "create-token")
        typer.echo(secret.text)


def list_keys(email: Email) -> None:
    """List a user's API keys: cap and use are credits in this calendar month (UTC)."""
    with opened():
        from django.utils import timezone

        user, now = find_user(email), timezone.now()
        used = _used_this_month(user, now)
        rows = [_row(key, used.get(key.pk, 0), now) for key in _keys(user)]
    print_table(KEY_COLUMNS, rows)


def revoke_key(
    email: Email,
    prefix: Annotated[
        str, typer.Argument(metavar="PREFIX", help="How the key begins, or all of it.")
    ],
) -> None:
    """End a key, from this moment on in every server."""
    with opened():
        from django.utils import timezone

        from openrembg.server.accounts.keys import revoke

        user, now = find_user(email), timezone.now()
        key = _one_key(user, prefix.strip(), now)
        if key.is_alive(now):
            revoke(key)
            say(f"The key {key.prefix}… of {user.email} is revoked.")
        else:
            say(f"The key {key.prefix}… of {user.email} had ended already.")


def _keys(user: "User") -> "list[ApiKey]":
    from openrembg.server.accounts.models import ApiKey

    return list(ApiKey.objects.filter(user=user).order_by("-pk"))


def _one_key(user: "User", text: str, now: dt.datetime) -> "ApiKey":
    """Return the key that begins like this; of several, the one that is alive."""
    from openrembg.server.accounts.credentials import parse

    whole_key = parse("key", text)
    found = [
        key
        for key in _keys(user)
        if (
            whole_key.digest in (key.digest, key.previous_digest)
            if whole_key
            else text and key.prefix.startswith(text)
        )
    ]
    alive = [key for key in found if key.is_alive(now)]
    if not found:
        stop(f"{user.email} has no key that begins with '{shown(text[:10])}'.")
    if len(alive) > 1:
        names = ", ".join(key.prefix for key in alive)
        stop(f"Several keys begin like this: {names}.", USAGE)
    return (alive or found)[0]


def _used_this_month(user: "User", now: dt.datetime) -> dict[int, int]:
    from openrembg.server.quota.models import KeyMonth
    from openrembg.server.quota.windows import month_of

    months = KeyMonth.objects.filter(key__user=user, start=month_of(now).start)
    return dict(months.values_list("key_id", "used"))


def _row(key: "ApiKey", used: int, now: dt.datetime) -> list[str]:
    return [
        key.prefix,
        shown(key.name),
        _state(key, now),
        _day(key.created_at),
        _day(key.expires_at),
        _day(key.last_used_at),
        "" if key.monthly_cap is None else str(key.monthly_cap),
        str(used),
    ]


def _state(key: "ApiKey", now: dt.datetime) -> str:
    if key.is_alive(now):
        return "active"
    return "expired" if key.revoked_at is None else "revoked"


def _day(at: dt.datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(dt.UTC):%Y-%m-%d}"
