"""How an EXIF block wants its picture turned; nothing else of it is read.

Pillow would unpack every tag that the block names, and warn of each that is torn, in the log.
"""

import struct
from typing import Final

ORIENTATION: Final = 0x0112
# The field types that hold a whole number: how it is unpacked.
_NUMBERS: Final = {1: "B", 3: "H", 4: "I"}
_ORDERS: Final = {b"II*\0": "<", b"MM\0*": ">"}


def orientation_of(block: bytes | None) -> int:
    """Return the orientation, 1 to 8; a broken block counts as none, which is 1.

    block: a TIFF header and what follows, with or without `Exif` in front of it.
    Source: Exif 3.0 (CIPA DC-008), section 4.6; TIFF 6.0, section 2.
    """
    try:
        turn = _first_directory(block.removeprefix(b"Exif\0\0")) if block else 1
    except struct.error:
        return 1
    return turn if 1 <= turn <= 8 else 1


def _first_directory(tiff: bytes) -> int:
    order = _ORDERS.get(tiff[:4])
    if order is None:
        return 1
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    (entries,) = struct.unpack_from(f"{order}H", tiff, start)
    for index in range(entries):
        position = start + 2 + 12 * index
        tag, kind, count = struct.unpack_from(f"{order}HHI", tiff, position)
        if tag == ORIENTATION and kind in _NUMBERS and count == 1:
            return int(struct.unpack_from(order + _NUMBERS[kind], tiff, position + 8)[0])
    return 1
