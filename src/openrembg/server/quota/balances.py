"""One user's balance with its plan, read and written in one statement each."""

from collections.abc import Sequence
from typing import Any, Final

from openrembg.server import sql
from openrembg.server.billing.models import Plan
from openrembg.server.quota.models import Balance

_BALANCE: Final = (
    *("user_id", "plan_id", "prepaid", "prepaid_held", "period_start", "period_end"),
    *("next_end", "entries", "head"),
)
_PLAN: Final = ("id", "label", "credits", "per_minute")
# For a query that joins quota_balance as b and billing_plan as p.
BALANCE_COLUMNS: Final = ", ".join(
    [*(f"b.{name}" for name in _BALANCE), *(f"p.{name}" for name in _PLAN)]
)
_ONE: Final = f"""
SELECT {BALANCE_COLUMNS} FROM quota_balance b JOIN billing_plan p ON p.id = b.plan_id
WHERE b.user_id = %s
"""  # noqa: S608 (constants of this file)
_SAVE: Final = """
UPDATE quota_balance SET plan_id = %s, prepaid = %s, prepaid_held = %s,
    period_start = %s, period_end = %s, next_end = %s, entries = %s, head = %s
WHERE user_id = %s
"""


def balance_from(columns: Sequence[Any]) -> Balance:
    """Return the balance that BALANCE_COLUMNS say, with its plan."""
    balance = Balance.from_db("default", _BALANCE, columns[: len(_BALANCE)])
    balance.plan = Plan.from_db("default", _PLAN, columns[len(_BALANCE) :])
    return balance


def locked_balance(user_id: int) -> Balance | None:
    """Return a user's balance, locked until the transaction ends; None without an account."""
    statement = _ONE + sql.locking()
    columns = sql.first(statement, user_id)
    if columns is None:
        # PostgreSQL joined the plan before it waited for the lock, and leaves out a balance that
        # has another plan since then; the second time it is locked already.
        columns = sql.first(statement, user_id)
    return None if columns is None else balance_from(columns)


def save_balance(balance: Balance) -> None:
    """Write a balance that is locked."""
    sql.send(
        _SAVE,
        balance.plan_id,
        balance.prepaid,
        balance.prepaid_held,
        balance.period_start,
        balance.period_end,
        balance.next_end,
        balance.entries,
        balance.head,
        balance.user_id,
    )
