"""The contact sheet: a row for each photo with truth, matte, and cut-out on magenta."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data import Alpha, Archive, Item, Photo, blend, resize
from training.evaluate import Network, matte_at

TILE_PX: Final = 160
COLUMNS: Final = 3
MAGENTA: Final = (255, 0, 255)
PHOTOS_A_SOURCE: Final = {"pairs/duts_tr": 14, "pairs/ccp_fashion": 4}


def draw_sheet(network: Network, side: int, archive: Archive, path: Path) -> None:
    """Write a PNG of the same held-out photos whatever the network."""
    strips = [_strip(network, side, item) for item in fixed_photos(archive)]
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


def _strip(network: Network, side: int, item: Item) -> Photo:
    photo = item.rgb()
    truth = item.pair()[1] if item.mask else np.zeros(photo.shape[:2], np.uint8)
    matte = (matte_at(network, side, photo) * 255 + 0.5).astype(np.uint8)
    cutout = blend(np.full_like(photo, MAGENTA), photo, matte)
    return np.hstack([_tile(image) for image in (photo, _grey(truth), _grey(matte), cutout)])


def _grey(alpha: Alpha) -> Photo:
    return np.repeat(alpha[..., None], 3, 2)


def _tile(image: Photo) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = TILE_PX / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    tile = np.full((TILE_PX, TILE_PX, 3), 40, np.uint8)
    tile[: size[1], : size[0]] = resize(image, size)
    return tile
