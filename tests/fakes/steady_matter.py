"""A Matter that needs no network: always the same matte, as slow or broken as a test wants."""

import threading

import numpy as np

from openrembg.matting.decode import Source
from openrembg.matting.matter import Matte


class SteadyMatter:
    """Says that the middle of every photo is the subject; `finds` turns that off."""

    def __init__(self, *, finds: bool = True, error: Exception | None = None) -> None:
        self.finds = finds
        self.error = error
        self.calls = 0
        self.started = threading.Semaphore(0)
        self.may_end = threading.Event()
        self.may_end.set()
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        """The model's name."""
        return "steady"

    @property
    def provider(self) -> str:
        """What computes."""
        return "Test CPU f32"

    def matte(self, source: Source) -> Matte:
        """Return the matte once `may_end` is set, or raise `error` when there is one."""
        with self._lock:
            self.calls += 1
        self.started.release()
        self.may_end.wait()
        if self.error is not None:
            raise self.error
        source.photo()
        alpha = np.zeros((16, 16), np.float32)
        if self.finds:
            alpha[4:12, 4:12] = 1.0
        return Matte(alpha, self.finds)
