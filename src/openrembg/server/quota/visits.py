"""One request's way through the limits: count it, see what is left, hold a unit, settle it.

An anonymous caller spends cut-outs of the day, a member credits.
"""

import datetime as dt
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Literal, Protocol

from django.conf import settings
from django.db import Error
from django.utils import timezone
from limits.storage import Storage

from openrembg.server.accounts.asking import Anonymous, Member
from openrembg.server.errors import DailyLimit, KeyCap, MonthlyLimit
from openrembg.server.observability.metrics import CreditEvent, count_credit
from openrembg.server.observability.stages import stage
from openrembg.server.quota import ledger, spending
from openrembg.server.quota.rates import MINUTE_S, PLENTY, Policy, Rates, Standing
from openrembg.server.quota.receipts import Receipts
from openrembg.server.quota.spending import Left
from openrembg.server.sending import Receipt

Source = Literal["included", "prepaid", "anonymous"]

logger = logging.getLogger("openrembg.quota")


class Held(Protocol):
    """A unit that is held for one picture. source: what it is a unit of."""

    @property
    def source(self) -> Source:
        """Whose unit it is."""

    def charge(self, receipts: Receipts | None) -> None:
        """Spend it. receipts: where `receipt` shall lead; None: it stays spent in any case."""

    @property
    def receipt(self) -> Receipt | None:
        """Who is to know whether the picture was sent, once it is charged; None: nobody."""

    def release(self) -> None:
        """Give it back, if it is still held."""


class Visit(Protocol):
    """One request's way; the methods are called in this order."""

    def count_request(self) -> None:
        """Count the request for the minute. Raises TooFast."""

    def check_left(self) -> None:
        """Raise DailyLimit or MonthlyLimit when nothing is left, without taking anything."""

    def hold(self) -> AbstractContextManager[Held]:
        """Hold a unit while the block runs; whatever it raises gives it back."""

    def settling(self) -> AbstractContextManager[None]:
        """Let the block's charge and the answer that it keeps be one transaction."""

    def standings(self) -> tuple[Standing, Standing]:
        """Return how the caller stands with both limits, after this request."""


def visit_for(caller: Anonymous | Member, rates: Rates) -> Visit:
    """Return a caller's way."""
    if isinstance(caller, Anonymous):
        return AnonymousVisit(rates, caller.block)
    return MemberVisit(rates, caller)


@dataclass(slots=True)
class AnonymousVisit:
    """Requests a minute and cut-outs a day, for each network."""

    rates: Rates
    block: str
    _seen: dict[str, Standing] = field(default_factory=dict)
    _held_in: Storage | None = None
    _holds: bool = False
    receipt: Receipt | None = None
    source: Final[Source] = "anonymous"

    def count_request(self) -> None:
        """Count the request for the minute. Raises TooFast when that was one too many."""
        self._seen["minute"] = self.rates.count_request(self.rates.minute, self.block)

    def check_left(self) -> None:
        """Raise DailyLimit when nothing is left of the day, without taking anything."""
        standing = self.rates.look(self.rates.day, self.block)
        self._seen["day"] = standing
        if standing.remaining == 0:
            raise DailyLimit

    def reserve(self) -> None:
        """Take one cut-out of the day. Raises DailyLimit when none is left."""
        policy = self.rates.day
        left, self._seen["day"], storage = self.rates.take(policy, self.block)
        if not left:
            self.rates.give_back(policy, self.block, storage)
            raise DailyLimit
        self._holds, self._held_in = True, storage

    @contextmanager
    def hold(self) -> Iterator[Held]:
        """Hold one cut-out of the day. Raises DailyLimit when none is left."""
        self.reserve()
        try:
            yield self
        except BaseException:
            self.release()
            raise

    def settling(self) -> AbstractContextManager[None]:
        """Return a context that does nothing: no answer is kept."""
        return nullcontext()

    def charge(self, receipts: Receipts | None) -> None:
        """Leave it counted; it is given back when the picture was not sent."""
        if receipts is not None:
            self.receipt = receipts.for_unit(partial(self._give_back, "returned"))

    def release(self) -> None:
        """Give the cut-out back, if it is still held."""
        self._give_back("released")

    def _give_back(self, event: CreditEvent) -> None:
        if not self._holds:
            return
        count_credit(event, self.source)
        policy, standing = self.rates.day, self._seen["day"]
        self.rates.give_back(policy, self.block, self._held_in)
        self._holds = False
        if policy.is_limited:
            back = min(standing.remaining + 1, policy.limit)
            self._seen["day"] = replace(standing, remaining=back)

    def standings(self) -> tuple[Standing, Standing]:
        """Return how the caller stands with the minute and the day, after this request."""
        return self._standing(self.rates.minute), self._standing(self.rates.day)

    def _standing(self, policy: Policy) -> Standing:
        return self._seen.get(policy.name) or self.rates.look(policy, self.block)


@dataclass(slots=True)
class MemberVisit:
    """Requests a minute for each user as the plan says, and credits."""

    rates: Rates
    member: Member
    now: dt.datetime = field(default_factory=timezone.now)
    _seen: Standing | None = None
    _left: Left | None = None

    @property
    def _minute(self) -> Policy:
        return Policy("minute", self.member.balance.plan.per_minute, MINUTE_S)

    @property
    def _subject(self) -> str:
        return f"user:{self.member.payer.user_id}"

    def count_request(self) -> None:
        """Count the request for the minute, whichever of the user's keys it came with."""
        self._seen = self.rates.count_request(self._minute, self._subject)

    def check_left(self) -> None:
        """Raise MonthlyLimit or KeyCap when no credit is left, without taking one."""
        payer = self.member.payer
        left = self._look()
        if left.is_nothing and spending.release_overdue(self.now, user_id=payer.user_id):
            self.member.balance.refresh_from_db(fields=("prepaid", "prepaid_held"))
            left = self._look()
        if left.of_key == 0:
            raise KeyCap
        if left.is_nothing:
            raise MonthlyLimit

    @contextmanager
    def hold(self) -> Iterator[Held]:
        """Hold one credit. Raises MonthlyLimit or KeyCap when none is left."""
        lasts = dt.timedelta(seconds=settings.OPENREMBG.request_timeout_s)
        with stage("reserve"):
            hold = spending.reserve(self.member.payer, self.now, lasts, self.member.balance)
        held = HeldCredit(hold, self)
        self.count(1)
        try:
            yield held
        except BaseException:
            held.try_to_release()
            raise

    def settling(self) -> AbstractContextManager[None]:
        """Let the block's charge and the answer that it keeps be one transaction."""
        return ledger.together()

    def count(self, credits_: int) -> None:
        """Take note of credits that are held now, or with a minus of those that came back."""
        if self._left is not None:
            self._left = self._left.without(credits_)

    def standings(self) -> tuple[Standing, Standing]:
        """Return how the user stands with the minute and the credits, after this request."""
        seen = self._seen or self.rates.look(self._minute, self._subject)
        return seen, _credits(self._left or self._look())

    def _look(self) -> Left:
        self._left = spending.left(self.member.payer, self.member.balance, self.now)
        return self._left


@dataclass(frozen=True, slots=True)
class PaidVisit:
    """A member's retry of what was paid already: it counts for the minute and takes no credit.

    source: what paid for it.
    """

    visit: Visit
    source: Source
    receipt: None = None

    def count_request(self) -> None:
        """Count the request for the minute. Raises TooFast."""
        self.visit.count_request()

    def check_left(self) -> None:
        """Do nothing: it is paid."""

    def hold(self) -> AbstractContextManager[Held]:
        """Hold nothing."""
        return nullcontext(self)

    def charge(self, receipts: Receipts | None) -> None:
        """Do nothing: it is paid."""

    def release(self) -> None:
        """Do nothing: nothing is held."""

    def settling(self) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return nullcontext()

    def standings(self) -> tuple[Standing, Standing]:
        """Return how the user stands."""
        return self.visit.standings()


@dataclass(slots=True)
class HeldCredit:
    """A member's reserved credit."""

    hold: spending.Hold
    visit: MemberVisit
    source: Source = "included"
    receipt: Receipt | None = None

    def __post_init__(self) -> None:
        self.source = self.hold.source

    def charge(self, receipts: Receipts | None) -> None:
        """Turn the reservation into a charge; `source` says then which kind it was.

        It counts on the day on which the picture was asked for, as in the month.
        """
        if receipts is not None:
            self.receipt = receipts.for_credit(self.hold.id, self.hold.payer.user_id)
        sent = self.receipt is not None
        self.source = spending.charge(self.hold, self.visit.now, until_sent=sent)

    def release(self) -> None:
        """Give the credit back, if it is still held."""
        if spending.release(self.hold):
            self.visit.count(-1)

    def try_to_release(self) -> None:
        """Give the credit back, or leave that to the one who looks for overdue reservations.

        When the database went away in the middle of a commit, nobody knows yet whether it was
        charged: if it was, that is undone.
        """
        try:
            self.release()
        except Error as error:
            fields = {"error": type(error).__name__}
            logger.warning("A credit could not be given back yet", extra={"fields": fields})
        if self.receipt is not None:
            self.receipt.failed()


def _credits(left: Left) -> Standing:
    """Return credits as a limit: what the window includes, and what is left with prepaid ones."""
    limit = max(left.allowance, left.credits)
    policy = Policy("credits", min(limit, PLENTY), left.window.end - left.window.start)
    return Standing(policy, min(left.credits, PLENTY), left.window.end)
