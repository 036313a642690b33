"""Spend credits: hold one, then charge it or give it back.

Included credits go first. They are counted in the billing period when it is known, else in the
calendar month (UTC); both have a Window, and a charge counts in both.
"""

import datetime as dt
import uuid
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, cast

from django.db import IntegrityError, OperationalError, transaction

from openrembg.server import sql
from openrembg.server.errors import AccountGone, KeyCap, MonthlyLimit
from openrembg.server.observability.metrics import count_credit
from openrembg.server.quota import counters, deliveries, receipts
from openrembg.server.quota.balances import save_balance
from openrembg.server.quota.counters import Channel, Place, Source
from openrembg.server.quota.ledger import append, changing, period_of, place_of, together
from openrembg.server.quota.models import Balance, LedgerEntry, Reservation
from openrembg.server.quota.overdue import AT_ONCE, Watch, is_overdue, settle_each
from openrembg.server.quota.windows import Period, month_of

_watch: Final = Watch()


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose credit a picture costs, and through what. key_cap: credits a month, None for no cap."""

    user_id: int
    channel: Channel
    key_id: int | None = None
    key_cap: int | None = None

    @property
    def is_capped(self) -> bool:
        """Whether the key has a cap of its own."""
        return self.key_id is not None and self.key_cap is not None


@dataclass(frozen=True, slots=True)
class Left:
    """What a payer may still use. allowance: credits included in `window`. included, prepaid:
    those that are neither used nor held. of_key: below the key's own cap, None for no cap.
    """

    window: Period
    allowance: int
    included: int
    prepaid: int
    of_key: int | None

    @property
    def credits(self) -> int:
        """How many pictures that is."""
        owned = self.included + self.prepaid
        return owned if self.of_key is None else min(owned, self.of_key)

    @property
    def is_nothing(self) -> bool:
        """Whether there is none."""
        return self.credits == 0

    def without(self, credits_: int) -> "Left":
        """Return what is left without so many credits; they were included ones, if there are."""
        from_included = min(credits_, self.included)
        return replace(
            self,
            included=self.included - from_included,
            prepaid=max(0, self.prepaid - (credits_ - from_included)),
            of_key=None if self.of_key is None else max(0, self.of_key - credits_),
        )


@dataclass(frozen=True, slots=True)
class Hold:
    """A reserved credit. capped: the key's month holds it too."""

    id: uuid.UUID
    payer: Payer
    place: Place
    source: Source
    capped: bool


def left(payer: Payer, balance: Balance, now: dt.datetime) -> Left:
    """Return what a payer may still use, as it is now; `balance` may be a moment old."""
    place = place_of(balance, now)
    used, own = counters.spent(balance.pk, place)
    allowance = balance.plan.credits if own is None else own
    return Left(
        window=period_of(balance, now) or month_of(now),
        allowance=allowance,
        included=max(0, allowance - used),
        prepaid=max(0, balance.prepaid - balance.prepaid_held),
        of_key=_left_of_key(payer, place),
    )


def reserve(
    payer: Payer, now: dt.datetime, lasts: dt.timedelta, balance: Balance | None = None
) -> Hold:
    """Hold one credit for at most `lasts`, an included one if there is any.

    balance: what the request has loaded, a moment ago; with it, an included credit is held without
    locking the user's balance. Raises KeyCap when the key has used its own cap, MonthlyLimit when
    nothing is left.
    """
    hold = None if balance is None else _reserve_included(payer, balance, now, lasts)
    if hold is not None:
        return hold
    try:
        return _reserve(payer, now, lasts)
    except MonthlyLimit:
        # What a dead server holds is not used: look again before saying no.
        if not release_overdue(now, user_id=payer.user_id):
            raise
    return _reserve(payer, now, lasts)


def charge(hold: Hold, at: dt.datetime, *, until_sent: bool = False) -> Source:
    """Turn a reservation into a charge; return which kind of credit it was.

    at: when the picture was asked for. until_sent: undo it unless the picture is known to be sent
    (see quota/deliveries.py). A reservation that is gone, because it took longer than it
    was held for, is made anew first; raises KeyCap and MonthlyLimit when that cannot be.
    """
    with changing(hold.payer.user_id) as balance:
        if _claim(hold.id):
            source = _included_after_all(balance, hold)
        else:
            source = _hold(balance, hold.payer, hold.place)
        if source == "prepaid":
            balance.prepaid -= 1
            balance.prepaid_held -= 1
        payer, place = hold.payer, hold.place
        # Not combined with the others, whose order PostgreSQL chooses: windows are locked first.
        counters.count(payer.user_id, place, payer.channel, source)
        with sql.combined():
            if payer.key_id is not None:
                counters.count_of_key(payer.key_id, place.month, was_held=hold.capped)
            counters.count_of_day(payer.user_id, payer.key_id, at.astimezone(dt.UTC).date(), source)
            _append_charge(balance, hold, source, at)
            if until_sent:
                deliveries.expect(hold.id, payer.user_id)
        return source


def release(hold: Hold) -> bool:
    """Give a reserved credit back; return False when it was charged or given back already."""
    try:
        with changing(hold.payer.user_id) as balance:
            if not _claim(hold.id):
                return False
            _let_go(balance, hold)
            transaction.on_commit(partial(count_credit, "released", hold.source))
            return True
    except AccountGone:
        return False


def release_overdue(now: dt.datetime, **which: int) -> int:
    """Give back what servers held or charged that did not come back in time; return how many
    credits. which: a filter, for instance user_id=7.
    """
    held = Reservation.objects.filter(is_overdue(now), **which).order_by("deadline")[:AT_ONCE]
    released = settle_each((row.pk, partial(release, _hold_of(row))) for row in held)
    mine = receipts.running()
    sending = mine.expected() if mine else frozenset[uuid.UUID]()
    return released + deliveries.undo_overdue(now, _watch, sending, **which)


def _reserve(payer: Payer, now: dt.datetime, lasts: dt.timedelta) -> Hold:
    with changing(payer.user_id) as balance:
        place = place_of(balance, now)
        return _kept(payer, place, _hold(balance, payer, place), now + lasts)


def _reserve_included(
    payer: Payer, balance: Balance, now: dt.datetime, lasts: dt.timedelta
) -> Hold | None:
    """Hold an included credit by the window's own condition; None: it takes a closer look."""
    place = place_of(balance, now)
    try:
        with together():
            if not counters.hold_included(payer.user_id, place, balance.plan.credits):
                return None
            _hold_of_key(payer, place)
            return _kept(payer, place, "included", now + lasts)
    except (IntegrityError, OperationalError):
        # Another request added the same counter, the account is being deleted, or the database is
        # away: the longer way says which.
        return None


def _kept(payer: Payer, place: Place, source: Source, deadline: dt.datetime) -> Hold:
    """Write down what is held."""
    hold = Hold(uuid.uuid4(), payer, place, source, capped=payer.is_capped)
    sql.insert(
        Reservation(
            id=hold.id,
            user_id=payer.user_id,
            key_id=payer.key_id,
            channel=payer.channel,
            source=source,
            month_start=place.month,
            cycle_start=place.cycle,
            capped=hold.capped,
            deadline=deadline,
        )
    )
    return hold


def _hold(balance: Balance, payer: Payer, place: Place) -> Source:
    source: Source = "included"
    if not counters.hold_included(balance.pk, place, balance.plan.credits):
        source = "prepaid"
        if balance.prepaid_held >= balance.prepaid:
            raise MonthlyLimit
        balance.prepaid_held += 1
        save_balance(balance)
    _hold_of_key(payer, place)
    return source


def _hold_of_key(payer: Payer, place: Place) -> None:
    key_id, cap = payer.key_id, payer.key_cap
    if key_id is None or cap is None:
        return
    if not counters.hold_of_key(key_id, place.month, cap):
        raise KeyCap


def _left_of_key(payer: Payer, place: Place) -> int | None:
    if payer.key_id is None or payer.key_cap is None:
        return None
    return max(0, payer.key_cap - counters.spent_of_key(payer.key_id, place.month))


def _included_after_all(balance: Balance, hold: Hold) -> Source:
    """Spend an included credit in the place of a prepaid one, if one has come back meanwhile."""
    if hold.source == "included":
        return "included"
    if not counters.hold_included(balance.pk, hold.place, balance.plan.credits):
        return "prepaid"
    balance.prepaid_held -= 1
    return "included"


def _claim(hold_id: uuid.UUID) -> bool:
    """Take a reservation away; of all who try, one succeeds."""
    return bool(sql.run("DELETE FROM quota_reservation WHERE id = %s", hold_id))


def _let_go(balance: Balance, hold: Hold) -> None:
    """Undo what `_hold` did."""
    if hold.source == "included":
        counters.let_go(balance.pk, hold.place)
    else:
        balance.prepaid_held -= 1
        save_balance(balance)
    if hold.payer.key_id is not None and hold.capped:
        counters.let_go_of_key(hold.payer.key_id, hold.place.month)


def _append_charge(balance: Balance, hold: Hold, source: Source, now: dt.datetime) -> None:
    append(
        balance,
        LedgerEntry.CHARGE,
        at=now,
        included=-1 if source == "included" else 0,
        prepaid=-1 if source == "prepaid" else 0,
        channel=hold.payer.channel,
        key_id=hold.payer.key_id,
        month_start=hold.place.month,
        cycle_start=hold.place.cycle,
        reference=str(hold.id),
    )


def _hold_of(row: Reservation) -> Hold:
    payer = Payer(row.user_id, cast(Channel, row.channel), row.key_id)
    place = Place(row.month_start, row.cycle_start)
    return Hold(row.pk, payer, place, cast(Source, row.source), row.capped)
