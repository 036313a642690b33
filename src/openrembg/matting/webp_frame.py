"""The first frame of an animated WebP, as a still file and where it lies on the canvas.

Pillow's decoder of animations holds the canvas four times.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_ALPHA_FLAG: Final = 0x10
_PICTURE: Final = (b"ALPH", b"VP8 ", b"VP8L")


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame's place on the canvas, in pixels, and its picture as a WebP file."""

    left: int
    top: int
    width: int
    height: int
    file: bytes


def first_frame(data: bytes) -> Frame:
    """Return the first frame. Raises ValueError when there is none.

    Source: RFC 9649, WebP Image Format, section 2.7.1.1 (ANMF).
    """
    for name, body in riff_chunks(memoryview(data)[12:]):
        if name == b"ANMF" and len(body) >= 16:
            left, top, width, height = (
                int.from_bytes(body[at : at + 3], "little") for at in (0, 3, 6, 9)
            )
            return Frame(left * 2, top * 2, width + 1, height + 1, _still(body[16:], width, height))
    raise ValueError("no frame")


def riff_chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and body of the first 1000 chunks, the last perhaps cut off by the file's end."""
    position = 0
    for _ in range(1000):
        if position + 8 > len(view):
            return
        size = int.from_bytes(view[position + 4 : position + 8], "little")
        yield bytes(view[position : position + 4]), view[position + 8 :][:size]
        position += 8 + size + (size & 1)


def _still(chunks: memoryview, width: int, height: int) -> bytes:
    """Return a file with the picture of a frame; the sides are one less than they are."""
    found = {name: body for name, body in reversed(list(riff_chunks(chunks))) if name in _PICTURE}
    flags = _ALPHA_FLAG if b"ALPH" in found else 0
    canvas = struct.pack("<I", flags) + width.to_bytes(3, "little") + height.to_bytes(3, "little")
    parts: list[bytes | memoryview] = [b"WEBP", *_chunk(b"VP8X", memoryview(canvas))]
    for name in _PICTURE:
        if name in found:
            parts += _chunk(name, found[name])
    size = sum(map(len, parts))
    return b"".join((b"RIFF", struct.pack("<I", size), *parts))


def _chunk(name: bytes, body: memoryview) -> tuple[bytes, memoryview, bytes]:
    return name + struct.pack("<I", len(body)), body, bytes(len(body) & 1)
