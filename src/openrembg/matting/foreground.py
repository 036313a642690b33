"""Colours of the subject along soft edges, so that no halo of the old background stays."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from openrembg.matting import parallel
from openrembg.matting.layer import Pixels

WORKING_SIDE = 256
COARSE_BLUR = 0.25
FINE_BLUR = 0.02
TILE = 128

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Guess:
    """Smooth guesses at working size. foreground, background: float32[h, w, 3] in 0..255."""

    foreground: Floats
    background: Floats


def estimate_foreground(rgb: Pixels, alpha: Pixels) -> Pixels:
    """Return `rgb` with the subject's own colours wherever alpha is between 0 and 255.

    rgb: uint8[h, w, 3], **changed in place**, because a copy would cost more than the step.
    alpha: uint8[h, w]. Pixels that are fully in or fully out keep their colour.
    Source: Forte, "Approximate Fast Foreground Colour Estimation" (ICIP 2021), blur fusion with
    two passes; the blurs run at 256 pixels, the last correction at full size in soft tiles only.
    """
    tiles = _soft_tiles(alpha)
    if not tiles:
        return rgb
    guess = _guess(rgb, alpha)

    def correct(index: int) -> None:
        _correct(rgb, alpha, guess, *tiles[index])

    parallel.run_all(correct, len(tiles))
    return rgb


def _soft_tiles(alpha: Pixels) -> list[tuple[slice, slice]]:
    """Return the tiles in which some alpha is neither 0 nor 255."""
    height, width = alpha.shape
    tiles = []
    for top in range(0, height, TILE):
        rows = slice(top, min(height, top + TILE))
        low = cv2.reduce(alpha[rows], 0, cv2.REDUCE_MIN)[0]
        high = cv2.reduce(alpha[rows], 0, cv2.REDUCE_MAX)[0]
        starts = np.arange(0, width, TILE)
        mixed = (np.minimum.reduceat(low, starts) < 255) & (np.maximum.reduceat(high, starts) > 0)
        tiles += [(rows, slice(int(left), min(width, int(left) + TILE))) for left in starts[mixed]]
    return tiles


def _guess(rgb: Pixels, alpha: Pixels) -> _Guess:
    height, width = alpha.shape
    scale = min(1.0, WORKING_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    photo = _small(rgb, size).astype(np.float32)
    cover = (_small(alpha, size).astype(np.float32) / 255.0)[..., None]
    background = _fill(photo, 1.0 - cover, COARSE_BLUR)
    foreground = _blend(photo, cover, _fill(photo, cover, COARSE_BLUR), background)
    return _Guess(
        _fill(foreground, cover, FINE_BLUR),
        _fill(background, 1.0 - cover, FINE_BLUR),
    )


def _small(plane: Pixels, size: tuple[int, int]) -> Pixels:
    """Return the plane at working size: by area, on a thinned copy when it is far larger."""
    step = max(1, min(plane.shape[1] // (size[0] * 3), plane.shape[0] // (size[1] * 3)))
    thin = np.ascontiguousarray(plane[::step, ::step])
    return np.asarray(cv2.resize(thin, size, interpolation=cv2.INTER_AREA), np.uint8)


def _fill(colors: Floats, weight: Floats, blur: float) -> Floats:
    """Return colours spread from where they weigh into where they do not."""
    side = max(3, round(max(weight.shape[:2]) * blur)) | 1
    spread = cv2.blur(colors * weight, (side, side), borderType=cv2.BORDER_REFLECT)
    total = cv2.blur(weight, (side, side), borderType=cv2.BORDER_REFLECT)[..., None]
    return np.asarray((spread + 1e-3 * colors) / (total + 1e-3), np.float32)


def _blend(photo: Floats, cover: Floats, foreground: Floats, background: Floats) -> Floats:
    """Return the foreground that explains the photo best near the smooth guess."""
    rest = photo - cover * foreground - (1.0 - cover) * background
    return np.asarray((foreground + cover * rest).clip(0.0, 255.0), np.float32)


def _correct(rgb: Pixels, alpha: Pixels, guess: _Guess, rows: slice, columns: slice) -> None:
    cover = alpha[rows, columns]
    soft = (cover > 0) & (cover < 255)
    if not soft.any():
        return
    foreground = _window(guess.foreground, alpha.shape, rows, columns)[soft]
    background = _window(guess.background, alpha.shape, rows, columns)[soft]
    tile = rgb[rows, columns]
    share = cover[soft].astype(np.float32)[:, None] * np.float32(1 / 255)
    colors = _blend(tile[soft].astype(np.float32), share, foreground, background)
    tile[soft] = (colors + 0.5).astype(np.uint8)


def _window(guess: Floats, shape: tuple[int, ...], rows: slice, columns: slice) -> Floats:
    """Return the part of the guess that lies under a tile, at full size, bilinear."""
    height, width = guess.shape[:2]
    across, down = width / shape[1], height / shape[0]
    left = (columns.start + 0.5) * across - 0.5
    top = (rows.start + 0.5) * down - 0.5
    matrix = np.array([[across, 0.0, left], [0.0, down, top]])
    return np.asarray(
        cv2.warpAffine(
            guess,
            matrix,
            (columns.stop - columns.start, rows.stop - rows.start),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )
