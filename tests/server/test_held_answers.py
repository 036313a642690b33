"""Answers that wait to be read: in memory while there is room, else in the spool."""

from pathlib import Path

from openrembg.server.http_request import Reception
from openrembg.server.http_response import HeldBytes, HeldFile, hold
from openrembg.server.spool import Budget


def test_an_answer_without_room_in_memory_counts_as_spooled(tmp_path: Path) -> None:
    memory, spool = Budget(10), Budget(100)
    reception = Reception(spool, tmp_path, 1000)
    first, second = hold(b"x" * 10, memory, reception), hold(b"y" * 20, memory, reception)
    assert (type(first), type(second)) == (HeldBytes, HeldFile)
    assert (memory.used_bytes, spool.used_bytes) == (10, 20)
    assert bytes(second.get(20)) == b"y" * 20
    for held in (first, second, second):
        held.close()
    assert (memory.used_bytes, spool.used_bytes) == (0, 0)
    assert list(tmp_path.iterdir()) == []


def test_answers_that_overfill_the_spool_keep_uploads_out_until_they_are_read(
    tmp_path: Path,
) -> None:
    spool = Budget(100)
    held = HeldFile(b"z" * 150, spool, tmp_path)
    assert spool.used_bytes == 150
    assert not spool.reserve(1)
    held.close()
    assert spool.reserve(100)
