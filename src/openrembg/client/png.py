"""A Pillow image as the PNG file that is sent in its place."""

import io
from typing import BinaryIO, Final, Protocol, cast

from PIL import Image, ImageCms, ImageOps

from openrembg.client.errors import InputError

# The fastest: a third of the time of the default for a tenth more bytes.
COMPRESS_LEVEL: Final = 1
# What PNG has itself. Everything else becomes RGB or RGBA.
_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_DEEP: Final = frozenset({"I", "I;16B", "I;16L", "I;16N"})
_PREMULTIPLIED: Final = {"RGBa": "RGBA", "La": "LA"}
_SRGB: Final = "RGB"


class Sink(Protocol):
    """What takes a file's bytes. It may raise InputError to refuse them."""

    def write(self, data: bytes, /) -> int:
        """Take bytes."""
        ...


def write_png(image: Image.Image, file: Sink) -> None:
    """Write the image, turned as its EXIF says, with its colour profile; the image stays as it is.

    16-bit grey keeps its depth. CMYK goes through its profile to sRGB. Metadata is left out.
    Raises InputError for an image that cannot be read or written.
    """
    try:
        upright = ImageOps.exif_transpose(image)
        ready, profile = _as_png_has_it(upright)
        ready.save(
            cast(BinaryIO, file),
            "PNG",
            compress_level=COMPRESS_LEVEL,
            icc_profile=profile,
            exif=b"",
        )
    except InputError:
        raise
    except Exception as error:  # Pillow raises whatever a broken file makes it stumble over.
        raise InputError("The image cannot be written as a PNG to send.") from error


def _as_png_has_it(image: Image.Image) -> tuple[Image.Image, bytes | None]:
    profile = image.info.get("icc_profile") or None
    if image.mode in _DEEP:
        return image.convert("I;16"), profile
    if image.mode in _PREMULTIPLIED:
        return image.convert(_PREMULTIPLIED[image.mode]), profile
    if "transparency" in image.info and image.mode in ("1", "L", "P", "RGB"):
        return image.convert("RGBA"), profile if image.mode in ("P", "RGB") else None
    if image.mode == "PA":
        return image.convert("RGBA"), profile
    if image.mode in _MODES:
        return image, profile
    if image.mode == "CMYK" and profile:
        return _through_profile(image, profile), None
    if image.mode == "F":
        return image.convert("L"), None
    return image.convert(_SRGB), None


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Return a CMYK image in sRGB; one with a broken profile is converted without it."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode=_SRGB
        )
    except (ImageCms.PyCMSError, OSError):
        return image.convert(_SRGB)
    return image.convert(_SRGB) if converted is None else converted
