"""Where results go: a name for each input that harms nothing, and a write that is whole or not."""

import errno
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openrembg.cli.inputs import Input
from openrembg.cli.terminal import shown
from openrembg.matting.options import Format
from openrembg.whole_file import named, whole_file

EXTENSIONS: dict[Format, str] = {"webp": "webp", "png": "png", "jpeg": "jpg", "bmp": "bmp"}


@dataclass(frozen=True, slots=True)
class Job:
    """One photo and the file that its result becomes."""

    source: Path
    target: Path


def plan(
    inputs: Sequence[Input], output: Path | None, kind: Format, *, mask: bool = False
) -> tuple[Job, ...]:
    """Return a job for each input; no two share a target and no target is anybody's source.

    output: the folder for results, in which the inputs' sub-folders are mirrored; None puts each
    result beside its source as `<stem>.cutout.<ext>` (`<stem>.mask.<ext>` for a mask). Photos
    that differ only in their extension keep it: `a.jpg.cutout.webp`, `a.png.cutout.webp`.
    """
    mark = ".mask" if mask else ".cutout"
    sources = {identity(item.path) for item in inputs}
    wanted = [_target(item, item.path.stem, output, mark, kind) for item in inputs]
    claims = Counter(map(_key, wanted))
    taken: set[str] = set()
    jobs = []
    for item, target in zip(inputs, wanted, strict=True):
        if claims[_key(target)] > 1:
            target = _target(item, item.path.name, output, mark, kind)
        free = _free(target, taken, sources)
        taken.add(_key(free))
        jobs.append(Job(item.path, free))
    return tuple(jobs)


def is_source(target: Path, sources: Sequence[Path]) -> bool:
    """Say whether a file is one of the sources, also under another name or through a link."""
    return target.exists() and identity(target) in {identity(source) for source in sources}


def write(target: Path, data: bytes, *, overwrite: bool) -> bool:
    """Write a whole file or nothing, and return False when the name is taken.

    Folders are made. An existing file is replaced only with `overwrite`. Raises OSError.
    """
    make_folder(target.parent)
    try:
        with whole_file(target, overwrite=overwrite) as file:
            file.write(data)
    except FileExistsError:
        return False
    except OSError as error:
        raise named(error, target) from None
    return True


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; raise OSError when one of them is a file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        # Not the error that a taken target would be.
        message = f"{shown(folder)} is a file, and no folder"
        raise NotADirectoryError(errno.ENOTDIR, message) from error


def identity(path: Path) -> tuple[int, int] | str:
    """Return what two names of one file have in common: device and inode, else the real path."""
    try:
        status = path.stat()
    except OSError:
        return os.path.realpath(path)
    return (status.st_dev, status.st_ino)


def is_special(path: Path) -> bool:
    """Say whether a name is taken by a device or the like, which a rename would destroy."""
    return path.exists() and not path.is_file()


def taken_message(target: Path) -> str:
    """Return the sentence for a target that exists."""
    return f"{shown(target)} is there already (--overwrite replaces it)."


def _target(item: Input, stem: str, output: Path | None, mark: str, kind: Format) -> Path:
    beside = output is None or os.path.realpath(output / item.folder) == os.path.realpath(
        item.path.parent
    )
    folder = item.path.parent if output is None else output / item.folder
    return folder / f"{stem}{mark if beside else ''}.{EXTENSIONS[kind]}"


def _free(target: Path, taken: set[str], sources: set[tuple[int, int] | str]) -> Path:
    """Return the target, numbered where another job or a source has its name."""
    candidate, number = target, 2
    while _key(candidate) in taken or identity(candidate) in sources:
        candidate = target.with_name(f"{target.stem}-{number}{target.suffix}")
        number += 1
    return candidate


def _key(path: Path) -> str:
    """Return what must differ between two targets, also where the file system ignores case."""
    return os.path.realpath(path.parent).casefold() + os.sep + path.name.casefold()
