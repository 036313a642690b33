"""Which files of a watched folder are new and fully written."""

from collections.abc import Iterable
from pathlib import Path

Signature = tuple[int, int, int]


class Watch:
    """Remembers every file's size and time from one look to the next.

    A file is ready when two looks in a row see the same non-empty file, and it was not ready in
    that state before. A file that changes later, after it failed half-written too, gets ready
    again.
    """

    def __init__(self) -> None:
        self._seen: dict[Path, Signature] = {}
        self._handled: dict[Path, Signature] = {}

    def ready(self, paths: Iterable[Path]) -> frozenset[Path]:
        """Take a look at `paths` and return those that have become ready."""
        now = {path: signature for path in paths if (signature := _signature(path)) is not None}
        ready = frozenset(
            path
            for path, signature in now.items()
            if self._seen.get(path) == signature and self._handled.get(path) != signature
        )
        self._seen = now
        self._handled = {path: state for path, state in self._handled.items() if path in now}
        self._handled |= {path: now[path] for path in ready}
        return ready

    def forget(self, paths: Iterable[Path]) -> None:
        """Let `paths` get ready again at the next look, as if they never had been."""
        for path in paths:
            self._handled.pop(path, None)


def _signature(path: Path) -> Signature | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns) if status.st_size else None
