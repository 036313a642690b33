"""Where the command line and the server keep things on this machine."""

import os
from pathlib import Path

import platformdirs


def data_dir() -> Path:
    """Return OPENREMBG_DATA_DIR, else `openrembg` in the user's data folder."""
    folder = os.environ.get("OPENREMBG_DATA_DIR", "").strip()
    if folder:
        return Path(folder).expanduser().absolute()
    return default_data_dir()


def default_data_dir() -> Path:
    """Return `openrembg` in the user's data folder."""
    return Path(platformdirs.user_data_dir("openrembg", appauthor=False))


def models_dir(chosen: Path | None = None) -> Path:
    """Return the chosen folder, else OPENREMBG_MODELS_DIR, else `models` in the data folder."""
    if chosen is not None:
        return chosen.expanduser().absolute()
    folder = os.environ.get("OPENREMBG_MODELS_DIR", "").strip()
    return Path(folder).expanduser().absolute() if folder else data_dir() / "models"
