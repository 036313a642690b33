"""Large arrays of zeros of which only what is written takes memory."""

import mmap
from contextlib import suppress
from math import prod
from typing import Final

import numpy as np

from openrembg.matting.layer import Pixels

# Below it, numpy does not ask the system for huge pages, and this would only cost.
SPARSE_FROM_BYTES: Final = 4 << 20


def clear(shape: tuple[int, ...]) -> Pixels:
    """Return uint8 zeros of that shape.

    A turned picture leaves up to half of its canvas empty. numpy would have the system lay a large
    array out in pages of 2 MiB, each of which a single pixel fills; here they are of 4 KiB, and
    what is only read takes none. Source: madvise(2), MADV_NOHUGEPAGE.
    """
    size = prod(shape)
    if size < SPARSE_FROM_BYTES or not hasattr(mmap, "MADV_NOHUGEPAGE"):
        return np.zeros(shape, np.uint8)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel without huge pages
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(pages, np.uint8).reshape(shape)
