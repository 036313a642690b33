"""Colour profiles: everything becomes sRGB on its way in, and says so on its way out."""

import io
import struct
from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageCms

from openrembg.matting import parallel
from openrembg.matting.layer import Pixels


def to_srgb(pixels: Pixels, icc: bytes | None) -> Pixels:
    """Return colours [h, w, 3] or greys [h, w, 1] as uint8[h, w, 3] in sRGB.

    It is the same array when there is nothing to do.
    """
    grey = pixels.shape[2] == 1
    if icc and not _is_srgb(icc):
        image = Image.fromarray(pixels[..., 0] if grey else pixels)
        return pixels_of(image, srgb_of(image.mode, icc))
    if grey:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), np.uint8)
    return np.ascontiguousarray(pixels)


def srgb_of(mode: str, icc: bytes | None) -> Callable[[Image.Image], Image.Image]:
    """Return how a picture of that mode becomes sRGB, its alpha dropped.

    A broken profile, or one of another colour space, is ignored.
    """
    plain = mode.removesuffix("A") if mode in ("LA", "RGBA") else mode
    spaces = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}
    turn = _transform(icc, plain, spaces[plain]) if icc and plain in spaces else None

    def change(image: Image.Image) -> Image.Image:
        if image.mode != plain:
            image = image.convert(plain)
        if turn is not None:
            return turn.apply(image)
        return image if plain == "RGB" else image.convert("RGB")

    return change


def pixels_of(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Pixels:
    """Return a changed picture as an array, stripe by stripe: Pillow would hold it three times."""
    stripes = parallel.stripes(image.height, image.width * 4)
    first = np.asarray(change(image.crop((0, 0, image.width, stripes[0].stop))), np.uint8)
    out = np.empty((image.height, *first.shape[1:]), np.uint8)
    out[stripes[0]] = first

    def fill(index: int) -> None:
        rows = stripes[index + 1]
        out[rows] = np.asarray(change(image.crop((0, rows.start, image.width, rows.stop))))

    parallel.run_all(fill, len(stripes) - 1)
    return out


def _transform(icc: bytes, mode: str, space: str) -> ImageCms.ImageCmsTransform | None:
    if _is_srgb(icc):
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        if profile.profile.xcolor_space != space:
            return None
        return ImageCms.ImageCmsTransform(profile, _srgb(), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _is_srgb(icc: bytes) -> bool:
    """Return whether the profile calls itself sRGB: most do, and converting costs more than all."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        name = ImageCms.getProfileDescription(profile)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return False
    return profile.profile.xcolor_space == "RGB " and name.strip().startswith("sRGB")


@cache
def srgb_profile() -> bytes:
    """Return LittleCMS's sRGB profile, its creation date cleared: the same bytes every day.

    Source: ICC.1:2022, section 7.2.8, dateTimeNumber.
    """
    profile = bytearray(_srgb().tobytes())
    profile[24:36] = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    return bytes(profile)
