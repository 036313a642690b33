"""From photo and matte to the finished layer: rotate, resize, background, in that order."""

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from openrembg.matting import parallel
from openrembg.matting.box import Box
from openrembg.matting.canvas import clear
from openrembg.matting.layer import Layer, Pixels
from openrembg.matting.options import MAX_SIDE, Options, Rgba
from openrembg.matting.upsample import resize_axis

WHITE: Rgba = (255, 255, 255, 255)
BLOCK = 512
VISIBLE = 13
# How far a canvas may be from the size that is wanted without a filter for it.
NEARLY = 0.01

Deep = NDArray[np.uint16]

# What makes a premultiplied colour straight, for every cover; 0 for none.
_GAINS = np.zeros(1 << 16, np.float32)
_GAINS[1:] = np.float32(255) / np.arange(1, 1 << 16, dtype=np.float32)


def rotated_size(width: int, height: int, angle: float, expand: bool) -> tuple[int, int]:
    """Return width and height of the canvas after a turn by `angle` degrees."""
    if angle % 180 == 0 or not expand:
        return width, height
    if angle % 90 == 0:
        return height, width
    cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
    return (
        max(1, math.ceil(width * cos + height * sin - 1e-6)),
        max(1, math.ceil(width * sin + height * cos - 1e-6)),
    )


def output_size(width: int, height: int, options: Options) -> tuple[int, int]:
    """Return width and height after the resize of a width x height canvas.

    With one side given the other follows; a side over 10000 scales both down to fit.
    """
    w, h = options.w, options.h
    if w is None and h is None:
        return width, height
    if w is not None and h is not None and options.exact_resize:
        return w, h
    return _fit(width, height, w or MAX_SIDE, h or MAX_SIDE)


def _fit(width: int, height: int, max_width: int, max_height: int) -> tuple[int, int]:
    if max_width * height <= max_height * width:
        return max_width, max(1, _divide(height * max_width, width))
    return max(1, _divide(width * max_height, height)), max_height


def _divide(number: int, by: int) -> int:
    """Return the quotient, rounded half up."""
    return (2 * number + by) // (2 * by)


def rotate(
    layer: Layer, angle: float, expand: bool, canvas: tuple[int, int] | None = None
) -> Layer:
    """Turn counter-clockwise; new corners are transparent. Multiples of 90° are transposes.

    With `expand` false a quarter turn keeps the canvas too: what does not fit is cropped, what
    is missing is transparent. canvas: width and height that are wanted in the end; where a turn by
    any other angle needs about as many pixels, it is drawn at them, which spares a resize.
    """
    if angle % 360 == 0:
        return layer
    size = rotated_size(layer.width, layer.height, angle, expand)
    if angle % 90 == 0:
        turns = int(angle % 360) // 90
        return Layer(
            _centre(_quarter(layer.rgb, turns), size), _centre(_quarter(layer.alpha, turns), size)
        )
    near = canvas is not None and all(
        abs(wanted - own) <= NEARLY * own for wanted, own in zip(canvas, size, strict=True)
    )
    return _warp(layer, angle, size, canvas if canvas is not None and near else size)


def _quarter(plane: Pixels | None, turns: int) -> Pixels | None:
    if plane is None:
        return None
    codes = (cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)
    return np.asarray(cv2.rotate(plane, codes[turns - 1]), np.uint8)


def _centre(plane: Pixels | None, size: tuple[int, int]) -> Pixels | None:
    """Return the plane cropped or padded with zeros, about its centre, to width x height."""
    if plane is None or plane.shape[1::-1] == size:
        return plane
    out = np.zeros((size[1], size[0], *plane.shape[2:]), np.uint8)
    spans = [_overlap(out.shape[axis], plane.shape[axis]) for axis in (0, 1)]
    out[spans[0][0], spans[1][0]] = plane[spans[0][1], spans[1][1]]
    return out


def _overlap(outer: int, inner: int) -> tuple[slice, slice]:
    """Return where two centred lengths overlap, as a slice of each."""
    length = min(outer, inner)
    first, second = (outer - length) // 2, (inner - length) // 2
    return slice(first, first + length), slice(second, second + length)


def _warp(layer: Layer, angle: float, own_size: tuple[int, int], size: tuple[int, int]) -> Layer:
    """Rotate about the centre, block by block: only a block's worth is ever premultiplied.

    Where nothing is to be seen nothing is written, so that it takes neither time nor memory.
    """
    width, height = size
    to_source = _inverse_rotation(layer, angle, own_size, size)
    rgb = None if layer.rgb is None else clear((height, width, 3))
    alpha = clear((height, width))
    corners = [(y, x) for y in range(0, height, BLOCK) for x in range(0, width, BLOCK)]

    def fill(index: int) -> None:
        y, x = corners[index]
        rows, columns = slice(y, min(height, y + BLOCK)), slice(x, min(width, x + BLOCK))
        block = _warp_block(layer, to_source, rows, columns)
        if block is None:
            return
        colors, alpha[rows, columns] = block
        if rgb is not None and colors is not None:
            rgb[rows, columns] = colors

    parallel.run_all(fill, len(corners))
    return Layer(rgb, alpha)


def _inverse_rotation(
    layer: Layer, angle: float, own_size: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the 2x3 matrix from output to source pixel centres, counter-clockwise on screen."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turn = np.array([[cos, -sin], [sin, cos]]) * (np.array(own_size) / size)
    middle_out = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2])
    middle_in = np.array([(layer.width - 1) / 2, (layer.height - 1) / 2])
    return np.column_stack([turn, middle_in - turn @ middle_out])


def _warp_block(
    layer: Layer, to_source: NDArray[np.float64], rows: slice, columns: slice
) -> tuple[Pixels | None, Pixels] | None:
    """Return colours and alpha of a block of the canvas, None where all of it is transparent."""
    width, height = columns.stop - columns.start, rows.stop - rows.start
    ends = np.array(
        [[x, y, 1] for x in (columns.start, columns.stop - 1) for y in (rows.start, rows.stop - 1)]
    )
    reached = ends @ to_source.T
    left, top = np.maximum(np.floor(reached.min(axis=0)).astype(int) - 2, 0)
    right, bottom = np.ceil(reached.max(axis=0)).astype(int) + 3
    window = Layer(
        None if layer.rgb is None else layer.rgb[top:bottom, left:right],
        None if layer.alpha is None else layer.alpha[top:bottom, left:right],
    )
    if right <= 0 or bottom <= 0 or window.alpha is None or not window.alpha.any():
        return None
    offset = to_source @ np.array([columns.start, rows.start, 1]) - np.array([left, top])
    matrix = np.column_stack([to_source[:, :2], offset])
    turned = cv2.warpAffine(
        _premultiply(window),
        matrix,
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return _straighten(turned)


def resize(layer: Layer, width: int, height: int) -> Layer:
    """Resize on premultiplied colours: by area when a side shrinks, cubic when it grows.

    The two axes are separate passes over stripes and blocks, and the channels follow one another,
    so that only one intermediate of one channel is ever held.
    """
    if (layer.width, layer.height) == (width, height):
        return layer
    size = (width, height)
    cover = np.empty((height, width), np.uint16)
    alpha = np.empty((height, width), np.uint8)

    def keep(block: slice, deep: Deep) -> None:
        cover[:, block], alpha[:, block] = deep, _bytes_of(deep)

    _stretch(_resize_rows(layer, None, width), size, keep)
    if layer.rgb is None:
        return Layer(None, alpha)
    rgb = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        _stretch(_resize_rows(layer, channel, width), size, _straightened(rgb, channel, cover))
    return Layer(rgb, alpha)


def _straightened(rgb: Pixels, channel: int, cover: Deep) -> Callable[[slice, Deep], None]:
    """Return what writes a block of premultiplied columns into its channel of straight colours."""

    def keep(block: slice, deep: Deep) -> None:
        colors = deep.astype(np.float32)
        colors *= _GAINS[cover[:, block]]
        rgb[:, block, channel] = cv2.convertScaleAbs(colors)

    return keep


def _stretch(wide: Deep, size: tuple[int, int], keep: Callable[[slice, Deep], None]) -> None:
    """Give `keep` the columns of a channel at their final height, block by block."""
    width, height = size
    blocks = parallel.stripes(width, max(height, wide.shape[0]) * 2)

    def stretch(index: int) -> None:
        block = blocks[index]
        keep(block, resize_axis(np.ascontiguousarray(wide[:, block]), height, 0))

    parallel.run_all(stretch, len(blocks))


def _resize_rows(layer: Layer, channel: int | None, width: int) -> Deep:
    """Return uint16[h, width]: a premultiplied channel, or for None the alpha, widened."""
    wide = np.empty((layer.height, width), np.uint16)
    stripes = parallel.stripes(layer.height, max(width, layer.width) * 2)

    def widen(index: int) -> None:
        rows = stripes[index]
        assert layer.alpha is not None  # noqa: S101
        if layer.rgb is None or channel is None:
            deep = _halved_product(layer.alpha[rows], 255)
        else:
            deep = _halved_product(layer.rgb[rows, :, channel], layer.alpha[rows])
        wide[rows] = resize_axis(deep, width, 1)

    parallel.run_all(widen, len(stripes))
    return wide


def _premultiply(layer: Layer) -> Deep:
    """Return uint16[h, w, 4], colour x alpha and 255 x alpha, or uint16[h, w] for a matte.

    All are halved: a cubic filter overshoots, and what saturates would change colours.
    """
    assert layer.alpha is not None, "a layer is opaque only after its background"  # noqa: S101
    cover = _halved_product(layer.alpha, 255)
    if layer.rgb is None:
        return cover
    colors = _halved_product(layer.rgb, cv2.merge([layer.alpha] * 3))
    deep = np.empty((*layer.alpha.shape, 4), np.uint16)
    cv2.mixChannels([colors, cover], [deep], [0, 0, 1, 1, 2, 2, 3, 3])
    return deep


def _halved_product(values: Pixels, by: np.ndarray | int) -> Deep:
    product = np.multiply(values, by, dtype=np.uint16)
    product >>= 1
    return product


def _bytes_of(cover: Deep) -> Pixels:
    return np.asarray(cv2.convertScaleAbs(cover, alpha=2 / 255), np.uint8)


def _straighten(deep: np.ndarray) -> tuple[Pixels | None, Pixels]:
    """Return colours uint8[h, w, 3] (None for a matte) and alpha uint8[h, w]."""
    if deep.ndim == 2:
        return None, _bytes_of(deep)
    cover = np.asarray(cv2.extractChannel(deep, 3), np.uint16)
    gain = _GAINS[cover]
    colors = cv2.cvtColor(deep, cv2.COLOR_RGBA2RGB).astype(np.float32)
    colors *= cv2.merge([gain] * 3)
    straight = np.asarray(cv2.convertScaleAbs(colors), np.uint8)
    return straight, _bytes_of(cover)


def lay_on(layer: Layer, color: Rgba) -> Layer:
    """Return the layer over a plain colour; opaque where the colour is opaque.

    The layer's pixels are **changed in place**: of a large picture a copy may not fit beside it.
    Source: Porter and Duff, "Compositing Digital Images" (1984), the operator *over*.
    """
    if layer.alpha is None or layer.rgb is None:
        return layer
    rgb, alpha = layer.rgb, layer.alpha
    opaque = color[3] == 255
    stripes = parallel.stripes(layer.height, layer.width * 6)
    ground = np.array(color[:3], np.uint8)

    def cover(index: int) -> None:
        rows = stripes[index]
        if opaque:
            rgb[rows] = _over_opaque(rgb[rows], alpha[rows], ground)
        else:
            rgb[rows], alpha[rows] = _over(rgb[rows], alpha[rows], color)

    parallel.run_all(cover, len(stripes))
    return Layer(rgb, None if opaque else alpha)


def _over_opaque(rgb: Pixels, alpha: Pixels, ground: Pixels) -> Pixels:
    """Return alpha x rgb + (1 - alpha) x ground, rounded, in 16-bit integers.

    (x + 128 + (x + 128) / 256) / 256 is x / 255 rounded, for every 16-bit product of two bytes
    (Blinn, "Three Wrongs Make a Right", IEEE CG&A 1995).
    """
    rest = np.arange(255, -1, -1, dtype=np.uint16)
    behind = [cv2.LUT(alpha, rest * np.uint16(part)) for part in ground]
    mixed = np.asarray(cv2.merge(behind), np.uint16)
    mixed += np.multiply(rgb, cv2.merge([alpha, alpha, alpha]), dtype=np.uint16)
    mixed += 128
    mixed += mixed >> 8
    mixed >>= 8
    return mixed.astype(np.uint8)


def _over(rgb: Pixels, alpha: Pixels, color: Rgba) -> tuple[Pixels, Pixels]:
    top = np.arange(256, dtype=np.float32) / 255  # for every alpha; the pictures look it up
    total = top + (1 - top) * (color[3] / 255)
    share = np.divide(top, total, out=np.zeros_like(total), where=total > 0)
    colors = np.multiply(rgb, cv2.merge([cv2.LUT(alpha, share)] * 3), dtype=np.float32)
    colors += cv2.merge([cv2.LUT(alpha, part * (1 - share)) for part in color[:3]])
    covers = (total * 255 + 0.5).astype(np.uint8)
    return np.asarray(cv2.convertScaleAbs(colors), np.uint8), np.asarray(cv2.LUT(alpha, covers))


def flat_color(color: Rgba | None) -> Rgba:
    """Return the opaque colour that a format without alpha shows behind the subject: over white."""
    if color is None:
        return WHITE
    red, green, blue, alpha = color
    mixed = [_divide(part * alpha + 255 * (255 - alpha), 255) for part in (red, green, blue)]
    return (mixed[0], mixed[1], mixed[2], 255)


def foreground_box(alpha: Pixels) -> Box:
    """Return the rectangle around everything at least 5 % visible in uint8[h, w]."""
    rows = np.flatnonzero(alpha.max(axis=1) >= VISIBLE)
    if rows.size == 0:
        return Box(0, 0, 0, 0)
    columns = np.flatnonzero(alpha.max(axis=0) >= VISIBLE)
    top, left = int(rows[0]), int(columns[0])
    return Box(top, left, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)
