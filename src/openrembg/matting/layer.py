"""What travels from the matte to the encoder: colours and alpha, side by side."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Layer:
    """A picture on its way out, straight (not premultiplied) colours, sRGB.

    rgb: uint8[h, w, 3], None for a bare matte. alpha: uint8[h, w], None when opaque.
    At least one of them is there.
    """

    rgb: Pixels | None
    alpha: Pixels | None

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self._any.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self._any.shape[0])

    @property
    def _any(self) -> Pixels:
        plane = self.rgb if self.alpha is None else self.alpha
        assert plane is not None, "a layer without pixels"  # noqa: S101
        return plane
