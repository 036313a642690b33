"""`openrembg admin backup`: a copy of the SQLite database while servers write to it.

Whatever ends it, the older copy stays until the new one is whole and on the disk.
"""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from openrembg.cli.admin_database import as_it_is, opened
from openrembg.cli.admin_ledger import report_mismatches
from openrembg.cli.ending import tidy_end
from openrembg.cli.terminal import INTERRUPTED, TERMINATED, USAGE, Terminated, say, shown, stop

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="Where the copy goes; an older one is replaced.")
]
# What every SQLite database begins with.
_MAGIC: Final = b"SQLite format 3\0"
# What SQLite keeps beside a database in use.
_BESIDE: Final = ("-wal", "-shm", "-journal")
# Between so many pages at a time, a signal is heard.
_PAGES: Final = 4096


def backup(file: File) -> None:
    """Copy the SQLite database, as it is at one moment, and compare the copy with its ledger."""
    with opened(as_it_is):
        from django.db import connection

        if connection.vendor != "sqlite":
            stop("The database is PostgreSQL, which pg_dump copies; see docs/operations.md.")
        source = Path(str(connection.settings_dict["NAME"]))
        try:
            # Unlike Path.resolve, this lets a link to itself be, which is refused then.
            place, source = Path(os.path.realpath(file)), source.resolve()
            _refuse_what_is_no_copy(place, source)
            _remove_leftovers(place)
            with _part(place) as fresh:
                _copy(source, fresh)
                _keep_accounts(fresh, place, source)
                number, wrong = _compared(fresh)
                _put_in_place(fresh, place)
        except (OSError, sqlite3.Error) as error:
            _cannot(file, error)
    if number is None:
        stop(
            f"{shown(file)} is what the database has, but has not the tables of this release: "
            "let `verify-ledger` of the release that wrote them compare it."
        )
    if wrong:
        stop(
            f"{shown(file)} is what the database has, but {wrong} of {number} accounts do not "
            "match their ledger."
        )
    say(f"{number} accounts match their ledger in {shown(file)}.")


def _refuse_what_is_no_copy(place: Path, source: Path) -> None:
    """Leave with a sentence unless nothing stands at a place, or a database nobody uses."""
    beside = {source.with_name(source.name + end) for end in _BESIDE}
    if place in {source, *beside} or place.is_symlink():
        stop(f"{shown(place)} cannot be the copy's name.", USAGE)
    if not place.exists():
        return
    if not place.is_file() or place.samefile(source):
        stop(f"{shown(place)} cannot be the copy's name.", USAGE)
    with place.open("rb") as older:
        if older.read(len(_MAGIC)) != _MAGIC:
            stop(f"{shown(place)} is no older copy, and stays as it is.", USAGE)
    if any(place.with_name(place.name + end).exists() for end in _BESIDE):
        stop(f"{shown(place)} is a database in use, and stays as it is.", USAGE)


@contextmanager
def _part(place: Path) -> Iterator[Path]:
    """Yield the name of a copy that is being made; in the end nothing of that name is left.

    One SIGTERM or Ctrl-C ends the block too, and then the program.
    """
    fresh = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        with tidy_end():
            try:
                yield fresh
            finally:
                _remove(fresh)
    except KeyboardInterrupt as signal:
        code = TERMINATED if isinstance(signal, Terminated) else INTERRUPTED
        raise typer.Exit(code) from None


def _remove_leftovers(place: Path) -> None:
    """Delete what runs left that were killed: those whose process is gone, or is this one."""
    name = re.compile(re.escape(f".{place.name}.") + r"(\d{1,9})\.part(-[a-z]+)?")
    for path in place.parent.iterdir():
        run = name.fullmatch(path.name)
        if run and (int(run[1]) == os.getpid() or not _lives(int(run[1]))):
            path.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _copy(source: Path, fresh: Path) -> None:
    """Copy one moment, which keeps no writer waiting (the file has a write-ahead log)."""
    fresh.touch(0o600, exist_ok=False)
    with closing(_connected(source, "rw")) as from_, closing(_connected(fresh, "rw")) as to:
        # A transaction: else the copy would begin anew whenever somebody has written.
        from_.execute("BEGIN")
        from_.execute("SELECT count(*) FROM sqlite_master").fetchone()
        from_.backup(to, pages=_PAGES, progress=lambda *_: None)
        (said,) = to.execute("PRAGMA integrity_check(1)").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(said)


def _keep_accounts(fresh: Path, place: Path, source: Path) -> None:
    """Leave with a sentence rather than replace a copy that has accounts by one without."""
    with closing(_connected(fresh, "rw")) as copy:
        if _accounts(copy) or not place.exists():
            return
    number = 0
    with suppress(sqlite3.Error), closing(_connected(place, "ro&immutable=1")) as older:
        number = _accounts(older)
    if number:
        stop(
            f"{shown(place)} has {number} accounts, and {shown(source)} has none: the copy stays "
            "as it is. Is OPENREMBG_DATA_DIR right?"
        )


def _accounts(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT count(*) FROM accounts_user").fetchone()[0])


def _compared(fresh: Path) -> tuple[int | None, int]:
    """Return how many accounts a copy has, and how many do not match; None: it has other tables."""
    from django.db import Error, connection

    connection.close()
    connection.settings_dict["NAME"] = str(fresh)
    try:
        return report_mismatches()
    except Error:
        return None, 0
    finally:
        connection.close()


def _connected(file: Path, mode: str) -> sqlite3.Connection:
    """Open a database that is there: SQLite would make one."""
    return sqlite3.connect(f"{file.as_uri()}?mode={mode}", uri=True, isolation_level=None)


def _put_in_place(fresh: Path, file: Path) -> None:
    """Give the copy its name once it is on the disk, so that no crash leaves half of one."""
    _sync(fresh)
    fresh.replace(file)
    _sync(file.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(fresh: Path) -> None:
    for path in (fresh, *(fresh.with_name(fresh.name + end) for end in _BESIDE)):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _cannot(file: Path, error: Exception) -> NoReturn:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    stop(f"The copy {shown(file)} cannot be made: {why}.")
