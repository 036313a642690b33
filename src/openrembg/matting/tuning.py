"""Settings of the whole process, for processes that are ours: the server and the command line.

A program that imports the library keeps its own.
"""

import ctypes
import platform
from typing import Final

import cv2

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
MMAP_FROM_BYTES: Final = 4 << 20
KEEP_BYTES: Final = 16 << 20


def tune_process() -> None:
    """Bound threads and memory, and silence OpenCV. Call it before the first thread is started.

    OpenCV gets one thread a call, since pictures are spread over the cores by us, and no longer
    writes to the standard error what is wrong with each file, past every logger. glibc gets two
    heaps instead of eight a core, and gives large blocks back at once: a server of many threads
    otherwise keeps several pictures' worth of freed memory (measured: docs/benchmarks.md). Some of
    what is smaller is kept for the next picture: a tenth less processor time at one megapixel.
    Source: mallopt(3).
    """
    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(M_ARENA_MAX, 2)
    libc.mallopt(M_MMAP_THRESHOLD, MMAP_FROM_BYTES)
    libc.mallopt(M_TRIM_THRESHOLD, KEEP_BYTES)
