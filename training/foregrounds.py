"""Measure the colours of soft edges on composites whose truth is known.

    python -m training.foregrounds --data ../shared/data

prints one JSON object. Cut-outs lie over checkerboards and photos; each method gets the composite
and a matte, and its cut-out is laid over new backgrounds: black, white, green and a checkerboard.
An error is the mean absolute difference in levels of 255 between what is then seen and the true
cut-out there, in the soft band (0.02 < alpha < 0.98 in the truth or in the matte). `blurred`: with
a matte that is a little wrong, as a network's is; much of that error no colour can mend.
ms: medians of interleaved calls, true and blurred mattes together.
"""

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pymatting import estimate_foreground_ml

from training.data import Alpha, Archive, Photo, SampleMaker, blend, place, read_archive

# The library itself is not installed beside PyTorch.
sys.path.append(str(Path(__file__).parents[1] / "src"))
from openrembg.matting.foreground import estimate_foreground

# photo uint8[h, w, 3] and matte uint8[h, w] to colours uint8[h, w, 3]
Method = Callable[[Photo, Alpha], Photo]
Floats = NDArray[np.float32]

CASES: Final = {320: 60, 1024: 24, 2048: 12}  # side in pixels to composites
SOURCE_PX: Final = 384  # the long side of the archives' cut-outs
MATTE_BLUR_PX: Final = 1.5  # standard deviation
PLAIN_GROUNDS: Final = ((0, 0, 0), (255, 255, 255), (0, 177, 64))
GROUNDS: Final = ("checkerboard", "photo")


@dataclass(frozen=True, slots=True)
class Case:
    """A composite and its truth: photo, colours uint8[side, side, 3], alpha uint8[side, side]."""

    ground: str
    photo: Photo
    colours: Photo
    alpha: Alpha


def as_they_are(photo: Photo, matte: Alpha) -> Photo:  # noqa: ARG001
    """Leave the colours mixed with the old background."""
    return photo


def ours(photo: Photo, matte: Alpha) -> Photo:
    """Return what the library makes; it works in place, so that it gets a copy."""
    return estimate_foreground(photo.copy(), matte)


def multi_level(photo: Photo, matte: Alpha) -> Photo:
    """Return what PyMatting makes.

    Source: Germer et al., "Fast Multi-Level Foreground Estimation" (ICPR 2020).
    """
    colours = estimate_foreground_ml(photo / np.float32(255), matte / np.float32(255))
    return np.asarray(colours * 255 + 0.5, np.uint8)


METHODS: Final[Mapping[str, Method]] = {
    "as_they_are": as_they_are,
    "ours": ours,
    "pymatting": multi_level,
}


def evaluate(
    archive: Archive, counts: Mapping[int, int], methods: Mapping[str, Method] = METHODS
) -> dict[str, object]:
    """Return the errors and times of every method at every side, ready for JSON."""
    return {
        f"{side}x{side}": measure(cases(archive, side, count), methods)
        for side, count in counts.items()
    }


def measure(samples: Iterable[Case], methods: Mapping[str, Method]) -> dict[str, object]:
    """Return mean errors by matte, old background and method, and median times."""
    errors: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    times: dict[str, list[float]] = defaultdict(list)
    for index, case in enumerate(samples):
        for kind, matte in (("true", case.alpha), ("blurred", blurred(case.alpha))):
            for name, method in methods.items():
                start = time.perf_counter()
                colours = method(case.photo, matte)
                times[name].append((time.perf_counter() - start) * 1e3)
                error = seen_error(case, colours, matte, random.Random(index))  # noqa: S311
                errors[kind, case.ground, name].append(error)
    return {
        **{kind: _by_ground(errors, kind, methods) for kind in ("true", "blurred")},
        "ms": {name: round(float(np.median(of)), 1) for name, of in times.items()},
    }


def _by_ground(
    errors: Mapping[tuple[str, str, str], list[float]], kind: str, methods: Mapping[str, Method]
) -> dict[str, dict[str, float]]:
    return {
        ground: {name: round(float(np.mean(errors[kind, ground, name])), 2) for name in methods}
        for ground in GROUNDS
    }


def seen_error(case: Case, colours: Photo, matte: Alpha, rng: random.Random) -> float:
    """Return the mean error of a cut-out over new backgrounds, in levels of 255."""
    band = _soft(case.alpha) | _soft(matte)
    board = checkerboard(matte.shape[0], rng)[band].astype(np.float32)
    grounds = [np.array(colour, np.float32) for colour in PLAIN_GROUNDS] + [board]
    share, true_share = (plane[band][:, None] / np.float32(255) for plane in (matte, case.alpha))
    found, truth = share * colours[band], true_share * case.colours[band]
    return float(np.mean([np.abs(found - truth + (true_share - share) * g) for g in grounds]))


def _soft(alpha: Alpha) -> NDArray[np.bool_]:
    return (alpha > 0.02 * 255) & (alpha < 0.98 * 255)


def blurred(alpha: Alpha) -> Alpha:
    """Return a matte that is wrong by a pixel or two."""
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), MATTE_BLUR_PX), np.uint8)


def cases(archive: Archive, side: int, count: int) -> Iterator[Case]:
    """Yield the same composites every time, over checkerboards and photos in turn."""
    rng = random.Random(side)  # noqa: S311
    maker = SampleMaker(archive, side)
    for index in range(count):
        source = rng.choice(sorted({item.source for item in archive.cutouts}))
        drawn = rng.choice([item for item in archive.cutouts if item.source == source])
        colours, alpha = cut_out(*drawn.cutout(), side, rng)
        ground = GROUNDS[index % 2]
        old = checkerboard(side, rng) if index % 2 == 0 else maker.background(side, side, rng)
        yield Case(ground, blend(old, colours, alpha), colours, alpha)


def cut_out(colours: Photo, alpha: Alpha, side: int, rng: random.Random) -> tuple[Photo, Alpha]:
    """Return a cut-out enlarged on a square of `side`, out of focus now and then.

    Edges that enlarging made wide become steeper again, some more and some less: a photo of more
    pixels has sharper edges than an enlarged one. Colours were mixed by alpha, so both agree.
    """
    colours, alpha = place(colours, alpha, side, rng)
    colours, alpha = defocus(colours, alpha, rng.choice((0, 0.002, 0.006)) * side)
    steepness = rng.uniform(1, max(1, side / SOURCE_PX))
    levels = (alpha.astype(np.float32) - 127.5) * steepness + 127.5
    return colours, np.asarray(levels.clip(0, 255) + 0.5, np.uint8)


def defocus(colours: Photo, alpha: Alpha, deviation_px: float) -> tuple[Photo, Alpha]:
    """Return both blurred, colours weighed by alpha."""
    if deviation_px == 0:
        return colours, alpha
    share = alpha[..., None] / np.float32(255)
    stacked = np.dstack([colours * share, share])
    soft = cv2.GaussianBlur(stacked, (0, 0), deviation_px)
    pure = soft[..., :3] / np.maximum(soft[..., 3:], np.float32(1 / 255))
    return (
        np.asarray(pure.clip(0, 255) + 0.5, np.uint8),
        np.asarray(soft[..., 3] * 255 + 0.5, np.uint8),
    )


def checkerboard(side: int, rng: random.Random) -> Photo:
    """Return a board uint8[side, side, 3] of two random colours, 3 to 40 cells a side."""
    cell = side / rng.uniform(3, 40)
    colours = np.array([[rng.randrange(256) for _ in range(3)] for _ in range(2)], np.uint8)
    steps = ((np.arange(side) + rng.uniform(0, cell)) / cell).astype(int)
    return np.asarray(colours[(steps[:, None] + steps) % 2], np.uint8)


def main() -> None:
    """Print the numbers of every method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="the folder with the zips")
    arguments = parser.parse_args()
    print(json.dumps(evaluate(read_archive(arguments.data), CASES), indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
