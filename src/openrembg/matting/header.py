"""What a file says before a pixel of it is decoded: format, size, turn, profile."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PIL import ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from openrembg.matting.errors import ImageTooLarge, UnsupportedImage
from openrembg.matting.exif import orientation_of
from openrembg.matting.jpeg import read_jpeg_head, without_metadata
from openrembg.matting.options import MAX_SIDE, Format
from openrembg.matting.png_chunks import check_png_chunks
from openrembg.matting.sniff import sniff
from openrembg.matting.webp_frame import riff_chunks


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
        header = _HEADERS[format_](data)
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
    if format_ == "jpeg":
        return JpegImageFile(io.BytesIO(without_metadata(data, read_jpeg_head(data))))
    file = io.BytesIO(data)
    if format_ == "png":
        return PngImageFile(file)
    if format_ == "webp":
        return WebPImageFile(file)
    return BmpImageFile(file)


def _jpeg_header(data: bytes) -> Header:
    head = read_jpeg_head(data)
    return Header("jpeg", head.width, head.height, orientation_of(head.exif), head.mode, head.icc)


def _png_header(data: bytes) -> Header:
    check_png_chunks(data)
    image = open_with_pillow(data, "png")
    exif, icc = image.info.get("exif"), image.info.get("icc_profile")
    return Header("png", image.width, image.height, orientation_of(exif), image.mode, icc)


def _bmp_header(data: bytes) -> Header:
    image = open_with_pillow(data, "bmp")
    return Header("bmp", image.width, image.height, 1, image.mode, None)


def _webp_header(data: bytes) -> Header:
    """Parse the RIFF chunks ourselves: Pillow's plugin would allocate the canvas first.

    Source: RFC 9649, WebP Image Format, section 2.
    """
    # Of chunks with the same name, the first counts.
    chunks = dict(reversed(list(riff_chunks(memoryview(data)[12:]))))
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
        orientation_of(None if exif is None else bytes(exif)),
        "animation" if animated else "RGBA",
        None if icc is None else bytes(icc),
    )


_HEADERS: Final[dict[Format, Callable[[bytes], Header]]] = {
    "jpeg": _jpeg_header,
    "png": _png_header,
    "webp": _webp_header,
    "bmp": _bmp_header,
}
