"""Which PNG files are made of chunks rather than of pixels.

Pillow takes 3 µs for each chunk and unpacks each profile: minutes for 50 MB of them.
"""

from typing import Final

from openrembg.matting.errors import UnsupportedImage

# Pixels come in chunks of a kilobyte or more, and comments are few.
MAX_CHUNKS: Final = 100_000
MAX_COMMENTS: Final = 1_000
MAX_PROFILES: Final = 8
# The frames of an animation (APNG), which are passed over.
_FRAMES: Final = (b"fcTL", b"fdAT")


def check_png_chunks(data: bytes) -> None:
    """Raise UnsupportedImage for too many chunks; torn files are none of its business.

    Source: W3C PNG, third edition, section 5.3.
    """
    position, comments, profiles = 8, 0, 0
    for _ in range(MAX_CHUNKS):
        name = data[position + 4 : position + 8]
        if len(name) < 4 or name == b"IEND":
            return
        profiles += name == b"iCCP"
        comments += bool(name[0] & 0x20) and name not in _FRAMES
        if comments > MAX_COMMENTS or profiles > MAX_PROFILES:
            raise UnsupportedImage
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    raise UnsupportedImage
