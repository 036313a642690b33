"""The photos that both sides cut out: made in code, the same on every machine."""

import math
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

QUALITY: Final = 90
SCENE_SIDE: Final = 1200
TILE_SIDE: Final = 1024
STRIPE_ROWS: Final = 512
GRAIN: Final = 6.0
SEED: Final = 20_261_121
# Part of the file name: raise it with every change of the content.
EDITION: Final = 1


def side_of(megapixels: float) -> int:
    """Return the side in pixels of a square photo of that many megapixels."""
    return round(math.sqrt(megapixels * 1e6))


def photo_file(folder: Path, megapixels: float) -> Path:
    """Return a JPEG of that many megapixels in `folder`, painted on first use."""
    path = folder / f"photo-{megapixels:g}mp-{EDITION}.jpg"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    pixels = paint(side_of(megapixels))
    Image.fromarray(pixels).save(unfinished, "JPEG", quality=QUALITY)
    unfinished.replace(path)
    return path


def paint(side: int) -> NDArray[np.uint8]:
    """Return uint8[side, side, 3]: a figure before a blurred landscape, with texture and grain."""
    random = np.random.default_rng(SEED)
    scene, contrast = _scene(random)
    texture = _texture(random)
    grain = random.normal(0.0, GRAIN, (TILE_SIDE, TILE_SIDE, 3)).astype(np.float32)
    picture = np.empty((side, side, 3), np.uint8)
    # In stripes: a 100-megapixel photo in float32 would take 1.2 GB.
    for top in range(0, side, STRIPE_ROWS):
        rows = min(STRIPE_ROWS, side - top)
        detail = _cover(texture, top, rows, side)[..., None]
        stripe = _enlarged(scene, top, rows, side)
        stripe += _enlarged(contrast, top, rows, side)[..., None] * detail
        stripe += _cover(grain, top * 3, rows, side)
        picture[top : top + rows] = np.clip(stripe, 0, 255).astype(np.uint8)
    return picture


def _scene(random: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the colours float32[s, s, 3] in 0..255 and the strength of the texture on them."""
    side = SCENE_SIDE
    down = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
    sky = np.array((150, 190, 225), np.float32)
    grass = np.array((70, 95, 50), np.float32)
    scene = sky * (1 - down) + grass * down
    blobs = cv2.resize(random.normal(0, 1, (14, 14, 3)).astype(np.float32), (side, side))
    scene = cv2.GaussianBlur(scene + 22 * blobs, (0, 0), 12)
    contrast = np.full((side, side), 9, np.float32)
    for color, shape in _figure(side):
        cover = cv2.GaussianBlur(shape, (0, 0), 1.2)
        light = 1.15 - 0.3 * np.linspace(0, 1, side, dtype=np.float32)[None, :, None]
        shaded = np.array(color, np.float32) * light
        scene = scene * (1 - cover[..., None]) + shaded * cover[..., None]
        contrast = contrast * (1 - cover) + 20 * cover
    return scene.astype(np.float32), contrast.astype(np.float32)


def _figure(side: int) -> tuple[tuple[tuple[int, int, int], NDArray[np.float32]], ...]:
    """Return the parts of a person from the waist up, back to front: colour and float32 shape."""

    def ellipse(x: float, y: float, width: float, height: float) -> NDArray[np.float32]:
        shape = np.zeros((side, side), np.float32)
        center = (round(x * side), round(y * side))
        axes = (round(width * side), round(height * side))
        cv2.ellipse(shape, center, axes, 0, 0, 360, 1.0, -1)
        return shape

    return (
        ((60, 38, 26), ellipse(0.5, 0.29, 0.135, 0.165)),
        ((172, 38, 44), ellipse(0.5, 0.95, 0.29, 0.43)),
        ((214, 166, 136), ellipse(0.5, 0.5, 0.055, 0.1)),
        ((226, 178, 148), ellipse(0.5, 0.33, 0.1, 0.135)),
        ((40, 30, 30), ellipse(0.46, 0.31, 0.012, 0.008)),
        ((40, 30, 30), ellipse(0.54, 0.31, 0.012, 0.008)),
        ((160, 70, 70), ellipse(0.5, 0.4, 0.03, 0.009)),
    )


def _texture(random: np.random.Generator) -> NDArray[np.float32]:
    """Return float32[t, t], deviation 1: detail of 2 to 32 pixels, as cloth and leaves have."""
    texture = np.zeros((TILE_SIDE, TILE_SIDE), np.float32)
    for cell in (2, 4, 8, 16, 32):
        grid = random.normal(0, 1, (TILE_SIDE // cell, TILE_SIDE // cell)).astype(np.float32)
        texture += cv2.resize(grid, (TILE_SIDE, TILE_SIDE), interpolation=cv2.INTER_CUBIC)
    texture /= float(texture.std())
    return texture


def _cover(tile: NDArray[np.float32], top: int, rows: int, side: int) -> NDArray[np.float32]:
    """Return `rows` rows of a plane of that width, laid with the tile from row `top` on."""
    down = np.arange(top, top + rows) % TILE_SIDE
    across = np.arange(side) % TILE_SIDE
    return tile[down][:, across]


def _enlarged(plane: NDArray[np.float32], top: int, rows: int, side: int) -> NDArray[np.float32]:
    """Return rows `top` to `top + rows` of the plane enlarged to that side."""
    step = plane.shape[0] / side
    place = np.array(((step, 0, step / 2 - 0.5), (0, step, (top + 0.5) * step - 0.5)))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    stripe = cv2.warpAffine(
        plane, place, (side, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(stripe, np.float32)
