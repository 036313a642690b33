"""What a JPEG file says before its first scan.

Pillow walks there byte by byte, and joins every EXIF segment with those before it: minutes for a
file that is made of them. Here the steps are counted. Source: ITU-T T.81, annex B.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from openrembg.matting.errors import UnsupportedImage

# The most that a profile may have is 255; previews, depth maps and edits take some hundreds more.
MAX_SEGMENTS: Final = 10_000
# The size of a picture's side, its samples and its channels are in the frame header.
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _END, _ADOBE, _JFIF, _COMMENT = 0xDA, 0xD9, 0xEE, 0xE0, 0xFE
_APPLICATION: Final = frozenset(range(0xE0, 0xF0))
_WITHOUT_LENGTH: Final = frozenset((0x01, *range(0xD0, 0xD9)))
_MODES: Final = {1: "L", 3: "RGB", 4: "CMYK"}

# What lies between two segments is skipped, as libjpeg does it.
_MARKER: Final = re.compile(rb"\xff[^\x00\xff]")


@dataclass(frozen=True, slots=True)
class JpegHead:
    """Size, channels and what else matters; mode is Pillow's name for the channels.

    needed: where the segments lie that a decoder needs. scan: where the first scan begins.
    """

    width: int
    height: int
    mode: str
    exif: bytes | None
    icc: bytes | None
    needed: tuple[slice, ...]
    scan: int


def read_jpeg_head(data: bytes) -> JpegHead:
    """Return what stands before the first scan. Raises UnsupportedImage."""
    frame, exif, profile, needed, scan = b"", None, [], [], 0
    for kind, place in _segments(data):
        body = data[place.start + 4 : place.stop] if kind in _TOLD else b""
        if kind == _SCAN:
            scan = place.start
            break
        if kind in _FRAMES:
            frame = frame or body
        elif kind == 0xE1 and body.startswith(b"Exif\0\0"):
            exif = exif or body
        elif kind == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            profile.append(body)
        if kind in (_ADOBE, _JFIF) or kind not in _APPLICATION | {_COMMENT}:
            needed.append(place)
    if not scan or len(frame) < 6 or frame[0] != 8 or frame[5] not in _MODES:
        raise UnsupportedImage
    width, height = int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[1:3], "big")
    return JpegHead(width, height, _MODES[frame[5]], exif, _joined(profile), tuple(needed), scan)


_TOLD: Final = _FRAMES | {0xE1, 0xE2}


def _segments(data: bytes) -> Iterator[tuple[int, slice]]:
    """Yield kind and place of each segment up to the end of the file, its marker included."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        marker = _MARKER.search(data, position)
        if marker is None:
            return
        kind = data[marker.end() - 1]
        if kind == _END:
            return
        position = marker.end()
        if kind in _WITHOUT_LENGTH:
            continue
        length = int.from_bytes(data[position : position + 2], "big")
        if length < 2 or position + length > len(data):
            return
        position += length
        yield kind, slice(marker.start(), position)
    raise UnsupportedImage


def _joined(pieces: list[bytes]) -> bytes | None:
    """Return the profile when all its pieces are there. Source: ICC.1:2022, annex B.4."""
    pieces = sorted(pieces, key=lambda piece: piece[12:13])
    if not pieces or pieces[0][13:14] != bytes([len(pieces) & 0xFF]):
        return None
    return b"".join(piece[14:] for piece in pieces)


def without_metadata(data: bytes, head: JpegHead) -> bytes:
    """Return the file without previews, comments and the like: only what a decoder needs."""
    return b"".join((data[:2], *(data[place] for place in head.needed), data[head.scan :]))
