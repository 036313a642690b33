"""Which of the four formats a file has, by its first bytes."""

from openrembg.matting.options import Format


def sniff(data: bytes) -> Format | None:
    """Return the format that the magic bytes say, None when it is none of the four."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith(b"BM"):
        return "bmp"
    return None
