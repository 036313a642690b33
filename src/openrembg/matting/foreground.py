"""Colours of the subject along soft edges, so that no halo of the old background stays."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from openrembg.matting import parallel
from openrembg.matting.downsample import downsample
from openrembg.matting.layer import Pixels

WORKING_SIDE = 192
BLURS = (0.25, 0.08, 0.025)
TILE = 128

Floats = NDArray[np.float32]
Shorts = NDArray[np.int16]

_SHARES = np.round(np.arange(256) * (128 / 255)).astype(np.int16)


@dataclass(frozen=True, slots=True)
class _Guess:
    """Smooth guesses at working size. foreground, background: uint8[h, w, 3]."""

    foreground: Pixels
    background: Pixels


def estimate_foreground(rgb: Pixels, alpha: Pixels) -> Pixels:
    """Return `rgb` with the subject's own colours wherever alpha is between 0 and 255.

    rgb: uint8[h, w, 3], **changed in place**, because a copy would cost more than the step.
    alpha: uint8[h, w]. Pixels that are fully in or fully out keep their colour.
    Source: Forte, "Approximate Fast Foreground Colour Estimation" (ICIP 2021), blur fusion. Ours
    takes three passes from wide to narrow at 192 pixels, corrects the background's guess as it
    does the foreground's, and repeats the last correction at full size in soft tiles only.
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
        low, high = alpha[rows].min(axis=0), alpha[rows].max(axis=0)
        starts = np.arange(0, width, TILE)
        mixed = (np.minimum.reduceat(low, starts) < 255) & (np.maximum.reduceat(high, starts) > 0)
        tiles += [(rows, slice(int(left), min(width, int(left) + TILE))) for left in starts[mixed]]
    return tiles


def _guess(rgb: Pixels, alpha: Pixels) -> _Guess:
    height, width = alpha.shape
    scale = min(1.0, WORKING_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    photo = downsample(rgb, *size).astype(np.float32)
    cover = (downsample(alpha, *size).astype(np.float32) / 255.0)[..., None]
    foreground = background = photo
    for blur in BLURS:
        smooth = _fill(foreground, cover, blur), _fill(background, 1.0 - cover, blur)
        rest = photo - cover * smooth[0] - (1.0 - cover) * smooth[1]
        foreground = (smooth[0] + cover * rest).clip(0.0, 255.0)
        background = (smooth[1] + (1.0 - cover) * rest).clip(0.0, 255.0)
    return _Guess(_bytes(smooth[0]), _bytes(smooth[1]))


def _bytes(colors: Floats) -> Pixels:
    return np.asarray(cv2.convertScaleAbs(colors), np.uint8)


def _fill(colors: Floats, weight: Floats, blur: float) -> Floats:
    """Return colours spread from where they weigh into where they do not."""
    side = max(3, round(max(weight.shape[:2]) * blur)) | 1
    spread = cv2.blur(colors * weight, (side, side), borderType=cv2.BORDER_REFLECT)
    total = cv2.blur(weight, (side, side), borderType=cv2.BORDER_REFLECT)[..., None]
    return np.asarray((spread + 1e-3 * colors) / (total + 1e-3), np.float32)


def _correct(rgb: Pixels, alpha: Pixels, guess: _Guess, rows: slice, columns: slice) -> None:
    """Repeat the last correction at full size, in 16-bit integers with alpha in 0..128."""
    cover = alpha[rows, columns]
    soft = cv2.inRange(cover, 1, 254)
    if not soft.any():
        return
    share = np.asarray(cv2.merge([cv2.LUT(cover, _SHARES)] * 3), np.int16)
    foreground = _window(guess.foreground, alpha.shape, rows, columns)
    background = _window(guess.background, alpha.shape, rows, columns)
    tile = rgb[rows, columns]
    rest = foreground - background
    rest *= share
    rest >>= 7
    rest += background
    np.subtract(tile, rest, out=rest)
    rest *= share
    rest >>= 7
    rest += foreground
    colors = rest.clip(0, 255).astype(np.uint8)
    np.copyto(tile, cv2.copyTo(colors, soft, tile.copy()))


def _window(guess: Pixels, shape: tuple[int, ...], rows: slice, columns: slice) -> Shorts:
    """Return the part of the guess that lies under a tile, at full size, bilinear."""
    height, width = guess.shape[:2]
    across, down = width / shape[1], height / shape[0]
    left = (columns.start + 0.5) * across - 0.5
    top = (rows.start + 0.5) * down - 0.5
    matrix = np.array([[across, 0.0, left], [0.0, down, top]])
    window = cv2.warpAffine(
        guess,
        matrix,
        (columns.stop - columns.start, rows.stop - rows.start),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return window.astype(np.int16)
