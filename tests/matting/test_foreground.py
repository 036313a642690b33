"""Foreground colours: closer to the truth at soft edges, untouched elsewhere."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from samples import file_of, photo, pixels_of

from openrembg.matting.compose import lay_on
from openrembg.matting.decode import Source
from openrembg.matting.foreground import estimate_foreground
from openrembg.matting.layer import Layer, Pixels
from openrembg.matting.matter import Matte
from openrembg.matting.options import Options
from openrembg.matting.pipeline import cut_out

SIZES = [(1, 1), (1, 500), (500, 1), (129, 127), (10000, 1), (1, 10000), (3, 9999), (1541, 770)]


class Drawn:
    """A Matter that says what it was told to."""

    model = "drawn"
    provider = "Test CPU f32"

    def __init__(self, alpha: Pixels) -> None:
        self.alpha = alpha

    def matte(self, source: Source) -> Matte:  # noqa: ARG002
        """Return the drawn matte of any photo."""
        return Matte(self.alpha.astype(np.float32) / 255, True)


def checkerboard(side: int, cells: int) -> Pixels:
    """Return a board of two greys, uint8[side, side, 3]."""
    y, x = np.mgrid[0:side, 0:side] * cells // side
    return np.repeat(((x + y) % 2 * 200 + 30).astype(np.uint8)[..., None], 3, axis=2)


def disc(side: int, radius: float, edge: float) -> Pixels:
    """Return the alpha of a disc whose edge is `edge` wide; both are shares of the side."""
    y, x = np.mgrid[0:side, 0:side]
    distance = np.hypot(x - side / 2, y - side / 2) / side
    return np.asarray(((radius - distance) * (255 / edge)).clip(0, 255), np.uint8)


def composite(side: int, alpha: Pixels, cells: int = 8) -> tuple[Pixels, Pixels]:
    """Return a known foreground of two colours, and the same over a checkerboard."""
    truth = np.full((side, side, 3), (200, 60, 40), np.uint8)
    truth[:, side // 2 :] = (60, 50, 190)
    share = alpha[..., None] / 255.0
    mixed = truth * share + checkerboard(side, cells) * (1 - share)
    return truth, (mixed + 0.5).astype(np.uint8)


def ring(side: int) -> Pixels:
    """Return the alpha of a ring with soft edges, empty in its middle."""
    return disc(side, 0.4, 0.03) - disc(side, 0.2, 0.03)


def laid_on(rgb: Pixels, alpha: Pixels, grey: int) -> Pixels:
    shown = lay_on(Layer(rgb.copy(), alpha.copy()), (grey, grey, grey, 255)).rgb
    assert shown is not None
    return shown


def seen_error(colours: Pixels, truth: Pixels, alpha: Pixels) -> float:
    """Return the mean error that shows over any new background, in levels of 255."""
    soft = (alpha > 5) & (alpha < 250)
    gap = np.abs(colours[soft].astype(float) - truth[soft])
    return float((gap * (alpha[soft] / 255.0)[:, None]).mean())


@pytest.mark.parametrize("side", [200, 700, 1601])
@pytest.mark.parametrize(
    ("cells", "edge", "rest"), [(8, 0.02, 0.2), (24, 0.02, 0.25), (8, 0.1, 0.65), (24, 0.1, 0.35)]
)
def test_soft_edges_over_a_checkerboard_come_much_closer_to_the_true_colors(
    side: int, cells: int, edge: float, rest: float
) -> None:
    alpha = disc(side, 0.35, edge)
    truth, mixed = composite(side, alpha, cells)
    estimated = estimate_foreground(mixed.copy(), alpha)
    assert seen_error(estimated, truth, alpha) < rest * seen_error(mixed, truth, alpha)


def test_soft_edges_come_closer_with_a_matte_that_is_too_wide_as_well() -> None:
    alpha = disc(600, 0.35, 0.01)
    truth, mixed = composite(600, alpha)
    wide = disc(600, 0.35, 0.02)
    estimated = estimate_foreground(mixed.copy(), wide)
    assert seen_error(estimated, truth, wide) < 0.8 * seen_error(mixed, truth, wide)


def test_no_halo_of_a_bright_ground_shows_on_a_dark_one() -> None:
    alpha = disc(400, 0.35, 0.1)
    truth, _ = composite(400, alpha)
    white = laid_on(truth, alpha, 255)
    estimated = estimate_foreground(white.copy(), alpha)
    wanted, plain, ours = (laid_on(rgb, alpha, 0) for rgb in (truth, white, estimated))
    halo = np.abs(plain.astype(int) - wanted).sum()
    assert np.abs(ours.astype(int) - wanted).sum() < halo / 8


def test_a_hole_stays_a_hole_and_a_solid_ring_keeps_every_color() -> None:
    alpha = ring(240)
    _, mixed = composite(240, alpha)
    source = Source(file_of(mixed))
    cutout = pixels_of(cut_out(source, Options(format="png"), Drawn(alpha)).data, "RGBA")
    assert np.array_equal(cutout[..., 3], alpha)
    assert (alpha[110:130, 110:130] == 0).all()
    solid = alpha == 255
    assert solid.mean() > 0.2
    assert np.array_equal(cutout[solid][:, :3], mixed[solid])
    soft = (alpha > 25) & (alpha < 230)
    assert (cutout[soft][:, :3] != mixed[soft]).any(axis=1).mean() > 0.9


def test_solid_and_empty_pixels_keep_their_colors() -> None:
    alpha = disc(300, 0.35, 0.1)
    _, mixed = composite(300, alpha)
    estimated = estimate_foreground(mixed.copy(), alpha)
    hard = (alpha == 0) | (alpha == 255)
    assert np.array_equal(estimated[hard], mixed[hard])


def test_ten_calls_give_the_same_bytes() -> None:
    alpha = ring(900)
    _, mixed = composite(900, alpha)
    results = {estimate_foreground(mixed.copy(), alpha).tobytes() for _ in range(10)}
    assert len(results) == 1
    assert results != {mixed.tobytes()}


def test_calls_in_many_threads_give_the_same_bytes() -> None:
    alpha = ring(900)
    _, mixed = composite(900, alpha)
    alone = estimate_foreground(mixed.copy(), alpha).tobytes()
    with ThreadPoolExecutor(5) as pool:
        results = pool.map(lambda _: estimate_foreground(mixed.copy(), alpha).tobytes(), range(10))
        assert set(results) == {alone}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("value", [0, 255])
def test_a_picture_without_soft_edges_is_returned_as_it_is(
    size: tuple[int, int], value: int
) -> None:
    rgb = photo(*size)
    alpha = np.full((size[1], size[0]), value, np.uint8)
    assert np.array_equal(estimate_foreground(rgb.copy(), alpha), rgb)


@pytest.mark.parametrize("size", SIZES)
def test_a_plain_picture_of_any_size_keeps_its_one_color_under_any_matte(
    size: tuple[int, int],
) -> None:
    rgb = np.full((size[1], size[0], 3), (250, 3, 128), np.uint8)
    alpha = np.random.default_rng(0).integers(0, 256, rgb.shape[:2], np.uint8)
    estimated = estimate_foreground(rgb.copy(), alpha)
    assert np.abs(estimated.astype(int) - rgb).max() <= 2


@pytest.mark.parametrize("size", SIZES)
def test_even_noise_under_a_noisy_matte_keeps_its_solid_pixels(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 2, (size[1], size[0], 3), np.uint8) * np.uint8(255)
    alpha = rng.choice(np.array([0, 1, 128, 254, 255], np.uint8), rgb.shape[:2])
    estimated = estimate_foreground(rgb.copy(), alpha)
    hard = (alpha == 0) | (alpha == 255)
    assert np.array_equal(estimated[hard], rgb[hard])
