"""Up and down: sizes, positions and values survive."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from samples import photo

from openrembg.matting.downsample import downsample
from openrembg.matting.upsample import upsample


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700))
def test_an_upsampled_matte_has_the_photos_size_and_range(width: int, height: int) -> None:
    alpha = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    up = upsample(alpha, width, height)
    assert up.shape == (height, width)
    assert up.dtype == np.uint8


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_plain_matte_stays_plain(value: float) -> None:
    up = upsample(np.full((32, 32), value, np.float32), 501, 77)
    assert np.unique(up).tolist() == [int(value * 255)]


def test_an_edge_stays_where_it_was() -> None:
    alpha = np.zeros((100, 100), np.float32)
    alpha[:, 40:] = 1.0
    row = upsample(alpha, 1000, 300)[150]
    assert abs(int(np.argmax(row > 127)) - 400) <= 2


def test_blocks_of_columns_leave_no_seams() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    up = upsample(ramp, 3000, 2500).astype(int)
    assert np.abs(np.diff(up, axis=1)).max() <= 1


@pytest.mark.parametrize(
    "size", [(320, 320), (400, 300), (641, 333), (1001, 777), (2500, 1999), (170, 999), (10000, 1)]
)
def test_downsampling_is_close_to_a_plain_area_filter(size: tuple[int, int]) -> None:
    smooth = np.asarray(Image.fromarray(photo(60, 60)).resize(size, Image.Resampling.BICUBIC))
    ours = downsample(smooth, 80, 80).astype(int)
    reference = np.asarray(Image.fromarray(smooth).resize((80, 80), Image.Resampling.BOX))
    assert ours.shape == (80, 80, 3)
    assert np.abs(ours - reference).mean() < 6


@pytest.mark.parametrize("size", [(1000, 1000), (999, 1001), (3001, 2003), (2003, 400), (300, 7)])
def test_sampling_down_or_up_does_not_shift_the_picture(size: tuple[int, int]) -> None:
    width, height = size
    x = np.linspace(0, 255, width)
    ramp = np.tile(x.astype(np.uint8)[None, :, None], (height, 1, 3))
    expected = (np.arange(320) + 0.5) / 320 * 255
    row = downsample(ramp, 320, 320)[160, :, 0]
    column = downsample(ramp.swapaxes(0, 1), 320, 320)[:, 160, 0]
    assert np.abs(row - expected)[2:-2].max() < 2.5
    assert np.abs(column - expected)[2:-2].max() < 2.5


@pytest.mark.parametrize("size", [(400, 400), (400, 100), (100, 400)])
def test_detail_too_fine_for_the_small_picture_becomes_its_mean(size: tuple[int, int]) -> None:
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    stripes = (((x if width > 100 else y) + 1) % 4 < 2).astype(np.uint8) * 200
    assert np.unique(downsample(stripes, 100, 100)).tolist() == [100]


@pytest.mark.parametrize("length", [2560, 2567, 1999, 200, 90])
def test_an_edge_on_the_far_side_stays_where_it_was(length: int) -> None:
    edge = length - 17
    plane = np.zeros((length, length), np.uint8)
    plane[:, :edge] = 255
    expected = edge * 160 / length
    assert downsample(plane, 160, 160)[80].sum() / 255 == pytest.approx(expected, abs=0.25)
    assert downsample(plane.T, 160, 160)[:, 80].sum() / 255 == pytest.approx(expected, abs=0.25)
