"""openrembg: the background-removal platform that you own.

    from openrembg import remove_background, Options

The names are looked up when they are first used, so that `openrembg --help` does not load a
neural network runtime.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openrembg.matting.errors import (
        CorruptModel,
        FieldError,
        ImageError,
        ImageTooLarge,
        InferenceFailed,
        InvalidOptions,
        MattingError,
        ModelError,
        ProviderUnavailable,
        PullFailed,
        UndecodableImage,
        UnknownModel,
        UnsupportedImage,
    )
    from openrembg.matting.options import Options
    from openrembg.matting.pipeline import Cutout, remove_background

__all__ = [
    "CorruptModel",
    "Cutout",
    "FieldError",
    "ImageError",
    "ImageTooLarge",
    "InferenceFailed",
    "InvalidOptions",
    "MattingError",
    "ModelError",
    "Options",
    "ProviderUnavailable",
    "PullFailed",
    "UndecodableImage",
    "UnknownModel",
    "UnsupportedImage",
    "remove_background",
]

_HOMES = {"Options": "options", "Cutout": "pipeline", "remove_background": "pipeline"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'openrembg' has no attribute '{name}'")
    home = importlib.import_module(f"openrembg.matting.{_HOMES.get(name, 'errors')}")
    return getattr(home, name)
