"""Where each process counts for /metrics: in files, so that what it counted outlives it."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from openrembg.server.listening import ServeError

# prometheus_client names a process's files so (multiprocess mode).
KINDS: Final = ("counter", "histogram")
# Some 5000 numbers; routes, statuses and stages need a quarter of it.
FILE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Counts:
    """One server's folder, and the descriptor of its lock: as long as anybody has that, it lives.

    A folder of its own, since an address has two servers when one ends while the next one starts,
    and in two containers.
    """

    folder: Path
    lock: int


@contextmanager
def counts_of(data_dir: Path, address: str, processes: int) -> Iterator[Counts]:
    """Make a folder for a server that listens on `address`, and delete it in the end.

    What killed servers left is deleted now. Raises ServeError.
    """
    root = data_dir / "counts"
    with ExitStack() as stack:
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sweep(root)
            counts = stack.enter_context(_new(root, address))
            for index in range(processes):
                _make_files(counts.folder, index)
        except OSError as error:
            raise ServeError(f"Cannot use {root} for metrics: {error.strerror}.") from error
        yield counts


def can_count(folder: Path, index: int) -> bool:
    """Return whether the process in this place can count there; what was deleted is made anew."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_files(folder, index)
    except OSError:
        return False
    return True


def _make_files(folder: Path, index: int) -> None:
    """Write the files whole: they are mapped into memory, where a full disk would end a process."""
    for kind in KINDS:
        file = folder / f"{kind}_{index}.db"
        if not file.exists() or file.stat().st_size < FILE_BYTES:
            file.write_bytes(bytes(FILE_BYTES))


@contextmanager
def _new(root: Path, address: str) -> Iterator[Counts]:
    folder = root / f"{address}-{secrets.token_hex(4)}"
    unseen = root / f".{folder.name}"
    with _opened(unseen) as lock:
        # It gets its name when it is taken, so that no other server's sweep can take it.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unseen.rename(_lock_of(folder))
        try:
            folder.mkdir(mode=0o700)
            yield Counts(folder, lock)
        finally:
            _delete(folder)


def _sweep(root: Path) -> None:
    names = {path.name.removesuffix(".lock") for path in root.iterdir()}
    for folder in (root / name for name in names if not name.startswith(".")):
        with suppress(OSError), _opened(_lock_of(folder)) as lock:
            # BlockingIOError, which is an OSError: it is in use.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _delete(folder)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _delete(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        _lock_of(folder).unlink()
