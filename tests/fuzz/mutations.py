"""Break a picture file, knowing how it is built: lengths, checksums, sizes, tables.

Every mutation takes the file and a source of chance, and returns another file. The same chance
gives the same file.
"""

import re
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Final, TypeVar

from seeds import jpeg_segment, png_chunk, riff, riff_chunk, seeds

Kind = TypeVar("Kind", bytes, int)
Mutation = Callable[[bytes, Random], bytes]

# Numbers at which programs go wrong.
EDGES: Final = (
    *(0, 1, 2, 3, 7, 8, 15, 16, 0x7F, 0x80, 0xFF, 0x100, 9999, 10000, 10001, 0x3FFF, 0x7FFF),
    *(0x8000, 0xFFFF, 0x10000, 0xFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF),
)
MOST_BYTES: Final = 200_000
_MARKER: Final = re.compile(rb"\xff([\xc0-\xfe])")


def mutated(data: bytes, chance: Random) -> bytes:
    """Return the file after one to four mutations, at most 200 kB."""
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        data = chance.choice(_known(data) + ANYWHERE)(data, chance)[:MOST_BYTES]
    return data


def _known(data: bytes) -> tuple[Mutation, ...]:
    """Return what can be done to that format, twice as likely as what can be done to any bytes."""
    if data[:4] == b"\x89PNG":
        return (png_header, png_body, png_order, png_length) * 2
    if data[:4] == b"RIFF":
        return (webp_body, webp_canvas, webp_order, webp_size) * 2
    if data[:2] == b"\xff\xd8":
        return (jpeg_body, jpeg_frame, jpeg_order, jpeg_length) * 2
    if data[:2] == b"BM":
        return (bmp_number, bmp_size, bmp_size) * 2
    return ()


def flip(data: bytes, chance: Random) -> bytes:
    """Change some bits."""
    changed = bytearray(data or b"\0")
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def overwrite(data: bytes, chance: Random) -> bytes:
    """Write a number at which programs go wrong somewhere into the first bytes, or anywhere."""
    end = len(data) if chance.random() < 0.4 else min(len(data), 64)
    at, size = chance.randrange(end + 1), chance.choice((1, 2, 4))
    number = (chance.choice(EDGES) & (256**size - 1)).to_bytes(
        size, chance.choice(("big", "little"))
    )
    return data[:at] + number + data[at + size :]


def truncate(data: bytes, chance: Random) -> bytes:
    """Leave out the end."""
    return data[: chance.randrange(len(data) + 1)]


def cut_out_bytes(data: bytes, chance: Random) -> bytes:
    """Leave out a piece."""
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.randint(1, 64) :]


def repeat(data: bytes, chance: Random) -> bytes:
    """Repeat a piece, some times or very often."""
    at = chance.randrange(len(data) + 1)
    piece = data[at : at + chance.randint(1, 200)]
    return data[:at] + piece * chance.choice((2, 3, 10, 1000)) + data[at:]


def splice(data: bytes, chance: Random) -> bytes:
    """Continue as another file."""
    other = chance.choice(tuple(seeds().values()))
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other)) :]


def noise(data: bytes, chance: Random) -> bytes:
    """Replace a piece by random bytes."""
    at = chance.randrange(len(data) + 1)
    piece = chance.randbytes(chance.randint(1, 64))
    return data[:at] + piece + data[at + len(piece) :]


ANYWHERE: Final[tuple[Mutation, ...]] = (
    *(flip, overwrite, truncate, cut_out_bytes, repeat, splice, noise),
)


def _one_broken(parts: list[tuple[Kind, bytes]], chance: Random) -> list[tuple[Kind, bytes]]:
    """Return the parts of a file with the inside of one of them broken."""
    at = chance.randrange(len(parts))
    kind, body = parts[at]
    parts[at] = kind, chance.choice((flip, truncate, repeat, noise, overwrite))(body, chance)
    return parts


def _reordered(
    parts: list[tuple[Kind, bytes]], kinds: Sequence[Kind], chance: Random
) -> list[tuple[Kind, bytes]]:
    """Return the parts shuffled, with one doubled, or with one that has another kind."""
    at = chance.randrange(len(parts))
    if chance.random() < 0.4:
        parts[at] = chance.choice(kinds), parts[at][1]
    elif chance.random() < 0.5:
        parts.insert(chance.randrange(len(parts)), parts[at])
    else:
        chance.shuffle(parts)
    return parts


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, position = [], 8
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        chunks.append((data[position + 4 : position + 8], data[position + 8 :][:size]))
        position += 12 + size
    return chunks


def _as_png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, body) for name, body in chunks)


def png_header(data: bytes, chance: Random) -> bytes:
    """Write another size, depth, colour type, or interlacing, with a right checksum."""
    width, height = (chance.choice((0, 1, 24, 300, *EDGES)) for _ in range(2))
    kinds = bytes(chance.choice((0, 1, 2, 3, 4, 6, 8, 16, 255)) for _ in range(2))
    header = bytearray(data[16:29].ljust(13, b"\0"))
    if chance.random() < 0.6:
        header[0:8] = struct.pack(">II", width & 0xFFFFFFFF, height & 0xFFFFFFFF)
    if chance.random() < 0.6:
        header[8:10] = kinds
    if chance.random() < 0.3:
        header[10:13] = bytes(chance.choice((0, 0, 1, 2)) for _ in range(3))
    return data[:8] + png_chunk(b"IHDR", bytes(header)) + data[33:]


def png_body(data: bytes, chance: Random) -> bytes:
    """Break the inside of one chunk and put its checksum right."""
    chunks = _png_chunks(data)
    return _as_png(_one_broken(chunks, chance)) if chunks else data


def png_order(data: bytes, chance: Random) -> bytes:
    """Shuffle, double or rename chunks."""
    names = (b"IDAT", b"PLTE", b"tRNS", b"iCCP", b"fdAT", b"fcTL", b"acTL", b"eXIf", b"zTXt")
    chunks = _png_chunks(data)
    return _as_png(_reordered(chunks, names, chance)) if chunks else data


def png_length(data: bytes, chance: Random) -> bytes:
    """Let one chunk lie about its length."""
    at = 8 + sum(12 + len(body) for _, body in _png_chunks(data)[: chance.randint(0, 5)])
    return data[:at] + struct.pack(">I", chance.choice(EDGES)) + data[at + 4 :]


def _riff_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, position = [], 12
    while position + 8 <= len(data):
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        chunks.append((data[position : position + 4], data[position + 8 :][:size]))
        position += 8 + size + (size & 1)
    return chunks


def _as_webp(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return riff(*(riff_chunk(name, body) for name, body in chunks))


def webp_body(data: bytes, chance: Random) -> bytes:
    """Break the inside of one chunk."""
    chunks = _riff_chunks(data)
    return _as_webp(_one_broken(chunks, chance)) if chunks else data


def webp_canvas(data: bytes, chance: Random) -> bytes:
    """Put another canvas, or another frame size, before the picture."""
    flags = bytes([chance.choice((0, 2, 0x10, 0x12, 0xFF))]) + bytes(3)
    sides = b"".join((chance.choice(EDGES) & 0xFFFFFF).to_bytes(3, "little") for _ in range(2))
    chunks = [chunk for chunk in _riff_chunks(data) if chunk[0] != b"VP8X"]
    return _as_webp([(b"VP8X", flags + sides), *chunks])


def webp_order(data: bytes, chance: Random) -> bytes:
    """Shuffle, double or rename chunks."""
    names = (b"VP8 ", b"VP8L", b"ALPH", b"ANMF", b"ANIM", b"EXIF", b"ICCP")
    chunks = _riff_chunks(data)
    return _as_webp(_reordered(chunks, names, chance)) if chunks else data


def webp_size(data: bytes, chance: Random) -> bytes:
    """Let the file or its first chunk lie about its length."""
    at = chance.choice((4, 16))
    return data[:at] + struct.pack("<I", chance.choice(EDGES)) + data[at + 4 :]


def _jpeg_segments(data: bytes) -> list[tuple[int, bytes]]:
    """Return kind and body of the segments; the body of the last, a scan, is all the rest."""
    segments, position = [], 2
    while (marker := _MARKER.match(data, position)) is not None:
        kind = marker[1][0]
        size = int.from_bytes(data[position + 2 : position + 4], "big")
        if kind == 0xDA:
            segments.append((kind, data[position + 4 :]))
            break
        segments.append((kind, data[position + 4 : position + 2 + size]))
        position += 2 + max(2, size)
    return segments


def _as_jpeg(segments: list[tuple[int, bytes]]) -> bytes:
    return b"\xff\xd8" + b"".join(
        b"\xff\xda\0\x0c" + body if kind == 0xDA else jpeg_segment(kind, body[:65_000])
        for kind, body in segments
    )


def jpeg_body(data: bytes, chance: Random) -> bytes:
    """Break the inside of one segment and put its length right."""
    segments = _jpeg_segments(data)
    return _as_jpeg(_one_broken(segments, chance)) if segments else data


def jpeg_frame(data: bytes, chance: Random) -> bytes:
    """Write another size, another number of channels, or other subsampling."""
    segments = _jpeg_segments(data)
    for at, (kind, body) in enumerate(segments):
        if kind in (0xC0, 0xC1, 0xC2) and len(body) >= 6:
            frame = bytearray(body)
            sides = (chance.choice((24, *EDGES)) & 0xFFFF for _ in range(2))
            frame[1:5] = struct.pack(">HH", *sides)
            if chance.random() < 0.3:
                frame[chance.randrange(len(frame))] = chance.choice(
                    (0, 1, 2, 3, 4, 0x11, 0x44, 255)
                )
            segments[at] = chance.choice((kind, 0xC0, 0xC1, 0xC2, 0xC3, 0xC9)), bytes(frame)
    return _as_jpeg(segments)


def jpeg_order(data: bytes, chance: Random) -> bytes:
    """Shuffle or double segments, or give one another kind."""
    segments = _jpeg_segments(data)
    return _as_jpeg(_reordered(segments, range(0xC0, 0xFF), chance)) if segments else data


def jpeg_length(data: bytes, chance: Random) -> bytes:
    """Let one segment lie about its length."""
    places = [marker.end() for marker in _MARKER.finditer(data)] or [0]
    at = chance.choice(places)
    return data[:at] + struct.pack(">H", chance.choice(EDGES) & 0xFFFF) + data[at + 2 :]


def bmp_number(data: bytes, chance: Random) -> bytes:
    """Write another number into the header."""
    at, form = chance.choice(((2, "I"), (10, "I"), (14, "I"), (26, "H"), (28, "H"), (30, "I")))
    if chance.random() < 0.3:
        at, form = chance.choice((34, 38, 42, 46, 50, 54, 58, 62, 66)), "I"
    small = chance.choice((0, 1, 2, 3, 4, 5, 8, 12, 16, 24, 32, 40, 52, 56, 64, 108, 124))
    number = chance.choice((small, chance.choice(EDGES)))
    packed = struct.pack("<I", number)[: 4 if form == "I" else 2]
    return data[:at] + packed + data[at + len(packed) :]


def bmp_size(data: bytes, chance: Random) -> bytes:
    """Write another size, or a negative one."""
    width, height = (chance.choice((16, 24, *EDGES)) * chance.choice((1, 1, -1)) for _ in range(2))
    packed = struct.pack("<II", width & 0xFFFFFFFF, height & 0xFFFFFFFF)
    at, size = chance.choice(((18, 8), (18, 4), (22, 4)))
    return data[:at] + packed[-size:] + data[at + size :]
