"""What can be read only once, put aside in an unnamed file: its length is known, it can be sent
again, and memory stays flat."""

import tempfile
from typing import BinaryIO, Final

from openrembg.client.errors import InputError

MAX_BYTES: Final = 50 * 1024 * 1024
TOO_LARGE: Final = "The picture is larger than 50 MB."


class Spool:
    """Takes a picture's bytes, at most 50 MiB of them. file: where they are."""

    def __init__(self) -> None:
        try:
            self.file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 (who has the Spool closes it)
        except OSError as error:
            raise _no_room(error) from error
        self.size = 0

    def add(self, data: bytes) -> None:
        """Append. Raises InputError beyond the limit or when the disk does not take it."""
        self.size += len(data)
        if self.size > MAX_BYTES:
            raise InputError(TOO_LARGE)
        try:
            self.file.write(data)
        except OSError as error:
            raise _no_room(error) from error

    def write(self, data: bytes) -> int:
        """Append, as files do."""
        self.add(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: whoever reads the file reads what was added."""


def _no_room(error: OSError) -> InputError:
    reason = error.strerror or "the disk does not take it"
    return InputError(f"The picture cannot be put aside for sending: {reason}.")
