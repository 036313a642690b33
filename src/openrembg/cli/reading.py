"""A photo's bytes from a file or a pipe, and the reason why something failed."""

from pathlib import Path
from typing import BinaryIO, Final

from openrembg.cli.terminal import shown
from openrembg.matting.errors import MattingError

MAX_FILE_BYTES: Final = 1 << 30


def read(path: Path, most: int = MAX_FILE_BYTES) -> bytes:
    """Return a file's bytes; also a pipe's, as `<(command)` gives one. Raises OSError."""
    with path.open("rb") as file:
        return read_stream(file, most)


def read_stream(file: BinaryIO, most: int = MAX_FILE_BYTES) -> bytes:
    """Return everything that a file or pipe gives, `most` bytes at most. Raises OSError."""
    data = file.read(most + 1)
    if len(data) > most:
        raise OSError(f"It is larger than {_size(most)}")
    return data


def unwritable(target: str | Path, error: OSError) -> str:
    """Return why a result or its folder cannot be written, without a full stop."""
    return f"{shown(target)} cannot be written: {error.strerror or error}"


def reason(error: Exception, target: Path | None = None) -> str:
    """Return why a photo failed, without a full stop. target: where its result was to go."""
    if isinstance(error, OSError):
        if target is not None and error.filename in map(str, (target, *target.parents)):
            return unwritable(error.filename, error)
        return error.strerror or str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for it"
    if isinstance(error, MattingError):
        return str(error).rstrip(".")
    return f"An error inside openrembg ({type(error).__name__}: {shown(str(error))})"


def _size(count: int) -> str:
    return f"{count >> 30} GiB" if count >= 1 << 30 else f"{count >> 20} MB"
