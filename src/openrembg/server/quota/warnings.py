"""Who has to hear that their included credits run out.

Nothing of it is on the way of a paid request. Now and then one server looks at the users in whose
ledger something has happened since the last look, and notes a warning for each level that is
reached; `warning_mails` sends them. The unique constraint sees to it that each is noted once.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from allauth.account.models import EmailAddress
from django.db import IntegrityError
from django.db.models import Exists, Max, OuterRef, QuerySet

from openrembg.server.accounts.models import User
from openrembg.server.quota.ledger import place_of, together
from openrembg.server.quota.models import Balance, LedgerEntry, UsageLook, UsageWarning, Window

# In percent of what a window includes, the highest first: only that one is told.
LEVELS: Final = (100, 80)
EVERY: Final = dt.timedelta(seconds=60)
# So many users are looked at in one query.
CHUNK: Final = 500
# The one row of UsageLook.
ONLY: Final = 1


class Reached(NamedTuple):
    """A level that a user has reached: percent of the credits that a window includes."""

    user_id: int
    kind: str
    start: int
    allowance: int
    level: int


def note_warnings(now: dt.datetime) -> int:
    """Note whom to warn; return how many are new. Of several servers, one looks each time.

    Entries of the look before are looked at again: one with a smaller number may have been
    committed after it.
    """
    look = _claimed_look(now)
    if look is None:
        return 0
    newest = LedgerEntry.objects.aggregate(newest=Max("pk"))["newest"] or 0
    noted = sum(_note(users, now) for users in _active(look.before, newest))
    UsageLook.objects.filter(pk=ONLY).update(before=look.seen, seen=newest)
    return noted


def level_of(used: int, allowance: int) -> int | None:
    """Return the highest level that is reached, None below all of them or without an allowance."""
    if allowance <= 0:
        return None
    return next((level for level in LEVELS if used * 100 >= level * allowance), None)


def readers() -> QuerySet[User]:
    """Return the users who may get mails about their usage: active, verified, and willing."""
    own = EmailAddress.objects.filter(
        user=OuterRef("pk"), email__iexact=OuterRef("email"), verified=True
    )
    return User.objects.filter(Exists(own), is_active=True, usage_mails=True)


def _claimed_look(now: dt.datetime) -> UsageLook | None:
    """Return where to begin, if it is time and no other server has begun."""
    look = UsageLook.objects.filter(pk=ONLY).first()
    if look is None:
        UsageLook.objects.bulk_create([UsageLook(pk=ONLY, due_at=now)], ignore_conflicts=True)
        look = UsageLook.objects.get(pk=ONLY)
    # One that is further away was made by a clock that was wrong.
    if now < look.due_at <= now + EVERY:
        return None
    same = UsageLook.objects.filter(pk=ONLY, due_at=look.due_at)
    return look if same.update(due_at=now + EVERY) else None


def _active(after: int, newest: int) -> Iterator[Sequence[int]]:
    """Yield the users whose ledger has entries after one, up to the newest; some at a time."""
    entries = LedgerEntry.objects.filter(pk__gt=after, pk__lte=newest)
    users = sorted(entries.values_list("user_id", flat=True).distinct())
    for first in range(0, len(users), CHUNK):
        yield users[first : first + CHUNK]


def _note(user_ids: Sequence[int], now: dt.datetime) -> int:
    reached = list(_reached(user_ids, now))
    users, starts = {one.user_id for one in reached}, {one.start for one in reached}
    known = set(
        UsageWarning.objects.filter(user__in=users, start__in=starts).values_list(*Reached._fields)
    )
    return sum(_is_noted(one, now) for one in reached if one not in known)


def _reached(user_ids: Sequence[int], now: dt.datetime) -> Iterator[Reached]:
    """Yield the highest level that each user has reached in the window that counts now."""
    willing = readers().filter(pk__in=user_ids)
    balances = Balance.objects.filter(user__in=willing).select_related("plan").order_by("pk")
    places = {balance.pk: (balance.pk, *place_of(balance, now).enforced) for balance in balances}
    windows = _windows(places.values())
    for balance in balances:
        window = windows.get(places[balance.pk])
        if window is None:
            continue
        allowance = balance.plan.credits if window.credits is None else window.credits
        level = level_of(window.app + window.api, allowance)
        if level is not None:
            yield Reached(balance.pk, window.kind, window.start, allowance, level)


def _windows(places: Iterable[tuple[int, str, int]]) -> dict[tuple[int, str, int], Window]:
    """Return windows by user, kind and start."""
    places = list(places)
    users, starts = {user_id for user_id, _, _ in places}, {start for _, _, start in places}
    rows = Window.objects.filter(user__in=users, start__in=starts)
    return {(row.user_id, row.kind, row.start): row for row in rows}


def _is_noted(reached: Reached, now: dt.datetime) -> bool:
    """Note a warning; return False when another server has, or the account is gone."""
    row = UsageWarning(**reached._asdict(), due_at=now)
    try:
        with together():
            row.save(force_insert=True)
    except IntegrityError:
        return False
    return True
