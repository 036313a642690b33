"""Which models are measured: one that the peer can run too, and the one that ships."""

from pathlib import Path
from typing import Final

from openrembg.matting.weights import DEFAULT_MODEL, Weights, find_weights

FOLDER: Final = Path(__file__).with_name("weights")
COMPARED: Final[str] = "openrembg-v0"
SHIPPED: Final[str] = DEFAULT_MODEL


def measured_weights(name: str) -> Weights:
    """Return a model of the package or of this benchmark. Raises UnknownModel, CorruptModel."""
    return find_weights(name, FOLDER)
