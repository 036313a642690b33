"""Which JPEG files go over their picture too often.

Thousands of progressive scans over a large canvas are a bomb: minutes for kilobytes.
"""

import re
from typing import Final

from openrembg.matting.errors import UndecodableImage

MAX_SCANS: Final = 64
# Each scan goes over the whole picture: of 100 megapixels, 24 take 5 s. Encoders make about ten,
# and 18 for the four inks of a print.
MAX_SCANNED_PIXELS: Final = 2_400_000_000
# Between the scans stand their tables.
MAX_MARKERS: Final = 10_000

# A JPEG marker, but for those inside a scan (a stuffed 0xFF, a restart) and those without a length.
_MARKER: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")


def check_jpeg_scans(data: bytes, pixels: int) -> None:
    """Raise UndecodableImage for more scans than a picture of so many pixels may have."""
    most = min(MAX_SCANS, MAX_SCANNED_PIXELS // pixels)
    if data.count(b"\xff\xda") > most and _count_scans(data) > most:
        raise UndecodableImage


def _count_scans(data: bytes) -> int:
    """Return the scans of the first picture in a JPEG file, up to its end marker.

    Not what only looks like one, in a preview, or in the film that phones append to a photo.
    A file of nothing but markers counts as one of too many scans.
    Source: ITU-T T.81, annex B.1.1.
    """
    view = memoryview(data)
    scans, position = 0, 2
    for _ in range(MAX_MARKERS):
        marker = _MARKER.search(view, position)
        if marker is None or data[marker.end() - 1] == 0xD9:
            return scans
        position = marker.end()
        scans += data[position - 1] == 0xDA
        position += int.from_bytes(view[position : position + 2], "big")
    return MAX_SCANS + 1
