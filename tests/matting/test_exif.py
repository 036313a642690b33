"""The one tag of an EXIF block that matters here."""

import struct

import pytest

from openrembg.matting.exif import orientation_of


def block(order: str, *entries: tuple[int, int, int, int], start: int = 8) -> bytes:
    """Return a TIFF header with one directory of (tag, kind, count, number)."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    fields = b""
    for tag, kind, count, number in entries:
        packed = struct.pack(order + {1: "B", 3: "H"}.get(kind, "I"), number).ljust(4, b"\0")
        fields += struct.pack(f"{order}HHI", tag, kind, count) + packed
    size = struct.pack(f"{order}H", len(entries))
    return magic + struct.pack(f"{order}I", start) + bytes(start - 8) + size + fields + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 3, 4])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_both_byte_orders_and_every_whole_number_are_read(
    order: str, kind: int, prefix: bytes
) -> None:
    entries = ((0x010F, 2, 4, 0), (0x0112, kind, 1, 6))
    assert orientation_of(prefix + block(order, *entries)) == 6
    assert orientation_of(prefix + block(order, *entries, start=40)) == 6


@pytest.mark.parametrize(
    "exif",
    [
        *(None, b"", b"Exif\0\0", b"II*\0", b"II+\0" + bytes(20), b"nonsense" * 9),
        block("<", (0x0112, 3, 1, 0)),
        block("<", (0x0112, 3, 1, 9)),
        block("<", (0x0112, 2, 1, 6)),
        block("<", (0x0112, 3, 2, 6)),
        block("<", (0x010F, 3, 1, 6)),
        block("<", (0x0112, 3, 1, 6))[:-10],
        b"II*\0" + struct.pack("<I", 2**32 - 1),
        b"II*\0" + struct.pack("<IH", 8, 65535),
    ],
)
def test_anything_else_is_no_turn(exif: bytes | None) -> None:
    assert orientation_of(exif) == 1
