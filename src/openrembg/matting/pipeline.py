"""remove_background(): the list of steps, nothing else."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from openrembg.matting import parallel
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
from openrembg.matting.decode import Photo, Source
from openrembg.matting.encode import MEDIA_TYPES, encode, has_alpha
from openrembg.matting.foreground import estimate_foreground
from openrembg.matting.layer import Layer, Pixels
from openrembg.matting.matter import Matte, Matter
from openrembg.matting.options import Options
from openrembg.matting.runtime import load_matter
from openrembg.matting.upsample import upsample
from openrembg.matting.weights import find_weights


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went, in seconds; decode and matte run side by side.

    begins_s: when each of the four began, from the cut-out's own beginning; 0 for one that was not
    needed.
    """

    decode_s: float
    matte_s: float
    compose_s: float
    encode_s: float
    begins_s: tuple[float, ...] = field(default=(0.0, 0.0, 0.0, 0.0), kw_only=True)


@dataclass(frozen=True, slots=True)
class Cutout:
    """A finished picture. foreground_box is in its own pixels, all zero when nothing was found."""

    data: bytes
    media_type: str
    width: int
    height: int
    foreground_detected: bool
    foreground_box: Box
    model: str
    timings: Timings


def remove_background(
    data: bytes,
    options: Options = Options(),
    *,
    matter: Matter | None = None,
    estimate_foreground: bool = True,
) -> Cutout:
    """Cut the subject out of a PNG, JPEG, WebP or BMP file.

    matter: what makes the matte; None loads the packaged model, once a process.
    estimate_foreground: correct the colours of soft edges; False leaves them as photographed.
    Raises UnsupportedImage, ImageTooLarge, UndecodableImage, or a ModelError.
    """
    source = Source(data)
    return cut_out(
        source, options, matter or default_matter(), estimate_foreground=estimate_foreground
    )


_loading = threading.Lock()
_default: list[Matter] = []


def default_matter() -> Matter:
    """Return the packaged model, loaded when first asked for."""
    with _loading:
        if not _default:
            _default.append(load_matter(find_weights()))
        return _default[0]


def peak_pixels(source: Source, options: Options) -> int:
    """Return the pixels that a cut-out holds at most: of input, rotated canvas, or output."""
    plan = _plan(source, options)
    return max(source.header.pixels, *(width * height for width, height in plan))


def cut_out(
    source: Source, options: Options, matter: Matter, *, estimate_foreground: bool = True
) -> Cutout:
    """Run every step on a file whose header was read. Raises UndecodableImage or a ModelError."""
    clock = _Clock()
    photo, matte = _see(source, options, matter, clock)
    with clock.measure("compose"):
        layer = _cut(photo, matte, source.upright_size, correct_colors=estimate_foreground)
        del photo  # else a turned or resized copy would lie beside it
        output = _plan(source, options)[1]
        if options.angle % 90:
            layer = _shrink(layer, source, options)
        layer = rotate(layer, options.angle, options.expand, output)
        layer = resize(layer, *output)
        box = _box(layer, matte)
        layer = _finish(layer if box.width else _cleared(layer), options)
    with clock.measure("encode"):
        data = encode(layer, options.format)
    return Cutout(
        data,
        MEDIA_TYPES[options.format],
        layer.width,
        layer.height,
        box.width > 0,
        box,
        matter.model,
        clock.timings(),
    )


def _plan(source: Source, options: Options) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the sizes of the rotated canvas and of the output."""
    canvas = rotated_size(*source.upright_size, options.angle, options.expand)
    return canvas, output_size(*canvas, options)


def _see(
    source: Source, options: Options, matter: Matter, clock: "_Clock"
) -> tuple[Photo | None, Matte]:
    """Return the pixels and the matte, made side by side. A mask needs no pixels but alpha."""
    if options.mask and source.scales_cheaply:
        with clock.measure("matte"):
            return None, matter.matte(source)

    def decode() -> Photo:
        with clock.measure("decode"):
            return source.photo(*_least_size(source, options))

    pixels = parallel.start(decode)
    try:
        with clock.measure("matte"):
            matte = matter.matte(source)
    finally:
        photo = pixels()
    source.forget()
    return photo, matte


def _least_size(source: Source, options: Options) -> tuple[int, int]:
    """Return the size that the photo must at least be decoded to, for an output far smaller."""
    canvas, output = _plan(source, options)
    scale = max(output[0] / canvas[0], output[1] / canvas[1])
    width, height = source.upright_size
    return min(width, int(width * scale) + 1), min(height, int(height * scale) + 1)


def _shrink(layer: Layer, source: Source, options: Options) -> Layer:
    """Return the layer no larger than the output needs it: a turned canvas can be twice as large.

    Turning commutes with an even scale.
    """
    width, height = _least_size(source, options)
    if layer.width <= width or layer.height <= height:
        return layer
    return resize(layer, width, height)


def _cut(
    photo: Photo | None, matte: Matte, size: tuple[int, int], *, correct_colors: bool
) -> Layer:
    """Return the photo with the matte as its alpha, at the size that was decoded."""
    width, height = size if photo is None else (photo.width, photo.height)
    if not matte.detected:
        rgb = None if photo is None else photo.rgb
        return Layer(rgb, np.zeros((height, width), np.uint8))
    alpha = upsample(matte.alpha, width, height)
    if photo is None:
        return Layer(None, alpha)
    rgb = estimate_foreground(photo.rgb, alpha) if correct_colors else photo.rgb
    return Layer(rgb, _times(alpha, photo.alpha))


def _times(alpha: Pixels, other: Pixels | None) -> Pixels:
    """Return the product of two alphas, rounded; the first is changed in place."""
    if other is None:
        return alpha
    stripes = parallel.stripes(alpha.shape[0], alpha.shape[1] * 2)

    def multiply(index: int) -> None:
        rows = stripes[index]
        product = np.multiply(alpha[rows], other[rows], dtype=np.uint16)
        product += 127
        product //= 255
        alpha[rows] = product

    parallel.run_all(multiply, len(stripes))
    return alpha


def _cleared(layer: Layer) -> Layer:
    """Return the layer without the faint traces of what does not count as found."""
    return Layer(layer.rgb, np.zeros((layer.height, layer.width), np.uint8))


def _box(layer: Layer, matte: Matte) -> Box:
    if layer.alpha is None or not matte.detected:
        return Box(0, 0, 0, 0)
    return foreground_box(layer.alpha)


def _finish(layer: Layer, options: Options) -> Layer:
    """Return what the encoder gets: the bare matte, or the cut-out over its background."""
    if options.mask:
        return Layer(None, layer.alpha)
    if not has_alpha(options.format):
        return lay_on(layer, flat_color(options.background))
    return layer if options.background is None else lay_on(layer, options.background)


class _Clock:
    """Takes the time of each step; steps may run side by side."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._begins: dict[str, float] = {}
        self._seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._begins[step] = start - self._began
            self._seconds[step] = time.perf_counter() - start

    def timings(self) -> Timings:
        steps = ("decode", "matte", "compose", "encode")
        begins = tuple(self._begins.get(step, 0.0) for step in steps)
        return Timings(*(self._seconds.get(step, 0.0) for step in steps), begins_s=begins)
