import os
import time
from collections.abc import Iterator

import pytest

from openrembg.server.processes.board import STALE_S, Board, Standing

BUSY = Standing(4711, True, 2, 3, 4_000_000, "a-model", "OpenVINO CPU bf16")


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board.new(3)
    yield made
    made.close()


def test_what_one_process_writes_the_others_read(board: Board) -> None:
    other = Board(os.dup(board.descriptor), 3)
    other.write(1, BUSY)
    other.count_restart()
    assert list(board.standings()) == [(1, BUSY)]
    assert (board.restarts, board.supervisor) == (1, os.getpid())
    other.close()


def test_an_empty_place_is_not_counted(board: Board) -> None:
    board.write(0, BUSY)
    board.write(2, BUSY)
    board.clear(0)
    assert [place for place, _ in board.standings()] == [2]


def test_a_process_that_has_not_written_for_a_while_is_not_counted(board: Board) -> None:
    assert board.written_at(0) == 0
    before = time.monotonic()
    board.write(0, BUSY)
    written_at = board.written_at(0)
    assert before <= written_at <= time.monotonic()
    assert [place for place, _ in board.standings(written_at + STALE_S)] == [0]
    assert not list(board.standings(written_at + STALE_S + 1))
    board.clear(0)
    assert board.written_at(0) == 0


def test_a_long_name_is_cut_and_stays_readable(board: Board) -> None:
    board.write(0, Standing(1, False, 0, 0, 0, "ä" * 100, ""))
    ((_, read),) = board.standings()
    assert read.model == "ä" * 32
