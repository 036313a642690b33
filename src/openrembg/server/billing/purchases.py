"""What became of a purchase, as far as Stripe has told."""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final, Literal

from openrembg.server.billing.models import Checkout, Subscription
from openrembg.server.billing.subscriptions import (
    NEVER_BEGAN,
    granted_plans,
    live_subscription,
    live_subscriptions,
    status_of,
)

State = Literal["unknown", "waiting", "unpaid", "credited", "promised", "active", "beside", "over"]

_SESSION: Final = re.compile(r"cs_[A-Za-z0-9_]{1,250}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Purchase:
    """What became of one.

    unknown    no Checkout session has such a name
    waiting    Stripe has not told of it yet
    unpaid     it is done, and the bank takes its time
    credited   `credits` were added
    promised   it is paid, and the operator has to say what it is
    active     the subscription counts; plan: what it is here
    beside     it is paid, but another one counts, which brings more credits; plan: as above
    over       the subscription has ended since
    """

    state: State
    credits: int = 0
    plan: str = ""

    @property
    def may_change_soon(self) -> bool:
        """Whether it is worth while to look again in a second."""
        return self.state == "waiting"


def purchase(user_id: int, session_id: str, now: dt.datetime) -> Purchase:
    """Return what became of a user's purchase; another's is as unknown as one that is to come."""
    if not _SESSION.fullmatch(session_id):
        return Purchase("unknown")
    row = Checkout.objects.filter(pk=session_id, user=user_id).first()
    if row is None:
        return Purchase("waiting")
    if row.mode == "subscription":
        return _subscribed(user_id, row, now)
    if not row.is_paid:
        return Purchase("unpaid")
    if row.credits is None:
        return Purchase("promised")
    return Purchase("credited", credits=row.credits)


def _subscribed(user_id: int, row: Checkout, now: dt.datetime) -> Purchase:
    mine = Subscription.objects.filter(pk=row.subscription_id, customer__user=user_id).first()
    if mine is None or status_of(mine) in NEVER_BEGAN:
        return Purchase("waiting")
    plans = granted_plans(user_id, now)
    if mine.pk not in plans:
        # Its period is told by an event of its own.
        return Purchase("waiting")
    if mine.pk not in live_subscriptions(user_id, now):
        return Purchase("over")
    plan = plans[mine.pk]
    if plan is None:
        return Purchase("promised")
    counting = live_subscription(user_id, now)
    counts = counting is not None and counting.subscription.pk == mine.pk
    return Purchase("active" if counts else "beside", plan=plan.label)
