"""Photos made in code: a red oval on a bluish ground, which every model takes for the subject."""

import io
from functools import cache

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 320, 240


@cache
def picture(format_: str = "PNG", width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """Return a photo as a file of one of Pillow's formats."""
    file = io.BytesIO()
    Image.fromarray(_pixels(width, height)).save(file, format_, **_quality(format_))
    return file.getvalue()


@cache
def empty_picture() -> bytes:
    """Return a photo in which no model finds anything: every pixel is transparent already."""
    file = io.BytesIO()
    Image.new("RGBA", (WIDTH, HEIGHT), (200, 60, 30, 0)).save(file, "PNG")
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    """Return a decoded answer."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def _quality(format_: str) -> dict[str, int]:
    return {"quality": 90} if format_ in ("JPEG", "WEBP") else {}


def _pixels(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    ground = np.stack([120 + 40 * x // width, 150 + 30 * y // height, np.full_like(x, 200)], -1)
    oval = ((x - width / 2) / (width * 0.22)) ** 2 + ((y - height / 2) / (height * 0.37)) ** 2 < 1
    ground[oval] = (200, 60, 30)
    return ground.astype(np.uint8)
