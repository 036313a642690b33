"""The contact sheet: each photo with truth, matte, and cut-out on magenta.

    python -m training.sheet v2.onnx --before segmenter.onnx --data ../shared/data --to sheet.png

also draws the matte before refinement, left of the matte.
"""

import argparse
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data import Alpha, Archive, Item, Photo, blend, read_archive, resize
from training.inference import (
    Floats,
    Model,
    Network,
    load_model,
    matte_at,
    resize_matte,
    shipped_runtime,
)

TILE_PX: Final = 160
COLUMNS: Final = 3
MAGENTA: Final = (255, 0, 255)
PHOTOS_A_SOURCE: Final = {"pairs/duts_tr": 14, "pairs/ccp_fashion": 4}


def draw_sheet(
    network: Network, side: int, archive: Archive, path: Path, before: Model | None = None
) -> None:
    """Write a PNG of the same held-out photos whatever the network.

    before: what makes the matte before refinement, if that is to be shown.
    """
    strips = [_strip(network, side, item, before) for item in fixed_photos(archive)]
    strips += [np.zeros_like(strips[0])] * (-len(strips) % COLUMNS)
    rows = [np.hstack(strips[at : at + COLUMNS]) for at in range(0, len(strips), COLUMNS)]
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def fixed_photos(archive: Archive) -> list[Item]:
    """Return the first held-out photos of each source; of most three."""
    chosen: list[Item] = []
    for item in archive.held_out + archive.held_out_photos:
        taken = sum(other.source == item.source for other in chosen)
        if taken < PHOTOS_A_SOURCE.get(item.source, 3):
            chosen.append(item)
    return chosen


def _strip(network: Network, side: int, item: Item, before: Model | None) -> Photo:
    photo = item.rgb()
    height, width = photo.shape[:2]
    truth = item.pair()[1] if item.mask else np.zeros((height, width), np.uint8)
    matte = _levels(matte_at(network, side, photo))
    first = [_levels(resize_matte(before.look(photo).alpha, width, height))] if before else []
    cutout = blend(np.full_like(photo, MAGENTA), photo, matte)
    return np.hstack([_tile(x) for x in (photo, *map(_grey, (truth, *first, matte)), cutout)])


def _levels(matte: Floats) -> Alpha:
    return np.asarray(matte * 255 + 0.5, np.uint8)


def _grey(alpha: Alpha) -> Photo:
    return np.repeat(alpha[..., None], 3, 2)


def _tile(image: Photo) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = TILE_PX / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    tile = np.full((TILE_PX, TILE_PX, 3), 40, np.uint8)
    tile[: size[1], : size[0]] = resize(image, size)
    return tile


def main() -> None:
    """Draw the sheet of one ONNX file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("weights", type=Path, help="an ONNX file of ours")
    parser.add_argument("--data", type=Path, required=True, help="the folder with the zips")
    parser.add_argument("--to", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--before", type=Path, help="an ONNX file of the first network alone")
    arguments = parser.parse_args()
    runtime = shipped_runtime()
    model = load_model(arguments.weights, runtime)
    before = load_model(arguments.before, runtime) if arguments.before else None
    archive = read_archive(arguments.data)
    draw_sheet(lambda x: model.run(x).alpha, model.side, archive, arguments.to, before)


if __name__ == "__main__":
    main()
