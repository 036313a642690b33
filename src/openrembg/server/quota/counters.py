"""The counters that a charge moves: windows, the key's month, the day. Each call is one statement.

A counter that is not there yet is added. Where the user's balance is not locked meanwhile, two at
once may try, and one of them gets an IntegrityError and has to begin anew. Whoever changes several
changes windows before the key's month, so that no two wait for each other.
"""

# ruff: noqa: S608 (the statements are put together from constants of this file)
import datetime as dt
from dataclasses import dataclass
from typing import Final, Literal

from django.db.models import F

from openrembg.server import sql
from openrembg.server.quota.models import Day, KeyMonth, Window

Channel = Literal["app", "api"]
Source = Literal["included", "prepaid"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a charge counts: in its calendar month, and in the billing period when there is one."""

    month: int
    cycle: int | None

    @property
    def enforced(self) -> tuple[str, int]:
        """Kind and start of the window whose allowance is spent."""
        return ("month", self.month) if self.cycle is None else ("cycle", self.cycle)

    @property
    def all(self) -> tuple[tuple[str, int], ...]:
        """Kind and start of each window that the charge shows in."""
        month = ("month", self.month)
        return (month,) if self.cycle is None else (month, ("cycle", self.cycle))


def spent(user_id: int, place: Place) -> tuple[int, int | None]:
    """Return what is used or held of the enforced window, and the allowance of its own, if any."""
    row = sql.first(_SPENT, user_id, *place.enforced)
    return (row[0], row[1]) if row else (0, None)


def spent_of_key(key_id: int, month: int) -> int:
    """Return what is used or held of a key's month."""
    row = sql.first(_SPENT_OF_KEY, key_id, month)
    return int(row[0]) if row else 0


def hold_included(user_id: int, place: Place, plan_credits: int) -> bool:
    """Hold an included credit of the enforced window, if one is left."""
    kind, start = place.enforced
    if sql.run(_HOLD, user_id, kind, start, plan_credits):
        return True
    if plan_credits == 0 or sql.first(_SPENT, user_id, kind, start):
        return False
    sql.insert(Window(user_id=user_id, kind=kind, start=start, held=1))
    return True


def hold_of_key(key_id: int, month: int, cap: int) -> bool:
    """Hold a credit of a key's month, if its cap allows."""
    if sql.run(_HOLD_OF_KEY, key_id, month, cap):
        return True
    if cap == 0 or sql.first(_SPENT_OF_KEY, key_id, month):
        return False
    sql.insert(KeyMonth(key_id=key_id, start=month, held=1))
    return True


def let_go(user_id: int, place: Place) -> None:
    """Undo hold_included."""
    sql.run(_LET_GO, user_id, *place.enforced)


def let_go_of_key(key_id: int, month: int) -> None:
    """Undo hold_of_key."""
    sql.run(_LET_GO_OF_KEY, key_id, month)


def count(user_id: int, place: Place, channel: Channel, source: Source) -> None:
    """Count a charge in its windows; an included credit that was held is held no more."""
    field = _FIELD[channel, source]
    for kind, start in place.all:
        was_held = source == "included" and (kind, start) == place.enforced
        row = Window(user_id=user_id, kind=kind, start=start, **{field: 1})
        sql.insert(row, _COUNT[field], int(was_held))


def count_of_key(key_id: int, month: int, *, was_held: bool) -> None:
    """Count a charge in a key's month; a credit that was held there is held no more."""
    sql.insert(KeyMonth(key_id=key_id, start=month, used=1), _COUNT_OF_KEY, int(was_held))


def count_of_day(user_id: int, key_id: int | None, day: dt.date, source: Source) -> None:
    """Count a charge in a day."""
    row = Day(user_id=user_id, key_id=key_id, day=day, **{source: 1})
    sql.insert(row, (_COUNT_OF_APP_DAY if key_id is None else _COUNT_OF_DAY)[source])


def uncount(user_id: int, place: Place, channel: Channel, source: Source) -> None:
    """Undo count; nothing is held again."""
    field = _FIELD[channel, source]
    for kind, start in place.all:
        window = Window.objects.filter(user_id=user_id, kind=kind, start=start)
        window.update(**{field: F(field) - 1})


def uncount_of_key(key_id: int, month: int) -> None:
    """Undo count_of_key, unless the key is gone and its months with it."""
    KeyMonth.objects.filter(key_id=key_id, start=month).update(used=F("used") - 1)


def uncount_of_day(user_id: int, key_id: int | None, day: dt.date, source: Source) -> None:
    """Undo count_of_day, unless the key is gone and its days with it."""
    row = Day.objects.filter(user_id=user_id, key_id=key_id, day=day)
    row.update(**{source: F(source) - 1})


_FIELD: Final[dict[tuple[Channel, Source], str]] = {
    ("app", "included"): "app",
    ("api", "included"): "api",
    ("app", "prepaid"): "prepaid_app",
    ("api", "prepaid"): "prepaid_api",
}
_WINDOW: Final = "WHERE user_id = %s AND kind = %s AND start = %s"
_KEY: Final = "WHERE key_id = %s AND start = %s"
_SPENT: Final = f"SELECT app + api + held, credits FROM quota_window {_WINDOW}"
_SPENT_OF_KEY: Final = f"SELECT used + held FROM quota_keymonth {_KEY}"
_HOLD: Final = f"""
UPDATE quota_window SET held = held + 1 {_WINDOW} AND app + api + held < COALESCE(credits, %s)
"""
_HOLD_OF_KEY: Final = f"UPDATE quota_keymonth SET held = held + 1 {_KEY} AND used + held < %s"
_LET_GO: Final = f"UPDATE quota_window SET held = held - 1 {_WINDOW}"
_LET_GO_OF_KEY: Final = f"UPDATE quota_keymonth SET held = held - 1 {_KEY}"
# A row that is there already counts on; what it holds was added by `hold_included`.
_COUNT: Final = {
    field: f"ON CONFLICT (user_id, kind, start) DO UPDATE "
    f"SET {field} = quota_window.{field} + 1, held = quota_window.held - %s"
    for field in _FIELD.values()
}
_COUNT_OF_KEY: Final = (
    "ON CONFLICT (key_id, start) DO UPDATE "
    "SET used = quota_keymonth.used + 1, held = quota_keymonth.held - %s"
)
_COUNT_OF_DAY: Final = {
    source: "ON CONFLICT (user_id, day, key_id) WHERE key_id IS NOT NULL DO UPDATE "
    f"SET {source} = quota_day.{source} + 1"
    for source in ("included", "prepaid")
}
_COUNT_OF_APP_DAY: Final = {
    source: "ON CONFLICT (user_id, day) WHERE key_id IS NULL DO UPDATE "
    f"SET {source} = quota_day.{source} + 1"
    for source in ("included", "prepaid")
}
