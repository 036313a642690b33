"""Rotate, resize, background: sizes, exactness, and premultiplied colours."""

import math
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import photo

from openrembg.matting.box import Box
from openrembg.matting.compose import (
    flat_color,
    foreground_box,
    lay_on,
    output_size,
    resize,
    rotate,
    rotated_size,
)
from openrembg.matting.layer import Layer
from openrembg.matting.options import Options, Rgba

SIDES = st.integers(1, 10_000)


def layer_of(width: int = 40, height: int = 30) -> Layer:
    y, x = np.mgrid[0:height, 0:width]
    alpha = ((x * 7 + y * 3) % 256).astype(np.uint8)
    return Layer(photo(width, height), alpha)


def copy_of(layer: Layer) -> Layer:
    assert layer.rgb is not None
    assert layer.alpha is not None
    return Layer(layer.rgb.copy(), layer.alpha.copy())


def peak_bytes(step: Callable[[], object]) -> int:
    """Return the most that was held at once while `step` ran, what it was given left aside."""
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("size", "options", "expected"),
    [
        ((1000, 500), Options(), (1000, 500)),
        ((1000, 500), Options(w=100), (100, 50)),
        ((1000, 500), Options(h=100), (200, 100)),
        ((1000, 500), Options(w=100, h=100), (100, 50)),
        ((500, 1000), Options(w=100, h=100), (50, 100)),
        ((1000, 500), Options(w=100, h=100, exact_resize=True), (100, 100)),
        ((100, 50), Options(w=1000), (1000, 500)),
        ((3, 2), Options(w=1), (1, 1)),
        ((5, 1), Options(h=2), (10, 2)),
        ((1000, 5), Options(w=100), (100, 1)),
        ((1000, 15), Options(w=100), (100, 2)),
        ((10000, 1), Options(w=10), (10, 1)),
        ((1, 100), Options(w=1000), (100, 10000)),
        ((100, 1), Options(h=1000), (10000, 100)),
    ],
)
def test_the_output_obeys_w_and_h(
    size: tuple[int, int], options: Options, expected: tuple[int, int]
) -> None:
    assert output_size(*size, options) == expected


@given(SIDES, SIDES, st.none() | SIDES, st.none() | SIDES)
def test_no_output_is_larger_than_asked_nor_empty(
    width: int, height: int, w: int | None, h: int | None
) -> None:
    out = output_size(width, height, Options(w=w, h=h))
    assert min(out) >= 1
    if w is None and h is None:
        assert out == (width, height)
        return
    assert out[0] <= (w or 10_000)
    assert out[1] <= (h or 10_000)
    assert out[0] == w or out[1] == h or 10_000 in out


@pytest.mark.parametrize(
    ("angle", "turns"), [(90, 1), (180, 2), (270, 3), (-90, 3), (-180, 2), (-270, 1), (360, 0)]
)
def test_quarter_turns_are_exact_and_counter_clockwise(angle: float, turns: int) -> None:
    layer = layer_of()
    turned = rotate(layer, angle, True)
    assert layer.rgb is not None
    assert layer.alpha is not None
    assert turned.rgb is not None
    assert np.array_equal(turned.rgb, np.rot90(layer.rgb, turns))
    assert np.array_equal(turned.alpha, np.rot90(layer.alpha, turns))


@pytest.mark.parametrize("angle", [90, -90, 270])
@pytest.mark.parametrize("size", [(40, 30), (31, 50)])
def test_a_quarter_turn_without_expand_keeps_the_canvas(
    angle: float, size: tuple[int, int]
) -> None:
    layer = Layer(photo(*size), np.full((size[1], size[0]), 255, np.uint8))
    turned = rotate(layer, angle, False)
    assert (turned.width, turned.height) == size
    assert turned.alpha is not None
    assert turned.alpha[size[1] // 2, size[0] // 2] == 255
    assert turned.alpha.min() == 0


@given(SIDES, SIDES, st.floats(-360, 360))
def test_the_expanded_canvas_holds_every_corner(width: int, height: int, angle: float) -> None:
    new_width, new_height = rotated_size(width, height, angle, True)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    for x, y in ((width, height), (width, -height)):
        assert abs(x * cos + y * sin) <= new_width + 1e-3
        assert abs(-x * sin + y * cos) <= new_height + 1e-3
    assert rotated_size(width, height, angle, False) == (width, height)


def test_a_free_turn_goes_counter_clockwise_and_leaves_transparent_corners() -> None:
    rgb = np.full((400, 600, 3), 90, np.uint8)
    rgb[:, 300:] = 200
    turned = rotate(Layer(rgb, np.full((400, 600), 255, np.uint8)), 30, True)
    assert turned.alpha is not None
    assert turned.rgb is not None
    assert (turned.width, turned.height) == rotated_size(600, 400, 30, True)
    assert [turned.alpha[y, x] for y in (0, -1) for x in (0, -1)] == [0, 0, 0, 0]
    middle_y, middle_x = turned.height // 2, turned.width // 2
    assert turned.rgb[middle_y - 60, middle_x + 100].tolist() == [200, 200, 200]
    assert turned.rgb[middle_y + 60, middle_x - 100].tolist() == [90, 90, 90]
    assert turned.rgb[middle_y - 120, middle_x - 20].tolist() == [200, 200, 200]
    assert turned.rgb[middle_y - 120, middle_x - 110].tolist() == [90, 90, 90]


@pytest.mark.parametrize("angle", [0.3, 17, 45, 89.9, 133, -61])
def test_a_free_turn_of_one_color_stays_that_color(angle: float) -> None:
    rgb = np.full((700, 900, 3), (13, 128, 250), np.uint8)
    turned = rotate(Layer(rgb, np.full((700, 900), 255, np.uint8)), angle, True)
    assert turned.rgb is not None
    assert turned.alpha is not None
    seen = turned.rgb[turned.alpha > 3].astype(int)
    assert np.abs(seen - (13, 128, 250)).max() <= 2
    area = turned.alpha.sum() / 255
    assert abs(area - 700 * 900) < 700 * 900 * 0.004


def test_blocks_leave_no_seams() -> None:
    big = photo(1300, 1100)
    alpha = np.full((1100, 1300), 255, np.uint8)
    turned = rotate(Layer(big, alpha), 20, True)
    back = rotate(turned, -20, True)
    assert back.rgb is not None
    top, left = (back.height - 1100) // 2, (back.width - 1300) // 2
    inner = back.rgb[top + 30 : top + 1070, left + 30 : left + 1270].astype(int)
    assert np.abs(inner - big[30:1070, 30:1270]).mean() < 6


@pytest.mark.parametrize("size", [(20, 15), (33, 7), (80, 60), (55, 90), (1, 1), (10, 400)])
def test_resize_gives_the_asked_size(size: tuple[int, int]) -> None:
    small = resize(layer_of(), *size)
    assert (small.width, small.height) == size
    assert small.rgb is not None
    assert small.rgb.shape == (size[1], size[0], 3)


def test_resize_to_the_same_size_changes_nothing() -> None:
    layer = layer_of()
    assert resize(layer, 40, 30) is layer


@pytest.mark.parametrize("size", [(10, 10), (37, 23), (100, 130)])
def test_resize_never_mixes_in_colors_that_are_transparent(size: tuple[int, int]) -> None:
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[:, :] = (0, 255, 0)
    rgb[16:48, 16:48] = (200, 40, 90)
    alpha = np.zeros((64, 64), np.uint8)
    alpha[16:48, 16:48] = 255
    small = resize(Layer(rgb, alpha), *size)
    assert small.rgb is not None
    assert small.alpha is not None
    assert np.abs(small.rgb[small.alpha > 1].astype(int) - (200, 40, 90)).max() <= 2


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 254))
def test_resize_keeps_one_color_and_one_alpha(width: int, height: int, alpha: int) -> None:
    rgb = np.full((40, 50, 3), (7, 77, 177), np.uint8)
    small = resize(Layer(rgb, np.full((40, 50), alpha, np.uint8)), width, height)
    assert small.alpha is not None
    assert small.rgb is not None
    assert np.abs(small.alpha.astype(int) - alpha).max() <= 1
    assert np.abs(small.rgb.astype(int) - (7, 77, 177)).max() <= 2 + 255 // alpha


def test_a_bare_matte_resizes_and_turns_too() -> None:
    matte = Layer(None, layer_of().alpha)
    assert resize(matte, 20, 15).alpha is not None
    turned = rotate(matte, 45, True)
    assert turned.rgb is None
    assert turned.alpha is not None
    assert turned.alpha[0, 0] == 0


def exact_over(layer: Layer, color: Rgba) -> tuple[np.ndarray, np.ndarray]:
    assert layer.rgb is not None
    assert layer.alpha is not None
    top = layer.alpha[..., None] / 255.0
    below = (1 - top) * color[3] / 255.0
    total = top + below
    mixed = (layer.rgb * top + np.array(color[:3]) * below) / np.maximum(total, 1e-9)
    return mixed, total[..., 0] * 255


@pytest.mark.parametrize("color", [(255, 255, 255, 255), (0, 0, 0, 255), (12, 200, 77, 255)])
def test_an_opaque_background_leaves_no_alpha(color: Rgba) -> None:
    layer = layer_of()
    done = lay_on(copy_of(layer), color)
    assert done.alpha is None
    assert done.rgb is not None
    assert np.abs(done.rgb - exact_over(layer, color)[0]).max() <= 0.51


@pytest.mark.parametrize("color", [(255, 0, 0, 128), (10, 20, 30, 1), (9, 9, 9, 0)])
def test_a_translucent_background_keeps_its_alpha(color: Rgba) -> None:
    layer = layer_of()
    done = lay_on(copy_of(layer), color)
    rgb, alpha = exact_over(layer, color)
    assert done.rgb is not None
    assert done.alpha is not None
    assert np.abs(done.alpha - alpha).max() <= 0.51
    seen = alpha > 1
    assert np.abs(done.rgb - rgb)[seen].max() <= 0.51


def test_formats_without_alpha_show_the_color_over_white() -> None:
    assert flat_color(None) == (255, 255, 255, 255)
    assert flat_color((0, 0, 0, 0)) == (255, 255, 255, 255)
    assert flat_color((255, 0, 0, 128)) == (255, 127, 127, 255)
    assert flat_color((1, 2, 3, 255)) == (1, 2, 3, 255)


def test_the_box_surrounds_what_is_visible() -> None:
    alpha = np.zeros((50, 60), np.uint8)
    alpha[10:20, 5:30] = 200
    alpha[40, 50] = 12
    assert foreground_box(alpha) == Box(10, 5, 25, 10)
    assert foreground_box(np.zeros((3, 3), np.uint8)) == Box(0, 0, 0, 0)


def test_a_resize_holds_but_one_channel_of_what_it_computes() -> None:
    layer, result = layer_of(3000, 2000), 2900 * 1900 * 4
    spare = (2900 * 1900 + 2900 * 2000) * 2 + (12 << 20)
    assert peak_bytes(lambda: resize(layer, 2900, 1900)) < result + spare


@pytest.mark.parametrize("color", [(9, 9, 9, 255), (9, 9, 9, 100)])
def test_a_background_takes_no_second_picture(color: Rgba) -> None:
    layer = layer_of(3000, 2000)
    # What a stripe or two of floats take, for each of the cores.
    assert peak_bytes(lambda: lay_on(layer, color)) < 12 << 20


def test_corners_that_nobody_sees_are_clear_and_the_rest_is_turned_as_a_whole() -> None:
    layer = layer_of(900, 700)
    assert layer.alpha is not None
    layer.alpha[:, :600] = 0
    turned = rotate(layer, 30, True)
    assert turned.rgb is not None
    assert turned.alpha is not None
    assert not turned.rgb[:300, :300].any()
    assert not turned.alpha[:300, :300].any()
    assert abs(turned.alpha.sum(dtype=float) / layer.alpha.sum(dtype=float) - 1) < 0.01


def test_a_turn_to_about_its_own_size_is_drawn_at_that_size() -> None:
    layer = layer_of(300, 200)
    size = rotated_size(300, 200, 25, True)
    wanted = (size[0] - 1, size[1] + 1)
    turned, resized = rotate(layer, 25, True, wanted), resize(rotate(layer, 25, True), *wanted)
    assert (turned.width, turned.height) == wanted
    assert turned.alpha is not None
    assert resized.alpha is not None
    assert np.abs(turned.alpha.astype(int) - resized.alpha).mean() < 4
    assert rotate(layer, 25, True, (100, 100)).width == size[0]
