"""Pictures made in code, and the way back from a file to its pixels."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def photo(width: int = 64, height: int = 48, seed: int = 0) -> Pixels:
    """Return a smooth, textured picture, uint8[height, width, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 100 * np.sin(x / (9 + 4 * c) + y / (13 - 3 * c) + c) for c in range(3)]
    noise = rng.normal(0, 4, (height, width, 3))
    return (np.stack(waves, axis=-1) + noise).clip(0, 255).astype(np.uint8)


def subject(width: int = 320, height: int = 240) -> Pixels:
    """Return a shaded ball before a bright studio ground: a subject for any model."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:height, 0:width]
    across, down = (
        (x - width / 2) / (min(width, height) * 0.3),
        (y - height / 2) / (min(width, height) * 0.3),
    )
    ground = 236 - 14 * (y / height)[..., None] + np.array([0.0, 1.0, 3.0])
    shade = 0.35 + 0.65 * np.clip(0.7 - 0.45 * across - 0.55 * down, 0, 1)
    stripes = 0.8 + 0.2 * np.sign(np.sin(across * 6 + down * 2))
    ball = (shade * stripes)[..., None] * np.array([225.0, 90.0, 35.0])
    cover = np.clip((1 - np.hypot(across, down)) * min(width, height) * 0.3, 0, 1)[..., None]
    mixed = ball * cover + ground * (1 - cover) + rng.normal(0, 2, (height, width, 3))
    return mixed.clip(0, 255).astype(np.uint8)


def file_of(pixels: Pixels | Image.Image, format_: str = "png", **options: Any) -> bytes:
    """Return the picture as a file in the given format."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def image_of(data: bytes) -> Image.Image:
    """Return the decoded picture, as Pillow sees it."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def pixels_of(data: bytes, mode: str | None = None) -> Pixels:
    """Return the pixels of a file, in Pillow's mode for it or in another."""
    image = image_of(data)
    return np.array(image if mode is None else image.convert(mode), np.uint8)
