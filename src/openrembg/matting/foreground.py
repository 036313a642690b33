"""Colours of the subject along soft edges, so that no halo of the old background stays."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from openrembg.matting import parallel
from openrembg.matting.downsample import downsample
from openrembg.matting.layer import Pixels

# Long sides in pixels of the two sizes at which colours are guessed, and the blurs' widths there.
WIDE_SIDE, NEAR_SIDE = 96, 768
WIDE_BLURS, NEAR_BLURS = (25, 7), (11, 5, 3)
NEAR_TILE, TILE, RUN = 48, 64, 8
RATIOS = (0.25, 64.0)  # the first also keeps the gain small enough for 16-bit integers

Floats = NDArray[np.float32]
Colors = tuple[Floats, Floats]  # foreground and background, float32[h, w, 3]
Halvings = tuple[int, int]  # how often the height and the width were halved
Tile = tuple[slice, slice]

_COVER = np.arange(256) / 255
_SHARES = _COVER.astype(np.float32)
_SHARES_128 = np.round(_COVER * 128).astype(np.int16)
_ODDS = ((1 - _COVER) ** 2 / np.maximum(_COVER, 1e-6) ** 2).astype(np.float32)
_INVERSE_64 = (64 / np.maximum(_COVER, 1e-3)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Guess:
    """Smooth guesses of the colours.

    foreground, background: uint8[h, w, 3]. ratio: float32[h, w], how many times as much the
    background differs from its guess as the foreground does, in squares.
    """

    foreground: Pixels
    background: Pixels
    ratio: Floats


def estimate_foreground(rgb: Pixels, alpha: Pixels) -> Pixels:
    """Return `rgb` with the subject's own colours wherever alpha is between 0 and 255.

    rgb: uint8[h, w, 3], **changed in place**, because a copy would cost more than the step.
    alpha: uint8[h, w]. Pixels that are fully in or fully out keep their colour.
    What two smooth guesses do not explain of a pixel is shared out between foreground and
    background in proportion to how far each usually is from its guess. The guesses follow from the
    same step, blurred, from wide to narrow: at 96 pixels, then in soft tiles of the picture halved
    to 768 or less. Sources: Forte, "Approximate Fast Foreground Colour Estimation" (ICIP 2021);
    Germer et al., "Fast Multi-Level Foreground Estimation" (ICPR 2020); the shares are Wiener's.
    """
    tiles = _soft_tiles(alpha, TILE)
    if not tiles:
        return rgb
    halvings = _halvings(*alpha.shape)
    guess = _near_guess(_halve(rgb, halvings), _halve(alpha, halvings))

    def correct(index: int) -> None:
        _correct(rgb, alpha, guess, halvings, tiles[index])

    parallel.run_all(correct, len(tiles))
    return rgb


def _soft_tiles(alpha: Pixels, side: int) -> list[Tile]:
    """Return the tiles in which alpha is neither 0 everywhere nor 255 everywhere.

    Up to `RUN` that lie side by side are one, since calls on small arrays cost as much as on large.
    """
    height, width = alpha.shape
    starts = np.arange(0, width, side)
    tiles = []
    for top in range(0, height, side):
        rows = slice(top, min(height, top + side))
        low, high = alpha[rows].min(axis=0), alpha[rows].max(axis=0)
        mixed = (np.minimum.reduceat(low, starts) < 255) & (np.maximum.reduceat(high, starts) > 0)
        ends = np.flatnonzero(np.diff(mixed, prepend=False, append=False)) * side
        for first, last in ends.reshape(-1, 2).tolist():
            lefts = range(first, last, RUN * side)
            tiles += [(rows, slice(left, min(left + RUN * side, last, width))) for left in lefts]
    return tiles


def _halvings(height: int, width: int) -> Halvings:
    """Return how often to halve to `NEAR_SIDE` or less; tiles still start on whole pixels there."""
    count = ((max(height, width) - 1) // NEAR_SIDE).bit_length()
    return min(count, height.bit_length() - 1), min(count, width.bit_length() - 1)


def _halve(plane: Pixels, halvings: Halvings) -> Pixels:
    """Return the plane halved, without the last rows and columns that do not fill a pixel."""
    down, across = halvings
    height, width = plane.shape[0] >> down, plane.shape[1] >> across
    return downsample(plane[: height << down, : width << across], width, height)


def _near_guess(photo: Pixels, alpha: Pixels) -> _Guess:
    """Return guesses at the size of the arguments, in soft tiles better than the wide ones."""
    wide = _wide_guess(photo, alpha)
    near = _Guess(wide.foreground.copy(), wide.background.copy(), wide.ratio)
    tiles = _soft_tiles(alpha, NEAR_TILE)

    def improve(index: int) -> None:
        _improve(photo, alpha, wide, near, tiles[index])

    parallel.run_all(improve, len(tiles))
    return near


def _wide_guess(photo: Pixels, alpha: Pixels) -> _Guess:
    height, width = alpha.shape
    scale = min(1.0, WIDE_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small, cover = downsample(photo, *size).astype(np.float32), downsample(alpha, *size)
    colors = _mean(small, cover), _mean(small, 255 - cover)
    colors = _explain(small, cover, np.ones(cover.shape, np.float32), colors, WIDE_BLURS)
    ratio = _ratio(small, cover, colors)

    def enlarge(plane: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.resize(plane, (width, height)))

    return _Guess(enlarge(_bytes(colors[0])), enlarge(_bytes(colors[1])), enlarge(ratio))


def _mean(colors: Floats, cover: Pixels) -> Floats:
    """Return the mean colour of what is covered, float32[h, w, 3], the same everywhere."""
    weight = cover.astype(np.float32) + np.float32(1e-3)
    mean = np.einsum("ij,ijk->k", weight, colors) / weight.sum()
    return np.broadcast_to(mean, colors.shape).copy()


def _ratio(photo: Floats, alpha: Pixels, colors: Colors) -> Floats:
    """Return how many times as much the background differs from its guess, float32[h, w]."""
    share = np.asarray(cv2.LUT(alpha, _SHARES), np.float32)
    rest = _rest(photo, _thrice(share), colors)
    energy = np.einsum("ijk,ijk->ij", rest, rest) / np.float32(3) + np.float32(1)

    def variance(sure: Floats) -> Floats:
        return (_blur(sure * energy, WIDE_BLURS[0]) + 4e-3) / (_blur(sure, WIDE_BLURS[0]) + 1e-3)

    front, back = np.square(share), np.square(1 - share)
    ratio = variance(np.square(back)) / variance(np.square(front))
    return np.asarray(ratio.clip(*RATIOS), np.float32)


def _improve(photo: Pixels, alpha: Pixels, wide: _Guess, near: _Guess, tile: Tile) -> None:
    """Write a tile of the near guess, from the wide one there and as far as the blurs reach."""
    reach = sum(NEAR_BLURS) // 2
    around = tuple(slice(max(0, side.start - reach), side.stop + reach) for side in tile)
    inner = tuple(
        slice(side.start - outer.start, side.stop - outer.start)
        for side, outer in zip(tile, around, strict=True)
    )
    colors = wide.foreground[around].astype(np.float32), wide.background[around].astype(np.float32)
    part = photo[around].astype(np.float32)
    colors = _explain(part, alpha[around], wide.ratio[around], colors, NEAR_BLURS)
    near.foreground[tile] = _bytes(colors[0][inner])
    near.background[tile] = _bytes(colors[1][inner])


def _bytes(colors: Floats) -> Pixels:
    return np.asarray(cv2.convertScaleAbs(np.maximum(colors, 0)), np.uint8)


def _explain(
    photo: Floats, alpha: Pixels, ratio: Floats, colors: Colors, blurs: tuple[int, ...]
) -> Colors:
    """Return both colours moved by what they leave unexplained of the photo, blurred."""
    share = np.asarray(cv2.LUT(alpha, _SHARES), np.float32)
    shares, votes = _thrice(share), _thrice(_votes(alpha, ratio))
    for blur in blurs:
        rest = _rest(photo, shares, colors)
        front = rest * votes
        rest -= front
        total = _blur(share, blur)
        front = _blur(front, blur) / _thrice(total + np.float32(1e-3))
        back = _blur(rest, blur) / _thrice(np.float32(1 + 1e-3) - total)
        colors = colors[0] + front, colors[1] + back
    return colors


def _rest(photo: Floats, shares: Floats, colors: Colors) -> Floats:
    """Return what the colours do not explain of the photo."""
    foreground, background = colors
    rest = foreground - background
    rest *= shares
    rest += background
    np.subtract(photo, rest, out=rest)
    return rest


def _votes(alpha: Pixels, ratio: Floats) -> Floats:
    """Return the part of an unexplained rest that the foreground answers for, float32[h, w].

    It is alpha² / (alpha² + ratio (1 - alpha)²); divided by alpha it moves the foreground's colour.
    """
    odds = np.asarray(cv2.LUT(alpha, _ODDS), np.float32)
    return np.asarray(1 / (odds * ratio + 1), np.float32)


def _thrice(plane: np.ndarray) -> np.ndarray:
    """Return a plane as three equal channels; numpy's own broadcasting takes five times as long."""
    return np.asarray(cv2.cvtColor(plane, cv2.COLOR_GRAY2RGB))


def _blur(plane: Floats, side: int) -> Floats:
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def _correct(rgb: Pixels, alpha: Pixels, guess: _Guess, halvings: Halvings, tile: Tile) -> None:
    """Explain each soft pixel of a tile, in 16-bit integers: alpha to 128, the gain to 104."""
    cover, photo = alpha[tile], rgb[tile]
    soft = cv2.inRange(cover, 1, 254)
    if not soft.any():
        return
    foreground, background, ratio = (
        _under(plane, halvings, tile) for plane in (guess.foreground, guess.background, guess.ratio)
    )
    gain = _votes(cover, ratio) * cv2.LUT(cover, _INVERSE_64)
    rest = np.subtract(foreground, background, dtype=np.int16)
    rest *= np.asarray(cv2.LUT(_thrice(cover), _SHARES_128), np.int16)
    rest >>= 7
    rest += background
    np.subtract(photo, rest, out=rest)
    rest *= _thrice(cv2.convertScaleAbs(gain))
    rest >>= 6
    rest += foreground
    colors = rest.clip(0, 255).astype(np.uint8)
    cv2.copyTo(colors, soft, photo)


def _under(plane: np.ndarray, halvings: Halvings, tile: Tile) -> np.ndarray:
    """Return the part of a halved plane that lies under a tile, enlarged to it, bilinear."""
    (down, across), (rows, columns) = halvings, tile
    top, bottom, above, below = _span(rows, down, plane.shape[0])
    left, right, before, after = _span(columns, across, plane.shape[1])
    part = cv2.copyMakeBorder(
        plane[top:bottom, left:right], above, below, before, after, cv2.BORDER_REPLICATE
    )
    large = cv2.resize(part, (part.shape[1] << across, part.shape[0] << down))
    height, width = rows.stop - rows.start, columns.stop - columns.start
    window = large[1 << down : (1 << down) + height, 1 << across : (1 << across) + width]
    return np.asarray(window)


def _span(side: slice, halvings: int, length: int) -> tuple[int, int, int, int]:
    """Return where a tile's side starts and stops in the halved picture, a pixel more at each end.

    The third and fourth number say how many of these pixels lie before and after the picture.
    """
    start, stop = (side.start >> halvings) - 1, -(-side.stop >> halvings) + 1
    return max(0, start), min(length, stop), max(0, -start), max(0, stop - length)
