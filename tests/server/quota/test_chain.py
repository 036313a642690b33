"""The hash of an entry, whose facts may grow but never change for what is written already."""

import datetime as dt

from openrembg.server.quota.chain import digest
from openrembg.server.quota.models import GENESIS, LedgerEntry


def entry(next_end: int | None) -> LedgerEntry:
    return LedgerEntry(
        user_id=7,
        number=3,
        at=dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC),
        event="period",
        plan="Pro-5000",
        cycle_start=1794787200,
        cycle_end=1797379200,
        next_end=next_end,
        note="ü",
        previous=GENESIS,
    )


def test_an_entry_from_before_there_was_a_next_end_keeps_its_hash() -> None:
    told = "376268db6198837608e3d961149e3e3e7dc0e13339861f20a3fd081d4c85782b"
    assert digest(entry(None)) == told


def test_the_next_end_is_covered() -> None:
    hashes = {digest(entry(next_end)) for next_end in (None, 0, 1799971200, 1799971201)}
    assert len(hashes) == 4
