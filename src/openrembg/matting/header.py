"""What a file says before a pixel of it is decoded: format, size, turn, profile."""

import io
import struct
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from openrembg.matting.errors import ImageTooLarge, UnsupportedImage
from openrembg.matting.options import MAX_SIDE, Format
from openrembg.matting.sniff import sniff

ORIENTATION_TAG: Final = 0x0112


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes say. width and height are as stored, before the EXIF turn."""

    format: Format
    width: int
    height: int
    orientation: int
    mode: str
    icc: bytes | None

    @property
    def pixels(self) -> int:
        """How many pixels a full decode gives."""
        return self.width * self.height

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height after the EXIF turn."""
        if self.orientation >= 5:
            return self.height, self.width
        return self.width, self.height


def read_header(data: bytes) -> Header:
    """Return size, mode, turn and profile without decoding a pixel.

    Raises UnsupportedImage for other bytes or a broken header, ImageTooLarge for a side over
    10000 pixels.
    """
    format_ = sniff(data)
    if format_ is None:
        raise UnsupportedImage
    try:
        header = _webp_header(data) if format_ == "webp" else _pillow_header(data, format_)
    except Exception as error:  # Pillow's parsers raise anything on hostile bytes
        raise UnsupportedImage from error
    if header.width < 1 or header.height < 1:
        raise UnsupportedImage
    _check_sides(header)
    return header


def _check_sides(header: Header) -> None:
    sides = (("width", header.width), ("height", header.height))
    messages = [
        f"Image {name} ({side}px) exceeds the maximum allowed {name} of {MAX_SIDE}px."
        for name, side in sides
        if side > MAX_SIDE
    ]
    if messages:
        raise ImageTooLarge(*messages)


def open_with_pillow(data: bytes, format_: Format) -> ImageFile.ImageFile:
    """Open with the one plugin that the sniffed bytes ask for.

    Image.open would try others, and has a pixel limit of its own that is below ours.
    """
    file = io.BytesIO(data)
    if format_ == "jpeg":
        return JpegImageFile(file)
    if format_ == "png":
        return PngImageFile(file)
    if format_ == "webp":
        return WebPImageFile(file)
    return BmpImageFile(file)


def _pillow_header(data: bytes, format_: Format) -> Header:
    image = open_with_pillow(data, format_)
    icc = image.info.get("icc_profile")
    return Header(
        format_, image.width, image.height, _orientation(image.info.get("exif")), image.mode, icc
    )


def _orientation(exif: bytes | None) -> int:
    """Return the EXIF orientation, 1..8; a broken EXIF block counts as none."""
    if not exif:
        return 1
    try:
        tags = Image.Exif()
        tags.load(exif)
        turn = tags.get(ORIENTATION_TAG)
    except Exception:
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def _webp_header(data: bytes) -> Header:
    """Parse the RIFF chunks ourselves: Pillow's plugin would allocate the canvas first.

    Source: RFC 9649, WebP Image Format, section 2.
    """
    chunks = dict(_riff_chunks(data))
    body = chunks.get(b"VP8X")
    if body is not None:
        width = int.from_bytes(body[4:7], "little") + 1
        height = int.from_bytes(body[7:10], "little") + 1
        animated = bool(body[0] & 0x02)
    elif b"VP8L" in chunks:
        bits = int.from_bytes(chunks[b"VP8L"][1:5], "little")
        width, height, animated = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, False
    else:
        lossy = chunks[b"VP8 "]
        if bytes(lossy[3:6]) != b"\x9d\x01\x2a":
            raise UnsupportedImage
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", lossy[6:10]))
        animated = False
    if not animated and not chunks.keys() & {b"VP8 ", b"VP8L"}:
        raise UnsupportedImage
    exif = chunks.get(b"EXIF")
    icc = chunks.get(b"ICCP")
    return Header(
        "webp",
        width,
        height,
        _orientation(None if exif is None else bytes(exif)),
        "animation" if animated else "RGBA",
        None if icc is None else bytes(icc),
    )


def _riff_chunks(data: bytes) -> list[tuple[bytes, memoryview]]:
    """Return name and body of the chunks that lie in the file, the first of each name last."""
    view = memoryview(data)
    found: list[tuple[bytes, memoryview]] = []
    position = 12
    while position + 8 <= len(data) and len(found) < 1000:
        size = int.from_bytes(view[position + 4 : position + 8], "little")
        found.append((bytes(view[position : position + 4]), view[position + 8 :][:size]))
        position += 8 + size + (size & 1)
    return found[::-1]
