"""Foreground colours: closer to the truth at soft edges, untouched elsewhere."""

import numpy as np
import pytest
from samples import photo

from openrembg.matting.compose import lay_on
from openrembg.matting.foreground import estimate_foreground
from openrembg.matting.layer import Layer, Pixels


def composite(side: int) -> tuple[Pixels, Pixels, Pixels]:
    """Return a known foreground, a known soft alpha, and both over a checkerboard."""
    y, x = np.mgrid[0:side, 0:side]
    truth = np.full((side, side, 3), (200, 60, 40), np.uint8)
    truth[:, side // 2 :] = (60, 50, 190)
    distance = np.hypot(x - side / 2, y - side / 2)
    alpha = ((side * 0.35 - distance) * (2550 / side)).clip(0, 255).astype(np.uint8)
    checks = ((x // (side // 8) + y // (side // 8)) % 2 * 200 + 30).astype(np.uint8)
    ground = np.repeat(checks[..., None], 3, axis=2)
    share = alpha[..., None] / 255.0
    mixed = (truth * share + ground * (1 - share) + 0.5).astype(np.uint8)
    return truth, alpha, mixed


@pytest.mark.parametrize("side", [200, 1000])
def test_soft_edges_come_closer_to_the_true_colors(side: int) -> None:
    truth, alpha, mixed = composite(side)
    soft = (alpha > 25) & (alpha < 230)
    estimated = estimate_foreground(mixed.copy(), alpha)
    before = np.abs(mixed[soft].astype(int) - truth[soft]).mean()
    after = np.abs(estimated[soft].astype(int) - truth[soft]).mean()
    assert after < before * 0.75


def test_no_halo_of_a_bright_ground_shows_on_a_dark_one() -> None:
    truth, alpha, _ = composite(400)
    white = lay_on(Layer(truth, alpha), (255, 255, 255, 255)).rgb
    assert white is not None
    estimated = estimate_foreground(white.copy(), alpha)
    wanted = lay_on(Layer(truth, alpha), (0, 0, 0, 255)).rgb
    plain = lay_on(Layer(white, alpha), (0, 0, 0, 255)).rgb
    ours = lay_on(Layer(estimated, alpha), (0, 0, 0, 255)).rgb
    assert wanted is not None
    assert plain is not None
    assert ours is not None
    halo = np.abs(plain.astype(int) - wanted).sum()
    assert np.abs(ours.astype(int) - wanted).sum() < halo / 3


def test_solid_and_empty_pixels_keep_their_colors() -> None:
    _, alpha, mixed = composite(300)
    estimated = estimate_foreground(mixed.copy(), alpha)
    hard = (alpha == 0) | (alpha == 255)
    assert np.array_equal(estimated[hard], mixed[hard])


@pytest.mark.parametrize("value", [0, 255])
def test_a_picture_without_soft_edges_is_returned_as_it_is(value: int) -> None:
    rgb = photo(70, 50)
    alpha = np.full((50, 70), value, np.uint8)
    assert np.array_equal(estimate_foreground(rgb.copy(), alpha), rgb)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (129, 127)])
def test_the_oddest_sizes_work(size: tuple[int, int]) -> None:
    rgb = photo(*size)
    alpha = np.full((size[1], size[0]), 128, np.uint8)
    assert estimate_foreground(rgb, alpha).shape == (size[1], size[0], 3)
