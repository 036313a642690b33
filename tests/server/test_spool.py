"""Where request bodies lie when the disk is full: the client can still be told, nothing leaks."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from openrembg.server.http_request import Reception
from openrembg.server.http_response import hold
from openrembg.server.spool import MEMORY_BYTES, Budget, SpooledBody

ROOM_BYTES = 2 * MEMORY_BYTES
MOST_BYTES = 64 * MEMORY_BYTES


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file grow larger than ROOM_BYTES: beyond that a write fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write(body: SpooledBody, size: int, piece: int) -> None:
    """Write so many bytes, piece by piece."""
    for start in range(0, size, piece):
        body.append(bytes(min(piece, size - start)))


# How much a piece is larger than what is left: nearly all of it fits into a buffer, or none.
@pytest.mark.parametrize("beyond", [1, 5000, 300_000])
@pytest.mark.parametrize("piece", [5000, 8192, 65_536])
def test_a_full_disk_is_met_while_the_body_arrives(tmp_path: Path, piece: int, beyond: int) -> None:
    budget = Budget(MOST_BYTES)
    body = SpooledBody(budget, tmp_path, cap_bytes=MOST_BYTES)
    with full_disk():
        with pytest.raises(OSError, match="large"):
            write(body, ROOM_BYTES + beyond, piece)
        body.close()
    assert budget.used_bytes == 0
    assert not list(tmp_path.iterdir())


def test_an_answer_that_the_disk_does_not_take_is_sent_from_memory(tmp_path: Path) -> None:
    memory, reception = Budget(0), Reception(Budget(MOST_BYTES), tmp_path, MOST_BYTES)
    with full_disk():
        held = hold(bytes(2 * ROOM_BYTES), memory, reception)
    assert (held.remain, memory.used_bytes) == (2 * ROOM_BYTES,) * 2
    assert reception.budget.used_bytes == 0
    held.close()
    assert memory.used_bytes == 0
