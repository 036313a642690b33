"""From a layer to a file: WebP, PNG, JPEG or BMP, tagged sRGB, without other metadata."""

import struct
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Final

import cv2
import numpy as np
import simplejpeg
from isal import isal_zlib
from PIL import Image

from openrembg.matting import libwebp, parallel
from openrembg.matting.layer import Layer, Pixels
from openrembg.matting.options import Format
from openrembg.matting.srgb import srgb_profile
from openrembg.matting.webp_alpha import encode_alpha, encode_grey

WEBP_QUALITY: Final = 80
JPEG_QUALITY: Final = 92
DEFLATE_LEVEL: Final = 1
ICC_FLAG: Final = 0x20
ALPHA_FLAG: Final = 0x10
MEDIA_TYPES: Final[dict[Format, str]] = {
    "webp": "image/webp",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "bmp": "image/bmp",
}


def has_alpha(format_: Format) -> bool:
    """Return whether the format keeps transparency."""
    return format_ in ("webp", "png")


def encode(layer: Layer, format_: Format) -> bytes:
    """Return the file. A layer with alpha needs a format that keeps it: see `has_alpha`."""
    encoders: dict[Format, Callable[[Layer], bytes]] = {
        "webp": encode_webp,
        "png": encode_png,
        "jpeg": encode_jpeg,
        "bmp": encode_bmp,
    }
    return encoders[format_](layer)


# PNG


def encode_png(layer: Layer) -> bytes:
    """Encode RGBA, RGB or, for a matte, 8-bit grey.

    Up filter and ISA-L's fastest level, in stripes that are filtered, compressed and checksummed
    side by side: each is a piece of one deflate stream, closed by a full flush.
    Source: W3C PNG, third edition, sections 5, 9 and 10; RFC 1950; RFC 1951.
    """
    kind = 0 if layer.rgb is None else 2 if layer.alpha is None else 6
    row_bytes = layer.width * {0: 1, 2: 3, 6: 4}[kind]
    cuts = parallel.stripes(layer.height, row_bytes)
    pieces: list[tuple[bytes, bytes]] = [(b"", b"")] * len(cuts)
    sums: list[tuple[int, int]] = [(1, 0)] * len(cuts)

    def compress(index: int) -> None:
        filtered = _filter_up(layer, cuts[index], row_bytes)
        deflated = _deflate(filtered, last=index == len(cuts) - 1)
        sums[index] = isal_zlib.adler32(filtered), filtered.nbytes
        if index == 0:
            deflated = b"\x78\x01" + deflated
        pieces[index] = _chunk_ends(b"IDAT", deflated), deflated

    parallel.run_all(compress, len(cuts))
    parts = [b"\x89PNG\r\n\x1a\n"]
    header = struct.pack(">IIBBBBB", layer.width, layer.height, 8, kind, 0, 0, 0)
    parts += _chunk(b"IHDR", header) + _chunk(b"sRGB", b"\x00")
    for ends, deflated in pieces:
        parts += [ends[:8], deflated, ends[8:]]
    parts += _chunk(b"IDAT", struct.pack(">I", _adler32_of(sums))) + _chunk(b"IEND", b"")
    return b"".join(parts)


def _filter_up(layer: Layer, rows: slice, row_bytes: int) -> Pixels:
    """Return the stripe's scan lines, each led by its filter type, 2: the row above subtracted."""
    above = max(0, rows.start - 1)
    lines = _interleave(layer, slice(above, rows.stop)).reshape(-1, row_bytes)
    filtered = np.empty((rows.stop - rows.start, 1 + row_bytes), np.uint8)
    filtered[:, 0] = 2
    if rows.start == 0:
        filtered[0, 1:] = lines[0]
        np.subtract(lines[1:], lines[:-1], out=filtered[1:, 1:])
    else:
        np.subtract(lines[1:], lines[:-1], out=filtered[:, 1:])
    return filtered


def _interleave(layer: Layer, rows: slice) -> Pixels:
    """Return the stripe's pixels; colours under zero alpha are dropped: nobody may see them."""
    if layer.rgb is None:
        assert layer.alpha is not None  # noqa: S101
        return layer.alpha[rows]
    if layer.alpha is None:
        return layer.rgb[rows]
    alpha = layer.alpha[rows]
    pixels = np.empty((*alpha.shape, 4), np.uint8)
    cv2.mixChannels([layer.rgb[rows], alpha], [pixels], [0, 0, 1, 1, 2, 2, 3, 3])
    words = pixels.view(np.uint32)[..., 0]
    np.multiply(words, alpha != 0, out=words)
    return pixels


def _deflate(data: Pixels, *, last: bool) -> bytes:
    stream = isal_zlib.compressobj(DEFLATE_LEVEL, wbits=-15)
    body = stream.compress(data)
    return bytes(body + stream.flush(isal_zlib.Z_FINISH if last else isal_zlib.Z_FULL_FLUSH))


def _chunk(name: bytes, body: bytes) -> list[bytes]:
    ends = _chunk_ends(name, body)
    return [ends[:8], body, ends[8:]]


def _chunk_ends(name: bytes, body: bytes) -> bytes:
    """Return a chunk's length, name and checksum, without the body between them."""
    checksum = isal_zlib.crc32(body, isal_zlib.crc32(name))
    return struct.pack(">I", len(body)) + name + struct.pack(">I", checksum)


def _adler32_of(sums: list[tuple[int, int]]) -> int:
    """Return the Adler-32 of all stripes in a row from that and the length of each.

    Source: RFC 1950, section 9; the same arithmetic as zlib's adler32_combine.
    """
    prime = 65521
    low, high = 1, 0
    for checksum, length in sums:
        high = (high + (low - 1) * length + (checksum >> 16)) % prime
        low = (low + (checksum & 0xFFFF) - 1) % prime
    return high << 16 | low


# WebP


def webp_encoder() -> str:
    """Return the name of the WebP encoder in use, for `openrembg doctor`."""
    version = libwebp.version()
    return f"libwebp {version} through cffi" if version else "Pillow's encoder (slower)"


def encode_webp(layer: Layer) -> bytes:
    """Encode lossy with lossless alpha, or, for a matte, losslessly."""
    alpha = layer.alpha
    if layer.rgb is None:
        assert alpha is not None  # noqa: S101
        return _container(layer, _riff_chunk(b"VP8L", encode_grey(alpha)))
    if not libwebp.available():
        return encode_webp_with_pillow(layer)
    if alpha is None:
        return _container(layer, [libwebp.encode_lossy(layer.rgb, None, quality=WEBP_QUALITY)[12:]])
    body = parallel.start(lambda: encode_alpha(alpha))
    frame = libwebp.encode_lossy(layer.rgb, alpha, quality=WEBP_QUALITY)
    return _container(layer, (*_riff_chunk(b"ALPH", body()), frame[12:]), ALPHA_FLAG)


def encode_webp_with_pillow(layer: Layer) -> bytes:
    """Encode colours as `encode_webp` does where no libwebp is found: as good, but slower."""
    file = BytesIO()
    image = Image.fromarray(_interleave(layer, slice(0, layer.height)))
    image.save(file, "WEBP", quality=WEBP_QUALITY, method=0, icc_profile=srgb_profile())
    return file.getvalue()


def _container(layer: Layer, image: Sequence[bytes | memoryview], flags: int = 0) -> bytes:
    """Return a picture's chunks as an extended WebP, with the sRGB profile.

    Source: RFC 9649, section 2.7.
    """
    canvas = struct.pack("<I", ICC_FLAG | flags) + (layer.width - 1).to_bytes(3, "little")
    chunks = [
        *_riff_chunk(b"VP8X", canvas + (layer.height - 1).to_bytes(3, "little")),
        *_riff_chunk(b"ICCP", srgb_profile()),
        *image,
    ]
    size = 4 + sum(len(chunk) for chunk in chunks)
    return b"".join((b"RIFF", struct.pack("<I", size), b"WEBP", *chunks))


def _riff_chunk(name: bytes, body: bytes) -> tuple[bytes, bytes, bytes]:
    return name + struct.pack("<I", len(body)), body, b"\0" * (len(body) & 1)


# JPEG


def encode_jpeg(layer: Layer) -> bytes:
    """Encode opaque colours at full chroma, or a matte as grey."""
    if layer.rgb is None:
        assert layer.alpha is not None  # noqa: S101
        grey = np.ascontiguousarray(layer.alpha)[..., None]
        return bytes(simplejpeg.encode_jpeg(grey, JPEG_QUALITY, "GRAY", "Gray", fastdct=False))
    rgb = np.ascontiguousarray(layer.rgb)
    file = simplejpeg.encode_jpeg(rgb, JPEG_QUALITY, "RGB", "444", fastdct=False)
    return _tag_jpeg(file)


def _tag_jpeg(file: bytes) -> bytes:
    """Return the file with the sRGB profile after its JFIF segment.

    Source: ICC.1:2022, annex B.4.
    """
    body = b"ICC_PROFILE\0\x01\x01" + srgb_profile()
    segment = b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body
    start = 2
    if file[2:4] == b"\xff\xe0":
        start = 4 + int.from_bytes(file[4:6], "big")
    return b"".join((file[:start], segment, memoryview(file)[start:]))


# BMP


def encode_bmp(layer: Layer) -> bytes:
    """Encode 24 bits a pixel, or a matte as 8 bits with a grey palette.

    Source: BITMAPV4HEADER (Microsoft, Windows GDI), bV4CSType LCS_sRGB.
    """
    grey = layer.rgb is None
    row_bytes = layer.width * (1 if grey else 3)
    stride = (row_bytes + 3) // 4 * 4
    size = stride * layer.height
    palette = np.repeat(np.arange(256, dtype=np.uint8), 4).reshape(256, 4)
    palette[:, 3] = 0
    colors = palette.tobytes() if grey else b""
    offset = 14 + 108 + len(colors)
    file_header = struct.pack("<2sIHHI", b"BM", offset + size, 0, 0, offset)
    info_header = struct.pack(
        "<IiiHHIIiiII16s4s48x",
        108,
        layer.width,
        layer.height,
        1,
        8 if grey else 24,
        0,
        size,
        2835,  # 72 dots an inch, in pixels a metre
        2835,
        256 if grey else 0,
        0,
        b"",
        b"BGRs",
    )
    file = BytesIO()
    file.seek(offset + size - 1)  # so that it need not grow
    file.write(b"\0")
    file.seek(0)
    file.write(b"".join((file_header, info_header, colors)))
    for rows in reversed(parallel.stripes(layer.height, stride)):
        file.write(_bmp_lines(layer, rows, stride))
    return file.getvalue()


def _bmp_lines(layer: Layer, rows: slice, stride: int) -> memoryview:
    """Return a stripe, its last row first, as blue, green and red, or as grey."""
    lines = np.zeros((rows.stop - rows.start, stride), np.uint8)
    if layer.rgb is None:
        assert layer.alpha is not None  # noqa: S101
        lines[::-1, : layer.width] = layer.alpha[rows]
    else:
        bgr = cv2.cvtColor(np.ascontiguousarray(layer.rgb[rows]), cv2.COLOR_RGB2BGR)
        lines[::-1, : layer.width * 3] = bgr.reshape(len(lines), -1)
    return lines.data
