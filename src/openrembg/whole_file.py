"""Write a file whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(target: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Yield a hidden draft beside `target`; at the end it reaches the disk and gets the name.

    The name is given in one step. When the block raises, Ctrl-C too, the draft is removed and what
    was there stays as it was.

    Raises FileExistsError when the name is taken and may not be overwritten, before the block if
    that is known, else after it; OSError for whatever the file system does not do, and for a name
    that belongs to a folder or a device. Both name the target and not the draft.
    """
    _check(target, overwrite=overwrite)
    draft = target.with_name(f".openrembg-{secrets.token_hex(8)}.part")
    try:
        with _named_after(target):
            file = draft.open("xb")
        with file:
            yield file
            with _named_after(target):
                file.flush()
                os.fsync(file.fileno())
        with _named_after(target):
            _give_name(draft, target, overwrite=overwrite)
    finally:
        draft.unlink(missing_ok=True)


def named(error: OSError, target: Path) -> OSError:
    """Return the same error, with the name of what was to be written if it is the system's."""
    if error.errno is None:
        return error
    return OSError(error.errno, error.strerror or os.strerror(error.errno), str(target))


@contextmanager
def _named_after(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise named(error, target) from None


def _check(target: Path, *, overwrite: bool) -> None:
    """Raise now what would else be raised when the work has been done."""
    if "\0" in str(target):
        raise OSError(errno.EINVAL, "The name has a NUL character in it")
    try:
        target.lstat()
    except FileNotFoundError:
        return
    if not overwrite:
        raise _taken(target)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "It is not a regular file", str(target))


def _give_name(draft: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        draft.replace(target)
        return
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        raise _taken(target) from None
    except OSError:
        # A file system without hard links: the check and the rename are two steps there.
        if os.path.lexists(target):
            raise _taken(target) from None
        draft.replace(target)


def _taken(target: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
