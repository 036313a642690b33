"""The one seam for inference: whoever can make a matte of a photo."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from openrembg.matting.decode import Source


@dataclass(frozen=True, slots=True)
class Matte:
    """What a network says about a photo.

    alpha: float32[h, w] in 0..1 at the network's own size, upright (EXIF turn applied).
    detected: whether there is a subject at all.
    """

    alpha: NDArray[np.float32]
    detected: bool


class Matter(Protocol):
    """Makes mattes. Implementations are safe to call from several threads at once."""

    @property
    def model(self) -> str:
        """The model's name, as X-Model shows it."""

    @property
    def provider(self) -> str:
        """What really computes, for instance `OpenVINO CPU f32`."""

    def matte(self, source: "Source") -> Matte:
        """Return the matte of a photo.

        Raises UndecodableImage when the pixels do not decode, InferenceFailed when the runtime
        fails.
        """
