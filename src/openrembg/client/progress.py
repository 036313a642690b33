"""How far an upload or a download is."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from openrembg.client.errors import InputError

MEASURABLE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes of a body that have passed.

    total, fraction (0..1) and remaining_s are None while the length is unknown; rate (bytes a
    second) and remaining_s are None until there is something to measure.
    """

    loaded: int
    total: int | None
    fraction: float | None
    rate: float | None
    remaining_s: float | None


# What a caller passes as on_upload or on_download.
OnProgress = Callable[[Progress], object]


def checked(callback: object) -> None:
    """Raise InputError for what cannot be called."""
    if callback is not None and not callable(callback):
        raise InputError(f"A callback must be a function, not {type(callback).__name__}.")


class Meter:
    """Counts one body's bytes and their rate from the moment it is made."""

    def __init__(self, total: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._start = clock()
        self._loaded = 0

    def add(self, size: int) -> Progress:
        """Count `size` more bytes and return where that leads."""
        self._loaded += size
        rate = self._rate()
        if self._total is None:
            return Progress(self._loaded, None, None, rate, None)
        left = self._total - self._loaded
        remaining_s = None if rate is None else left / rate
        fraction = self._loaded / self._total if self._total else 1.0
        return Progress(self._loaded, self._total, fraction, rate, remaining_s)

    def _rate(self) -> float | None:
        spent_s = self._clock() - self._start
        return self._loaded / spent_s if self._loaded and spent_s >= MEASURABLE_S else None
