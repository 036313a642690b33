"""Whatever happens in whatever order: ledger, counters and balances agree with a simple model."""

import datetime as dt
import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from openrembg.server.billing.models import Plan
from openrembg.server.errors import KeyCap, MonthlyLimit
from openrembg.server.quota import deliveries, ledger, spending
from openrembg.server.quota.ledger import Term
from openrembg.server.quota.models import Balance, Delivery, LedgerEntry, Reservation, Window
from openrembg.server.quota.spending import Hold
from openrembg.server.quota.verify import mismatches
from openrembg.server.quota.windows import Period, month_of
from people import person

START = dt.datetime(2026, 11, 29, 23, 59, 59, 999000, tzinfo=dt.UTC)
NEVER = dt.datetime(2999, 1, 1, tzinfo=dt.UTC)
LASTS = dt.timedelta(minutes=2)
DAY_S = 24 * 3600
KEY_CAP = 9
FREE_CREDITS = 50
serial = itertools.count()


@dataclass
class Account:
    """What a user should have, said as simply as possible."""

    allowance: int
    prepaid: int = 0
    period: Period | None = None
    next_end: int | None = None
    allowances: dict[tuple[str, int], int] = field(default_factory=dict)
    included: dict[tuple[str, int], int] = field(default_factory=dict)
    held_included: dict[tuple[str, int], int] = field(default_factory=dict)
    held_prepaid: int = 0
    key_used: dict[int, int] = field(default_factory=dict)

    def window(self, now: dt.datetime) -> tuple[str, int]:
        """The window that is enforced."""
        second = int(now.timestamp())
        if self.period is not None and second in self.period:
            return "cycle", self.period.start
        if self.period is not None and self.period.end <= second < (self.next_end or 0):
            return "cycle", self.period.end
        return "month", month_of(now).start

    def told(self) -> tuple[int | None, int | None, int | None]:
        """What the balance should say of the billing period."""
        if self.period is None:
            return None, None, None
        return self.period.start, self.period.end, self.next_end

    def included_left(self, window: tuple[str, int]) -> int:
        """Included credits that are neither used nor held."""
        allowance = self.allowances.get(window, self.allowance)
        used = self.included.get(window, 0) + self.held_included.get(window, 0)
        return max(0, allowance - used)


class LedgerMachine(RuleBasedStateMachine):
    """Charges, releases, top-ups, refunds, whatever Stripe tells, and time, in any order."""

    holds = Bundle("holds")
    sent = Bundle("sent")

    def __init__(self) -> None:
        super().__init__()
        self.number = next(serial)
        self.ada = person(f"ada{self.number}@example.com", credits_=3, cap=KEY_CAP)
        self.uid = self.ada.user.pk
        self.now = START
        self.model = Account(allowance=3)
        self.open: dict[Hold, dt.datetime] = {}

    @rule(target=holds, api=st.booleans())
    def reserve(self, api: bool) -> object:
        payer = self.ada.by_key if api else self.ada.by_token
        window, month = self.model.window(self.now), month_of(self.now).start
        left = self.model.included_left(window)
        prepaid = self.model.prepaid - self.model.held_prepaid
        capped = api and self._key_used(month) >= KEY_CAP
        overdue = any(until <= self.now for until in self.open.values())
        try:
            hold = spending.reserve(payer, self.now, LASTS)
        except (KeyCap, MonthlyLimit):
            assert capped or left + prepaid == 0
            if overdue:
                self._forget_overdue()
            return multiple()
        if capped or left + prepaid == 0:
            # Only because what a dead server held came back first.
            assert overdue
            self._forget_overdue()
            left = self.model.included_left(window)
        assert hold.source == ("included" if left else "prepaid")
        self._add(hold, 1)
        self.open[hold] = self.now + LASTS
        return hold

    @rule(target=sent, hold=consumes(holds))
    def charge(self, hold: Hold) -> object:
        if hold not in self.open:
            return multiple()
        del self.open[hold]
        window = self._window(hold)
        room = self.model.included_left(window)
        source = spending.charge(hold, self.now, until_sent=True)
        assert source == ("included" if hold.source == "included" or room else "prepaid")
        # Deadlines are of the real clock, not of this machine's.
        Delivery.objects.filter(pk=hold.id).update(deadline=NEVER)
        self._add(hold, -1)
        self._count(hold, source, 1)
        return hold, source

    @rule(one=consumes(sent))
    def delivered(self, one: tuple[Hold, str]) -> None:
        hold, _ = one
        deliveries.forget([hold.id])
        assert not deliveries.undo(hold.id, self.uid)

    @rule(one=consumes(sent))
    def not_delivered(self, one: tuple[Hold, str]) -> None:
        hold, source = one
        assert deliveries.undo(hold.id, self.uid)
        assert not deliveries.undo(hold.id, self.uid)
        self._count(hold, source, -1)

    @rule(hold=consumes(holds))
    def release(self, hold: Hold) -> None:
        assert spending.release(hold) == (hold in self.open)
        if self.open.pop(hold, None):
            self._add(hold, -1)

    @rule(credits_=st.integers(1, 5), again=st.booleans())
    def top_up(self, credits_: int, again: bool) -> None:
        reference = f"pi_{self.number}_{next(serial)}"
        assert ledger.top_up(self.uid, credits_, reference=reference)
        if again:
            assert not ledger.top_up(self.uid, credits_, reference=reference)
        self.model.prepaid += credits_

    @rule(credits_=st.integers(1, 8))
    def refund(self, credits_: int) -> None:
        taken = ledger.take_back(self.uid, credits_, reference=f"re_{next(serial)}_{self.number}")
        assert taken == min(credits_, self.model.prepaid - self.model.held_prepaid)
        self.model.prepaid -= taken

    @rule(
        days=st.integers(1, 31),
        back=st.integers(0, 40),
        after=st.integers(0, 31),
        credits_=st.none() | st.integers(0, 5),
        windows_first=st.booleans(),
    )
    def subscribe(
        self, days: int, back: int, after: int, credits_: int | None, windows_first: bool
    ) -> None:
        start = int(self.now.timestamp()) - back * DAY_S
        period = Period(start, start + (back + days) * DAY_S)
        next_end = period.end + after * DAY_S if after else None
        if windows_first:
            self._tell_window(period, credits_)
        self._follow(None, period, next_end)
        if not windows_first:
            self._tell_window(period, credits_)

    @precondition(lambda self: self.model.next_end is not None)
    @rule(credits_=st.none() | st.integers(0, 5), after=st.integers(0, 31))
    def renew(self, credits_: int | None, after: int) -> None:
        period = Period(self.model.period.end, self.model.next_end)
        self._tell_window(period, credits_)
        self._follow(None, period, period.end + after * DAY_S if after else None)

    @precondition(lambda self: self.model.period is not None)
    @rule(credits_=st.integers(0, 6))
    def upgrade(self, credits_: int) -> None:
        plan = Plan.objects.create(label=f"plan {next(serial)}", credits=credits_)
        self._follow(plan, self.model.period, self.model.next_end)

    @rule()
    def end_subscription(self) -> None:
        assert ledger.leave(self.uid, at=self.now) == (self.model.period is not None)
        if self.model.period is not None:
            self.model.period = self.model.next_end = None
            self.model.allowance = FREE_CREDITS

    @rule(credits_=st.integers(0, 6))
    def change_plan(self, credits_: int) -> None:
        plan = Plan.objects.create(label=f"plan {next(serial)}", credits=credits_)
        window = self.model.window(self.now)
        kind, start = window
        is_there = Window.objects.filter(user=self.uid, kind=kind, start=start).exists()
        ledger.set_plan(self.uid, plan, at=self.now)
        self.model.allowance = credits_
        if kind == "cycle" and is_there:
            self.model.allowances[window] = credits_

    @rule(seconds=st.sampled_from([0.001, 1, 60, 119, DAY_S, 20 * DAY_S]))
    def time_passes(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)

    @rule()
    def tidy(self) -> None:
        spending.release_overdue(self.now, user_id=self.uid)
        self._forget_overdue()

    @invariant()
    def the_books_agree(self) -> None:
        assert list(mismatches(self.uid)) == []

    @invariant()
    def the_balance_is_the_models(self) -> None:
        balance = Balance.objects.get(pk=self.uid)
        assert (balance.prepaid, balance.prepaid_held) == (
            self.model.prepaid,
            self.model.held_prepaid,
        )
        assert Reservation.objects.filter(user_id=self.uid).count() == len(self.open)

    @invariant()
    def the_period_is_the_models(self) -> None:
        balance = Balance.objects.select_related("plan").get(pk=self.uid)
        period = balance.period_start, balance.period_end, balance.next_end
        assert period == self.model.told()
        assert balance.plan.credits == self.model.allowance
        window = self.model.window(self.now)
        left = spending.left(self.ada.by_token, balance, self.now)
        assert left.window.start == window[1]
        assert left.included == self.model.included_left(window)

    @invariant()
    def the_windows_are_the_models(self) -> None:
        for row in Window.objects.filter(user_id=self.uid):
            window = (row.kind, row.start)
            assert row.app + row.api == self.model.included.get(window, 0)
            assert row.held == self.model.held_included.get(window, 0)

    @invariant()
    def the_ledger_says_the_same(self) -> None:
        entries = LedgerEntry.objects.filter(user_id=self.uid)
        assert sum(entries.values_list("prepaid", flat=True)) == self.model.prepaid

    def _follow(self, plan: Plan | None, period: Period, next_end: int | None) -> None:
        ledger.follow(self.uid, Term(plan, period, next_end), at=self.now)
        self.model.period, self.model.next_end = period, next_end
        if plan is not None:
            self.model.allowance = plan.credits

    def _tell_window(self, period: Period, credits_: int | None) -> None:
        ledger.write_window(self.uid, period, credits_, at=self.now)
        self.model.allowances.pop(("cycle", period.start), None)
        if credits_ is not None:
            self.model.allowances["cycle", period.start] = credits_

    def _window(self, hold: Hold) -> tuple[str, int]:
        if hold.place.cycle is not None:
            return "cycle", hold.place.cycle
        return "month", hold.place.month

    def _add(self, hold: Hold, number: int) -> None:
        window = self._window(hold)
        if hold.source == "included":
            held = self.model.held_included
            held[window] = held.get(window, 0) + number
        else:
            self.model.held_prepaid += number

    def _count(self, hold: Hold, source: str, number: int) -> None:
        month = hold.place.month
        if source == "prepaid":
            self.model.prepaid -= number
        for one in {self._window(hold), ("month", month)}:
            if source == "included":
                self.model.included[one] = self.model.included.get(one, 0) + number
        if hold.payer.key_id is not None:
            self.model.key_used[month] = self.model.key_used.get(month, 0) + number

    def _key_used(self, month: int) -> int:
        held = [h for h in self.open if h.payer.key_id is not None and h.place.month == month]
        return self.model.key_used.get(month, 0) + len(held)

    def _forget_overdue(self) -> None:
        for hold, until in list(self.open.items()):
            if until <= self.now:
                del self.open[hold]
                self._add(hold, -1)


@pytest.mark.usefixtures("database")
def test_the_books_always_agree() -> None:
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
