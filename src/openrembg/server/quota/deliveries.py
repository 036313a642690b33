"""Charges whose pictures are on their way: each is forgotten once sent, or else undone.

The row is written in the charge's own transaction, so whatever happens between that and the last
byte of the answer, somebody finds it: the server that sends, or any server after the deadline.
"""

import datetime as dt
import uuid
from collections.abc import Collection
from functools import partial
from typing import Any, Final, cast

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from openrembg.server import sql
from openrembg.server.errors import AccountGone
from openrembg.server.observability.metrics import count_credit
from openrembg.server.quota import counters
from openrembg.server.quota.counters import Channel, Place, Source
from openrembg.server.quota.ledger import append, changing, together
from openrembg.server.quota.models import Balance, Delivery, LedgerEntry
from openrembg.server.quota.overdue import Watch, is_overdue, settle_each

# Who sends says so again well before; a dead server's charges are undone so long after its end.
LASTS: Final = dt.timedelta(seconds=60)
# Below the number of parameters that every SQLite takes.
AT_ONCE: Final = 500


def expect(hold_id: uuid.UUID, user_id: int) -> None:
    """Write down, in a charge's transaction, that its picture has still to be sent."""
    sql.insert(Delivery(id=hold_id, user_id=user_id, deadline=timezone.now() + LASTS))


def forget(ids: Collection[uuid.UUID]) -> None:
    """Let so many charges stand, at most AT_ONCE: their pictures were sent."""
    with together():
        Delivery.objects.filter(pk__in=ids).delete()


def prolong(ids: Collection[uuid.UUID]) -> None:
    """Let it be known of so many deliveries, at most AT_ONCE, that they are still being sent."""
    with together():
        Delivery.objects.filter(pk__in=ids).update(deadline=timezone.now() + LASTS)


def undo(hold_id: uuid.UUID, user_id: int, only: Q | None = None) -> bool:
    """Give a charge back whose picture was not sent; return False when there is none to undo.

    Of all who try, one does it. What was charged in a month that has ended counts there no more.
    only: what has to be true of the delivery. Raises IntegrityError when somebody has changed a
    counter: `openrembg admin verify-ledger` says which.
    """
    try:
        with changing(user_id) as balance:
            return _claim(hold_id, only) and _return(balance, hold_id)
    except AccountGone:
        _claim(hold_id, only)
    return False


def undo_overdue(
    now: dt.datetime, watch: Watch, sparing: Collection[uuid.UUID] = (), **which: int
) -> int:
    """Undo what nobody sends any more; return how many charges.

    watch: what was seen overdue before; what was not has to wait. sparing: what this process still
    sends, whatever the clock says. which: a filter, for instance user_id=7.
    """
    overdue = is_overdue(now)
    found = Delivery.objects.filter(overdue, **which).order_by("deadline")
    rows = {row.pk: row for row in found.iterator() if row.pk not in sparing}
    left = watch.seen_twice((row.pk, row.deadline) for row in rows.values())
    return settle_each((one, partial(undo, one, rows[one].user_id, overdue)) for one in left)


def charge_of(user_id: int, reference: str) -> LedgerEntry | None:
    """Return the charge with a reference, the newest entries looked at first."""
    charges = LedgerEntry.objects.filter(
        user_id=user_id, event=LedgerEntry.CHARGE, reference=reference
    )
    return charges.order_by("-number").first()


def return_of(charge: LedgerEntry) -> dict[str, Any]:
    """Return what an entry says that undoes a charge."""
    return {
        "at": charge.at,
        "included": -charge.included,
        "prepaid": -charge.prepaid,
        "channel": charge.channel,
        "key_id": charge.key_id,
        "month_start": charge.month_start,
        "cycle_start": charge.cycle_start,
        "reference": charge.reference,
    }


def _claim(hold_id: uuid.UUID, only: Q | None) -> bool:
    """Take a delivery away; of all who try, one succeeds."""
    deliveries = Delivery.objects.filter(pk=hold_id)
    if only is not None:
        deliveries = deliveries.filter(only)
    return bool(deliveries.delete()[0])


def _return(balance: Balance, hold_id: uuid.UUID) -> bool:
    charge = charge_of(balance.pk, str(hold_id))
    if charge is None:
        return False
    channel, month = cast(Channel, charge.channel), cast(int, charge.month_start)
    source: Source = "included" if charge.included else "prepaid"
    balance.prepaid -= charge.prepaid
    # In the order in which a charge counts them, so that none waits for another in a circle.
    counters.uncount(balance.pk, Place(month, charge.cycle_start), channel, source)
    if charge.key_id is not None:
        counters.uncount_of_key(charge.key_id, month)
    day = charge.at.astimezone(dt.UTC).date()
    counters.uncount_of_day(balance.pk, charge.key_id, day, source)
    append(balance, LedgerEntry.RETURN, **return_of(charge))
    transaction.on_commit(partial(count_credit, "returned", source))
    return True
