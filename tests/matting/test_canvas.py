"""A large canvas of which little is written takes little memory."""

import mmap
from pathlib import Path

import pytest

from openrembg.matting.canvas import clear


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def test_what_is_not_written_takes_no_memory_even_when_it_is_read() -> None:
    before = resident_bytes()
    canvas = clear((20_000, 10_000))
    canvas[::512, 0] = 1
    assert canvas[:, :5_000].max() == 1
    assert resident_bytes() - before < 40 << 20


@pytest.mark.parametrize("shape", [(3, 5), (1, 1, 3), (3000, 2000, 3)])
def test_a_canvas_is_clear_and_can_be_written(shape: tuple[int, ...]) -> None:
    canvas = clear(shape)
    assert canvas.shape == shape
    assert not canvas.any()
    canvas[-1] = 7
    assert (canvas[-1] == 7).all()
