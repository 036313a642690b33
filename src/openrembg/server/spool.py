"""Where request bodies lie while they are received and served, and how much may lie there.

What is reserved follows what has arrived, in steps: to declare much and send little takes nothing
from others. A body that comes fast has all of its declared length reserved once its first part is
there (http_request.py decides that), so that of many large uploads at once as many as fit are
received to the end, instead of all failing half-way.
"""

import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

# Bodies up to this size stay in memory: a form without a photo never touches the disk.
MEMORY_BYTES = 64 * 1024
# Larger ones reserve in steps of this size.
STEP_BYTES = 256 * 1024


class SpoolFull(Exception):
    """The budget has no room for more bytes."""


class BodyTooLarge(Exception):
    """A body grew over the cap while it arrived."""


class Budget:
    """Count bytes that are held, up to a limit; safe to use from several threads."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self.used_bytes = 0

    def reserve(self, size: int) -> bool:
        """Take `size` bytes, or return False and take nothing when they do not fit."""
        with self._lock:
            if self.used_bytes + size > self.limit_bytes:
                return False
            self.used_bytes += size
            return True

    def has_room_for(self, size: int) -> bool:
        """Tell whether `size` bytes could be reserved now; takes nothing."""
        with self._lock:
            return self.used_bytes + size <= self.limit_bytes

    def take(self, size: int) -> None:
        """Take `size` bytes, beyond the limit too; nobody can reserve more until they are back."""
        with self._lock:
            self.used_bytes += size

    def release(self, size: int) -> None:
        """Give `size` bytes back."""
        with self._lock:
            self.used_bytes -= size


class SpooledBody:
    """Hold one request body: in memory while it is small, then in an unnamed temporary file.

    It has the methods that waitress' receivers ask of a buffer. The file has no name (O_TMPFILE),
    so nothing is left behind even when the process is killed. cap_bytes: how long it may become,
    which is its length where that was declared.
    """

    def __init__(self, budget: Budget, directory: Path | None, *, cap_bytes: int) -> None:
        self._budget = budget
        self._cap_bytes = cap_bytes
        self._reserved_bytes = 0
        self._size = 0
        self._closed = False
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed by close()
            max_size=MEMORY_BYTES, dir=None if directory is None else str(directory)
        )

    def __len__(self) -> int:
        return self._size

    def append(self, data: bytes) -> None:
        """Write `data` at the end; raise BodyTooLarge, SpoolFull, or OSError (disk full).

        After close() it does nothing: the client left while its bytes were being taken in.
        """
        if self._closed:
            return
        size = self._size + len(data)
        if size > self._cap_bytes:
            raise BodyTooLarge
        self._reserve_up_to(size)
        self._file.write(data)
        # Now, while the client can still be told: a full disk would else be met by the reader.
        self._file.flush()
        self._size = size

    def reserve_whole(self) -> None:
        """Reserve as much as the body may become; raise SpoolFull when there is no such room."""
        self._reserve(self._cap_bytes)

    def release_ahead(self) -> None:
        """Give back what is reserved for bytes that have not come."""
        ahead = self._reserved_bytes - self._size
        if ahead > STEP_BYTES:
            self._reserved_bytes -= ahead
            self._budget.release(ahead)

    def getfile(self) -> IO[bytes]:
        """Return the body as a file, at its beginning."""
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Delete the bytes and give the reservation back; a second call does nothing."""
        self._closed = True
        # On a full disk closing tries once more to write what did not fit, and closes all the same.
        with suppress(OSError):
            self._file.close()
        reserved_bytes, self._reserved_bytes = self._reserved_bytes, 0
        self._budget.release(reserved_bytes)

    def _reserve_up_to(self, size: int) -> None:
        if size > max(MEMORY_BYTES, self._reserved_bytes):
            self._reserve(min(max(size, self._reserved_bytes + STEP_BYTES), self._cap_bytes))

    def _reserve(self, size: int) -> None:
        missing = size - self._reserved_bytes
        if missing > 0 and not self._budget.reserve(missing):
            raise SpoolFull
        self._reserved_bytes = max(size, self._reserved_bytes)
