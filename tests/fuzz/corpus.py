"""The files of a folder, and what in it is no file to post."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from quoting import shown


class NoCorpus(Exception):
    """There is nothing to post; the message is a sentence for whoever asked."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """files: what is posted, in order of their names. passed_over: what is not, and why."""

    files: tuple[Path, ...]
    passed_over: tuple[tuple[Path, str], ...]


def read_corpus(folder: Path) -> Corpus:
    """Return the regular files in a folder and below it. Raises NoCorpus when there are none.

    Links are not followed: what they name within the folder is posted anyway, and what lies outside
    was not asked for.
    """
    if not folder.exists():
        raise NoCorpus(f"There is no {shown(folder)}.")
    if not folder.is_dir():
        raise NoCorpus(f"{shown(folder)} is not a folder.")
    files, passed_over = [], []
    for path, why in _walk(folder):
        why = why or _obstacle(path)
        if why:
            passed_over.append((path, why))
        else:
            files.append(path)
    if not files:
        said = "".join(f"\n  {shown(path)}: {why}" for path, why in passed_over[:20])
        raise NoCorpus(f"{shown(folder)} has no file to post.{said}")
    return Corpus(tuple(files), tuple(passed_over))


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield every path, with why it is not opened when the walk itself found out."""
    shut: list[tuple[Path, str]] = []

    def refused(error: OSError) -> None:
        shut.append((Path(error.filename), f"cannot be opened: {error.strerror}"))

    for parent, folders, names in os.walk(folder, onerror=refused):
        folders.sort()
        for name in sorted(
            (*names, *(each for each in folders if Path(parent, each).is_symlink()))
        ):
            yield Path(parent, name), ""
    yield from shut


def _obstacle(path: Path) -> str:
    """Return why a path cannot be posted, "" when it can."""
    if path.is_symlink():
        return "a link"
    if not path.is_file():
        return "no regular file"  # opening a pipe would wait for ever
    try:
        path.open("rb").close()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ""
