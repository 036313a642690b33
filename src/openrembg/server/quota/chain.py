"""The hash of a ledger entry, which covers the hash of the one before it.

It shows when an entry was changed, removed or put in between afterwards. Whoever may write to the
database can make a whole new chain; keep a copy of `head` elsewhere to see that too.
"""

import datetime as dt
import hashlib
import json

from openrembg.server.quota.models import LedgerEntry


def digest(entry: LedgerEntry) -> str:
    """Return the SHA-256 over all that an entry says, in hexadecimal."""
    facts = [
        entry.previous,
        entry.user_id,
        entry.number,
        entry.at.astimezone(dt.UTC).isoformat(timespec="microseconds"),
        entry.event,
        entry.included,
        entry.prepaid,
        entry.channel,
        entry.key_id,
        entry.month_start,
        entry.cycle_start,
        entry.cycle_end,
        entry.plan,
        entry.reference,
        entry.note,
    ]
    if entry.next_end is not None:
        # Left out otherwise: entries that were written before there was one stay as they are.
        facts.append(entry.next_end)
    text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
