"""Files of our own making that lie, are torn, or want more memory than they are worth."""

import io
import struct
import zlib
from collections.abc import Iterator
from functools import cache

from PIL import Image

from pictures import picture

PNG = b"\x89PNG\r\n\x1a\n"
MIB = 1024 * 1024


def png_chunk(name: bytes, body: bytes) -> bytes:
    """Return a chunk with its length and its checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_header(width: int, height: int, pixels: bytes = b"") -> bytes:
    """Return an RGB PNG that says its size and has `pixels`, compressed, as its whole content."""
    size = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return PNG + size + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


def bmp_header(width: int, height: int) -> bytes:
    """Return a 24-bit BMP without pixels."""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def jpeg_header(width: int, height: int) -> bytes:
    """Return a JPEG of another size than its pixels have: its frame header rewritten."""
    data = picture("JPEG")
    frame = data.index(b"\xff\xc0") + 5
    return data[:frame] + struct.pack(">HH", height, width) + data[frame + 4 :]


def webp_header(width: int, height: int) -> bytes:
    """Return an extended WebP that says its canvas and has a small picture in it."""
    small = picture("WEBP")[12:]
    sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + bytes(4) + sides + small
    return b"RIFF" + struct.pack("<I", len(body)) + body


@cache
def png_bomb() -> bytes:
    """Return 10000 x 10000 pixels in 300 kB: a valid picture, one megabyte for each 3 kB."""
    squeeze = zlib.compressobj(9)
    row = bytes(1 + 3 * 10_000)
    return png_header(
        10_000, 10_000, b"".join(squeeze.compress(row) for _ in range(10_000)) + squeeze.flush()
    )


@cache
def png_overfull() -> bytes:
    """Return a PNG of 16 x 16 pixels whose data unpacks to 512 MiB."""
    squeeze = zlib.compressobj(9)
    zeros = bytes(MIB)
    return png_header(
        16, 16, b"".join(squeeze.compress(zeros) for _ in range(512)) + squeeze.flush()
    )


@cache
def png_text_bomb() -> bytes:
    """Return a PNG whose compressed comment unpacks to 256 MiB, before torn pixels."""
    squeeze = zlib.compressobj(9)
    packed = b"".join(squeeze.compress(bytes(MIB)) for _ in range(256)) + squeeze.flush()
    text = png_chunk(b"zTXt", b"Comment\0\0" + packed)
    head = png_header(64, 64)
    return head[:33] + text + head[33:]


@cache
def png_profile_bomb() -> bytes:
    """Return a PNG whose colour profile unpacks to 256 MiB, before torn pixels."""
    squeeze = zlib.compressobj(9)
    packed = b"".join(squeeze.compress(bytes(MIB)) for _ in range(256)) + squeeze.flush()
    profile = png_chunk(b"iCCP", b"profile\0\0" + packed)
    head = png_header(64, 64)
    return head[:33] + profile + head[33:]


def jpeg_scan_bomb() -> bytes:
    """Return a progressive JPEG that repeats its last scan ten thousand times."""
    file = io.BytesIO()
    Image.new("RGB", (2000, 2000), (9, 90, 200)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 10_000 + b"\xff\xd9"


def refused() -> Iterator[tuple[str, bytes]]:
    """Yield a name and a file for everything that must be answered with 400."""
    yield from _truncations()
    yield from _headers_alone()
    yield from _other_kinds()
    yield "random-bytes.png", bytes(range(256)) * 64
    yield "zeros.jpg", bytes(100_000)
    yield "magic-alone.png", PNG
    yield "magic-alone.jpg", b"\xff\xd8\xff"
    yield "magic-alone.bmp", b"BM"
    yield "magic-alone.webp", b"RIFF\x04\x00\x00\x00WEBP"
    yield "wrong-checksum.png", _flipped(picture("PNG"), -20)
    yield "no-pixels.png", png_header(64, 64)
    yield "zero-wide.png", png_header(0, 64)
    yield "zero-high.bmp", bmp_header(64, 0)
    yield "negative.bmp", bmp_header(-64, 64)
    yield "canvas-lies.webp", webp_header(9000, 9000)
    yield "text-bomb.png", png_text_bomb()
    yield "profile-bomb.png", png_profile_bomb()
    yield "scan-bomb.jpg", jpeg_scan_bomb()


def _truncations() -> Iterator[tuple[str, bytes]]:
    for format_, extension in (("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp"), ("BMP", "bmp")):
        data = picture(format_)
        for share in (0.01, 0.1, 0.5, 0.9):
            yield f"torn-{share:.0%}.{extension}", data[: max(4, int(len(data) * share))]


def _headers_alone() -> Iterator[tuple[str, bytes]]:
    kinds = (("png", png_header), ("bmp", bmp_header), ("jpg", jpeg_header), ("webp", webp_header))
    for extension, header in kinds:
        for width, height in ((10_001, 1), (1, 10_001), (60_000, 60_000)):
            yield f"giant-{width}x{height}.{extension}", header(width, height)
    for extension, header in kinds:
        yield f"hollow-10000x10000.{extension}", header(10_000, 10_000)
    yield "giant-2147483647.png", png_header(2**31 - 1, 2**31 - 1)
    yield "giant-2147483647.bmp", bmp_header(2**31 - 1, 2**31 - 1)


def _other_kinds() -> Iterator[tuple[str, bytes]]:
    gif = (
        b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    )
    yield "gif.png", gif + b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
    yield "tiff.jpg", b"II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00" + bytes(64)
    yield "svg.webp", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    yield (
        "svg.png",
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    )
    yield "pdf.png", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"
    yield "html.jpg", b"<!doctype html><script>alert(1)</script>"
    yield "zip-in-front.png", b"PK\x03\x04" + picture("PNG")
    yield "riff-sound.webp", b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(20)
    yield "eps.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"


def _flipped(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 0xFF
    return bytes(changed)
