"""Which photos a command line means: files, folders and patterns become a list of inputs."""

import glob
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
MARKS: Final = (".cutout", ".mask")


@dataclass(frozen=True, slots=True)
class Input:
    """One photo. `folder` is where it lies below the folder that was named, `.` for a file."""

    path: Path
    folder: Path = Path()


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that could not be done, and why, in one sentence without a full stop."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """What the arguments mean. `left_out` counts earlier results among the named files."""

    inputs: tuple[Input, ...]
    failures: tuple[Failure, ...]
    left_out: int = 0


def find_inputs(
    arguments: Sequence[str], *, recursive: bool = True, leave_out: Path | None = None
) -> Found:
    """Return the photos that `arguments` name, each once, in a fixed order.

    A name that exists is taken as it is, also when it looks like a pattern. Folders and patterns
    give files with a photo's extension, without hidden ones, without earlier results
    (`*.cutout.*`, `*.mask.*`) and without the folder `leave_out`. A named earlier result counts
    only when it is the single argument, so that `remove *.webp` can be run twice.
    """
    found = [item for argument in arguments for item in _expand(argument, recursive, leave_out)]
    failures = tuple(item for item in found if isinstance(item, Failure))
    inputs = _once([item for item in found if isinstance(item, Input)])
    if len(arguments) == 1:
        return Found(inputs, failures)
    fresh = tuple(item for item in inputs if not is_result(item.path))
    return Found(fresh, failures, len(inputs) - len(fresh))


def is_result(path: Path) -> bool:
    """Say whether a file has the name of a result that lies beside its source."""
    return path.stem.endswith(MARKS)


def names_one_file(argument: str) -> bool:
    """Say whether an argument can only mean one file: no folder and no pattern."""
    path = Path(argument)
    return not path.is_dir() and (os.path.lexists(path) or not glob.has_magic(argument))


def _expand(argument: str, recursive: bool, leave_out: Path | None) -> Iterator[Input | Failure]:
    path = Path(argument)
    if path.is_dir():
        return _walk(path, recursive, leave_out)
    if os.path.lexists(path):
        return iter((Input(path),))
    if glob.has_magic(argument):
        return _match(argument, leave_out)
    return iter((Failure(argument, "There is no such file"),))


def _walk(top: Path, recursive: bool, leave_out: Path | None) -> Iterator[Input | Failure]:
    unreadable: list[OSError] = []
    for folder, children, names in os.walk(top, onerror=unreadable.append):
        children[:] = sorted(
            child
            for child in children
            if recursive and not child.startswith(".") and not _same(Path(folder, child), leave_out)
        )
        below = Path(folder).relative_to(top)
        for name in sorted(names):
            if _is_photo(Path(folder, name)):
                yield Input(Path(folder, name), below)
    for error in unreadable:
        yield Failure(str(error.filename), error.strerror or "It cannot be read")


def _match(pattern: str, leave_out: Path | None) -> Iterator[Input | Failure]:
    # Path.glob knows neither absolute patterns nor hidden files as a shell does.
    paths = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    if leave_out is not None and not _is_within(_fixed_part(pattern), leave_out):
        paths = [path for path in paths if not _is_within(path.parent, leave_out)]
    photos = [path for path in paths if _is_photo(path)]
    if not photos:
        yield Failure(pattern, "No photo matches this pattern")
    for path in photos:
        yield Input(path)


def _is_photo(path: Path) -> bool:
    return (
        path.suffix.lower() in SUFFIXES
        and not path.name.startswith(".")
        and not is_result(path)
        and path.is_file()
    )


def _same(folder: Path, other: Path | None) -> bool:
    return other is not None and os.path.realpath(folder) == os.path.realpath(other)


def _is_within(folder: Path, other: Path) -> bool:
    return Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(other))


def _fixed_part(pattern: str) -> Path:
    """Return the folders of a pattern that come before its first wildcard."""
    parts = Path(pattern).parts
    fixed = itertools.takewhile(lambda part: not glob.has_magic(part), parts)
    return Path(*fixed)


def _once(inputs: list[Input]) -> tuple[Input, ...]:
    """Drop every further mention of a file, however it is spelt."""
    unique: dict[str, Input] = {}
    for item in inputs:
        unique.setdefault(os.path.realpath(item.path), item)
    return tuple(unique.values())
