"""Small, valid pictures of every kind that the four formats know: what a fuzzer begins with."""

import io
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

PNG = b"\x89PNG\r\n\x1a\n"
WIDTH, HEIGHT = 24, 16
# Of a PNG colour type, the samples in a pixel.
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# Where Adam7's seven passes begin and how far their pixels are apart: x, y, dx, dy.
ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def png_chunk(name: bytes, body: bytes) -> bytes:
    """Return a chunk with its length and its checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def riff_chunk(name: bytes, body: bytes) -> bytes:
    """Return a chunk of a WebP file, padded to an even length."""
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)


def riff(*chunks: bytes) -> bytes:
    """Return a WebP file of these chunks."""
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg_segment(kind: int, body: bytes) -> bytes:
    """Return a segment with its length."""
    return bytes((0xFF, kind)) + struct.pack(">H", len(body) + 2) + body


@cache
def seeds() -> dict[str, bytes]:
    """Return every seed by a name that ends with its extension."""
    return dict((*_jpegs(), *_pngs(), *_webps(), *_bmps()))


def photo(mode: str = "RGB") -> Image.Image:
    """Return a small picture with an edge and a slope in it."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    pixels = np.stack([x * 10, y * 15, np.where(x > y, 220, 30)], -1).astype(np.uint8)
    image = Image.fromarray(pixels)
    if mode == "RGBA":
        image.putalpha(Image.fromarray((x * 10).astype(np.uint8)))
        return image
    return image.convert(mode)


def saved(image: Image.Image, format_: str, **options: Any) -> bytes:
    """Return the picture as a file."""
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def exif(orientation: int = 6) -> bytes:
    """Return an EXIF block with an orientation and nothing else."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def profile() -> bytes:
    """Return a colour profile that does not call itself sRGB, so that it is applied."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return srgb.replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))


def _jpegs() -> Iterator[tuple[str, bytes]]:
    yield "baseline.jpg", saved(photo(), "JPEG")
    yield "progressive.jpg", saved(photo(), "JPEG", progressive=True)
    yield "grey.jpg", saved(photo("L"), "JPEG")
    yield "cmyk.jpg", saved(photo("CMYK"), "JPEG")
    yield "full-chroma.jpg", saved(photo(), "JPEG", subsampling=0, quality=100)
    yield "turned.jpg", saved(photo(), "JPEG", exif=exif(8))
    yield "profile.jpg", saved(photo(), "JPEG", icc_profile=profile())
    yield "restarts.jpg", saved(photo(), "JPEG", restart_marker_blocks=1)
    plain = saved(photo(), "JPEG")
    extra = jpeg_segment(0xFE, b"a comment") + jpeg_segment(0xED, b"Photoshop 3.0\0" + bytes(20))
    yield "metadata.jpg", plain[:2] + extra + plain[2:]


def _pngs() -> Iterator[tuple[str, bytes]]:
    for kind, depths in DEPTHS.items():
        for depth in depths:
            yield f"type{kind}-{depth}bit.png", png(kind, depth)
    yield "interlaced.png", png(6, 8, interlaced=True)
    yield "interlaced-1bit.png", png(0, 1, interlaced=True)
    yield "key-grey.png", png(0, 8, png_chunk(b"tRNS", b"\0\7"))
    yield "key-16bit.png", png(0, 16, png_chunk(b"tRNS", b"\1\7"))
    yield "key-colour.png", png(2, 8, png_chunk(b"tRNS", b"\0\1\0\2\0\3"))
    yield "key-palette.png", png(3, 8, png_chunk(b"tRNS", bytes(range(0, 250, 10))))
    packed = zlib.compress(b"packed text" * 9)
    texts = png_chunk(b"tEXt", b"Title\0plain") + png_chunk(b"zTXt", b"Comment\0\0" + packed)
    texts += png_chunk(b"iTXt", b"Note\0\1\0en\0Note\0" + packed)
    yield "texts.png", png(2, 8, texts)
    icc = png_chunk(b"iCCP", b"p\0\0" + zlib.compress(profile()))
    yield "profile.png", png(2, 8, icc + png_chunk(b"gAMA", struct.pack(">I", 45455)))
    yield "turned.png", png(2, 8, png_chunk(b"eXIf", exif()[6:]))
    frames = [photo("RGBA"), photo("RGBA").transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    yield "animated.png", saved(frames[0], "PNG", save_all=True, append_images=frames[1:])


def png(kind: int, depth: int, extra: bytes = b"", *, interlaced: bool = False) -> bytes:
    """Return a PNG of a colour type and bit depth; extra: chunks before its pixels."""
    size = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, kind, 0, 0, interlaced)
    palette = b""
    if kind == 3:
        palette = png_chunk(b"PLTE", bytes(value * 7 % 256 for value in range(3 * 2**depth)))
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    pixels = zlib.compress(b"".join(_rows(kind, depth, *each) for each in passes))
    return b"".join(
        (
            *(PNG, png_chunk(b"IHDR", size), palette, extra),
            *(png_chunk(b"IDAT", pixels[:40]), png_chunk(b"IDAT", pixels[40:])),
            png_chunk(b"IEND", b""),
        )
    )


def _rows(kind: int, depth: int, x: int, y: int, across: int, down: int) -> bytes:
    width, height = -(-(WIDTH - x) // across), -(-(HEIGHT - y) // down)
    row_bytes = (width * SAMPLES[kind] * depth + 7) // 8
    rows = (bytes((row * 31 + at * 7) % 256 for at in range(row_bytes)) for row in range(height))
    return b"".join(bytes([index % 5]) + row for index, row in enumerate(rows))


def _webps() -> Iterator[tuple[str, bytes]]:
    yield "lossy.webp", saved(photo(), "WEBP")
    yield "lossless.webp", saved(photo(), "WEBP", lossless=True)
    yield "alpha.webp", saved(photo("RGBA"), "WEBP")
    yield "lossless-alpha.webp", saved(photo("RGBA"), "WEBP", lossless=True)
    yield "metadata.webp", saved(photo(), "WEBP", exif=exif(), icc_profile=profile())
    frames = [photo("RGBA"), photo("RGBA").transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    yield "animated.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    yield "small-frame.webp", webp_with_frame(64, 64, 8, 4)


def webp_with_frame(width: int, height: int, left: int, top: int) -> bytes:
    """Return an animation of one frame, the small photo, somewhere on a larger canvas."""
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    place = (left // 2).to_bytes(3, "little") + (top // 2).to_bytes(3, "little")
    sides = (WIDTH - 1).to_bytes(3, "little") + (HEIGHT - 1).to_bytes(3, "little")
    frame = place + sides + (100).to_bytes(3, "little") + b"\0" + saved(photo(), "WEBP")[12:]
    return riff(
        riff_chunk(b"VP8X", b"\x02\0\0\0" + canvas),
        riff_chunk(b"ANIM", bytes(6)),
        riff_chunk(b"ANMF", frame),
    )


def _bmps() -> Iterator[tuple[str, bytes]]:
    for depth in (1, 4, 8):
        yield f"{depth}bit.bmp", bmp(depth, bytes(_stride(depth) * HEIGHT))
    for depth in (16, 24, 32):
        yield f"{depth}bit.bmp", bmp(depth, bytes(range(_stride(depth))) * HEIGHT)
    yield "top-down.bmp", bmp(24, bytes(_stride(24) * HEIGHT), height=-HEIGHT)
    rows = b"".join(b"\x14\x05\x00\x04\1\2\3\4\0\0" for _ in range(HEIGHT)) + b"\0\1"
    yield "rle8.bmp", bmp(8, rows, compression=1)
    yield "rle8-jump.bmp", bmp(8, b"\4\7\0\2\3\2\5\1\0\0\0\1", compression=1)
    rows = b"".join(b"\x14\x12\x00\x04\x34\x56\0\0" for _ in range(HEIGHT)) + b"\0\1"
    yield "rle4.bmp", bmp(4, rows, compression=2)
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    yield "565.bmp", bmp(16, bytes(_stride(16) * HEIGHT), compression=3, masks=masks)
    yield "rgba.bmp", bmp_v5()
    yield "os2.bmp", bmp_os2()


def _stride(depth: int) -> int:
    return (WIDTH * depth + 31) // 32 * 4


def bmp(
    depth: int, pixels: bytes, *, compression: int = 0, height: int = HEIGHT, masks: bytes = b""
) -> bytes:
    """Return a BMP with the header of Windows 3; height: negative for the top row first."""
    colors = bytes(value * 3 % 256 for value in range(4 * 2**depth)) if depth <= 8 else b""
    head = struct.pack("<IiiHHII", 40, WIDTH, height, 1, depth, compression, len(pixels))
    info = head + struct.pack("<iiII", 2835, 2835, 0, 0) + masks + colors
    start = 14 + len(info)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + info + pixels


def bmp_v5() -> bytes:
    """Return a BMP with alpha, as its fifth header allows."""
    pixels = bytes(range(256)) * (WIDTH * HEIGHT * 4 // 256)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    head = struct.pack("<IiiHHII", 124, WIDTH, HEIGHT, 1, 32, 3, len(pixels))
    info = head + struct.pack("<iiII", 2835, 2835, 0, 0) + masks + b"BGRs" + bytes(64)
    return b"BM" + struct.pack("<IHHI", 138 + len(pixels), 0, 0, 138) + info + pixels


def bmp_os2() -> bytes:
    """Return a BMP with the header of OS/2 1.x."""
    pixels = bytes(_stride(24) * HEIGHT)
    info = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 24)
    return b"BM" + struct.pack("<IHHI", 26 + len(pixels), 0, 0, 26) + info + pixels
