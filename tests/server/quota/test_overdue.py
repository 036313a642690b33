"""Dead servers' charges are undone; what a living one sends is not, whatever its clock says."""

import datetime as dt
import uuid

import pytest
from django.utils import timezone
from time_machine import TimeMachineFixture

from openrembg.server.quota import deliveries, overdue, spending
from openrembg.server.quota.models import Delivery, LedgerEntry, Reservation, Window
from openrembg.server.quota.overdue import AGAIN_AFTER_S, Watch, is_overdue
from openrembg.server.quota.verify import mismatches
from people import Person, person

pytestmark = pytest.mark.usefixtures("database")

HOUR = dt.timedelta(hours=1)


class Upkeep:
    """One process that looks after all, and a clock that only goes forward."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.watch = Watch(lambda: self.seconds)

    def looks(self, after_s: float = 0.0, **which: int) -> int:
        """Look after so many seconds; return how many charges were undone."""
        self.seconds += after_s
        return deliveries.undo_overdue(timezone.now(), self.watch, **which)


@pytest.fixture
def upkeep() -> Upkeep:
    return Upkeep()


@pytest.fixture
def ada() -> Person:
    return person(credits_=9)


def charged(ada: Person) -> spending.Hold:
    now = timezone.now()
    hold = spending.reserve(ada.by_key, now, HOUR)
    spending.charge(hold, now, until_sent=True)
    return hold


def left() -> list[object]:
    return [row.pk for row in Delivery.objects.order_by("deadline")]


def test_another_processs_deliveries_survive_a_clock_that_is_put_forward(
    ada: Person, upkeep: Upkeep, time_machine: TimeMachineFixture
) -> None:
    alive, dead = charged(ada), charged(ada)
    time_machine.move_to(timezone.now() + HOUR)
    assert upkeep.looks() == 0
    assert upkeep.looks(after_s=AGAIN_AFTER_S - 1) == 0
    deliveries.prolong([alive.id])
    assert upkeep.looks(after_s=1) == 1
    assert left() == [alive.id]
    assert not deliveries.undo(dead.id, ada.user.pk)
    assert list(mismatches(ada.user.pk)) == []


def test_what_is_overdue_again_is_looked_at_anew(
    ada: Person, upkeep: Upkeep, time_machine: TimeMachineFixture
) -> None:
    alive = charged(ada)
    for _ in range(3):
        time_machine.move_to(timezone.now() + HOUR)
        assert upkeep.looks(after_s=2 * AGAIN_AFTER_S) == 0
        deliveries.prolong([alive.id])
    time_machine.move_to(timezone.now() + HOUR)
    assert upkeep.looks() == 0
    assert upkeep.looks(after_s=AGAIN_AFTER_S, user_id=ada.user.pk) == 1


def test_deadlines_that_were_set_while_the_clock_was_ahead_are_overdue(
    ada: Person, upkeep: Upkeep, time_machine: TimeMachineFixture
) -> None:
    now = timezone.now()
    time_machine.move_to(now + 40 * 24 * HOUR)
    alive, _dead = charged(ada), charged(ada)
    spending.reserve(ada.by_key, timezone.now(), HOUR)
    time_machine.move_to(now)
    spending.reserve(ada.by_key, timezone.now(), HOUR)
    assert spending.release_overdue(timezone.now()) == 1
    assert Reservation.objects.get().deadline < timezone.now() + HOUR
    assert upkeep.looks() == 0
    deliveries.prolong([alive.id])
    assert upkeep.looks(after_s=AGAIN_AFTER_S) == 1
    assert left() == [alive.id]


def test_what_was_prolonged_between_a_look_and_its_end_is_not_undone(ada: Person) -> None:
    alive = charged(ada)
    seen_at = timezone.now() + HOUR
    deliveries.prolong([alive.id])
    assert deliveries.undo(alive.id, ada.user.pk, is_overdue(timezone.now())) is False
    assert deliveries.undo(alive.id, ada.user.pk, is_overdue(seen_at)) is True


def test_what_is_spared_or_cannot_be_undone_hides_nothing(
    ada: Person, upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(overdue, "AT_ONCE", 1)
    bob, carl = person("bob@example.com"), person("carl@example.com")
    spared, broken, last = charged(carl), charged(ada), charged(bob)
    Window.objects.filter(user=ada.user).update(api=0)
    now = timezone.now() + HOUR
    undone = []
    for _ in range(5):
        undone.append(deliveries.undo_overdue(now, upkeep.watch, {spared.id}))
        upkeep.seconds += AGAIN_AFTER_S / 2
    assert undone == [0, 0, 0, 1, 0]
    assert left() == [spared.id, broken.id]
    assert not deliveries.undo(last.id, bob.user.pk)
    assert LedgerEntry.objects.filter(event="return").count() == 1
    assert [record.message for record in caplog.records] == ["A credit cannot be given back"]
    assert caplog.records[0].exc_info


def test_what_nobody_asked_for_again_is_forgotten(upkeep: Upkeep) -> None:
    deadline = timezone.now()
    rows = [(uuid.uuid4(), deadline)]
    assert upkeep.watch.seen_twice(rows) == []
    upkeep.seconds += 3600
    assert upkeep.watch.seen_twice(rows) == []
    upkeep.seconds += AGAIN_AFTER_S
    assert upkeep.watch.seen_twice(rows) == [rows[0][0]]
