"""Where a Ray that this host has for itself keeps its sockets and logs, as long as it runs.

Nobody else may look into it. Those whose bridge was killed are removed by the next one.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

# Ray's sockets are 65 bytes deeper, and the path of one may have 107.
MOST_BYTES: Final = 42
_LOCK: Final = "openrembg.lock"


class SessionFolder:
    """A new folder that is this process's own. Raises OSError when it cannot be made.

    path: of the one that Ray makes in it.
    """

    def __init__(self, parent: Path | None = None) -> None:
        parent = parent or _short_parent()
        beginning = f"openrembg-{os.getuid()}-"
        _remove_left(parent, beginning)
        self._folder = Path(tempfile.mkdtemp(prefix=beginning, dir=parent))
        # Ray lets everybody write into the one that it is given.
        self.path = self._folder / "r"
        self._lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._lock)


def _short_parent() -> Path:
    """Return the folder for temporary files, or /tmp where that has too long a name for sockets."""
    name = len(f"/openrembg-{os.getuid()}-12345678/r")
    usual = tempfile.gettempdir()
    return Path(usual if len(os.fsencode(usual)) + name <= MOST_BYTES else "/tmp")  # noqa: S108


def _remove_left(parent: Path, beginning: str) -> None:
    """Remove the folders that no process holds any more; the kernel lets go of a lock."""
    for folder in parent.glob(f"{beginning}*"):
        with suppress(OSError):  # another one's, or one that is just being made or removed
            if folder.lstat().st_uid != os.getuid() or folder.is_symlink():
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
