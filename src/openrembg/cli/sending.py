"""Photos that a server cuts out: so many at once, what is waited for, and what ends a run early."""

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

from openrembg.cli import ending, reading
from openrembg.cli.batch import Outcome, Stop
from openrembg.cli.outputs import Job, make_folder
from openrembg.cli.patience import Patience
from openrembg.cli.task import Remote, Task
from openrembg.cli.terminal import USAGE, shown, stderr, stop
from openrembg.cli.transfers import Transfer, Transfers
from openrembg.client import (
    AsyncClient,
    BothCredentials,
    Busy,
    ConnectionFailed,
    Cutout,
    DailyLimit,
    EmailNotVerified,
    InputError,
    Internal,
    InvalidKey,
    InvalidToken,
    MethodNotAllowed,
    MonthlyLimit,
    NotFound,
    NotSaved,
    RembgError,
    SavedCutout,
    ServerFailed,
    SpoolFull,
    TooFast,
    UnexpectedAnswer,
)
from openrembg.client.spool import MAX_BYTES

JOBS: Final = 4
# So many photos in a row that a server did not take: it is away, and not the photos are the cause.
LOST_IN_A_ROW: Final = 3
NOBODY: Final = "anonymous"

_COME_LATER: Final = (TooFast, Busy, SpoolFull)
_LASTING: Final = (
    BothCredentials,
    DailyLimit,
    EmailNotVerified,
    InvalidKey,
    InvalidToken,
    MethodNotAllowed,
    MonthlyLimit,
    NotFound,
)
# What no other result can be written for either, EFBIG by the shell's `ulimit -f`.
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)


def send_photos(task: Task, jobs: tuple[Job, ...], outcomes: list[Outcome]) -> Stop | None:
    """Let the server cut out photos, several at once, and write each result whole or not at all.

    Ctrl-C and SIGTERM end what runs at once; `outcomes` has what became of photos until then.
    """
    pipes = _read_pipes(jobs)
    console = stderr()
    visible = console.is_terminal and not task.quiet
    with Transfers(len(jobs), console, visible=visible) as transfers:
        return ending.run(lambda: _send_all(task, jobs, pipes, transfers, outcomes))


def send_one(task: Task, photo: Path | bytes, name: str) -> Cutout:
    """Let the server cut out one photo and return the result. Raises RembgError."""
    console = stderr()
    with Transfers(1, console, visible=console.is_terminal and not task.quiet) as transfers:
        return ending.run(lambda: _send_one(task, photo, name, transfers))


def read_pipe(path: Path) -> Path | bytes:
    """Return what a pipe or device holds, because it cannot be sent twice; a file as it is.

    It is read here and not by the client, because Ctrl-C can end the waiting here. Raises OSError.
    """
    is_pipe = path.exists() and not path.is_file() and not path.is_dir()
    return reading.read(path, MAX_BYTES) if is_pipe else path


def reason(error: Exception, target: Path | None = None) -> str:
    """Return why a photo failed, without a full stop. target: where its result was to go."""
    if isinstance(error, NotSaved) and isinstance(error.__cause__, OSError):
        return reading.unwritable(error.path, error.__cause__)
    if isinstance(error, RembgError):
        return shown(str(error)).rstrip(".")
    return reading.reason(error, target)


async def _send_one(task: Task, photo: Path | bytes, name: str, transfers: Transfers) -> Cutout:
    async with _client(task.remote) as client:
        with transfers.photo(name) as line:
            return await client.remove_background(
                photo, task.options, on_upload=line.goes_up, on_download=line.comes_down
            )


async def _send_all(
    task: Task,
    jobs: tuple[Job, ...],
    pipes: dict[Path, bytes | Outcome],
    transfers: Transfers,
    outcomes: list[Outcome],
) -> Stop | None:
    async with _client(task.remote) as client:
        sending = _Sending(task, client, pipes, transfers, outcomes)
        waiting = iter(jobs)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(task.jobs or JOBS, len(jobs))):
                group.create_task(sending.take(waiting))
    return sending.stop


def _client(remote: Remote | None) -> AsyncClient:
    """Return a client, or say what is wrong with the address or the key and leave with 2."""
    assert remote is not None  # noqa: S101 (callers ask first)
    try:
        return AsyncClient(remote.api_key, base_url=remote.url, timeout_s=remote.timeout_s)
    except InputError as error:
        stop(shown(str(error)), USAGE)


def _read_pipes(jobs: tuple[Job, ...]) -> dict[Path, bytes | Outcome]:
    pipes: dict[Path, bytes | Outcome] = {}
    for job in jobs:
        try:
            photo = read_pipe(job.source)
        except OSError as error:
            pipes[job.source] = Outcome(job, "failed", reason(error))
            continue
        if isinstance(photo, bytes):
            pipes[job.source] = photo
    return pipes


class _Sending:
    """One run: what it has made, how patient it is, and whether it has to end."""

    def __init__(
        self,
        task: Task,
        client: AsyncClient,
        pipes: dict[Path, bytes | Outcome],
        transfers: Transfers,
        outcomes: list[Outcome],
    ) -> None:
        assert task.remote is not None  # noqa: S101 (callers ask first)
        self.stop: Stop | None = None
        self._task = task
        self._client = client
        self._pipes = pipes
        self._transfers = transfers
        self._outcomes = outcomes
        self._has_key = bool(task.remote.api_key)
        self._patience = Patience(task.remote.timeout_s)
        self._any_done = False
        self._lost = 0

    async def take(self, waiting: Iterator[Job]) -> None:
        """Send one waiting photo after another until there is none."""
        for job in waiting:
            outcome = await self._outcome(job)
            self._outcomes.append(outcome)
            self._transfers.done(outcome)

    async def _outcome(self, job: Job) -> Outcome:
        if self.stop:
            return Outcome(job, "unsent")
        if not self._task.overwrite and os.path.lexists(job.target):
            return Outcome(job, "skipped")
        photo = self._pipes.get(job.source, job.source)
        if isinstance(photo, Outcome):
            return photo
        try:
            make_folder(job.target.parent)
            with self._transfers.photo(job.source.name) as line:
                saved = await self._saved(photo, job.target, line)
        except FileExistsError:
            return Outcome(job, "skipped")
        except Exception as error:  # a bad photo must not end the run of a thousand
            self.stop = self.stop or self._stop_for(error)
            full = _no_room(error) is not None
            return Outcome(
                job, "failed", reason(error, job.target), _lost_credits(error), ends_run=full
            )
        self._any_done, self._lost = True, 0
        self._patience.renew()
        note = "No subject was found" if saved.foreground_detected is False else ""
        return Outcome(job, "done", note, _credits(saved))

    async def _saved(self, photo: Path | bytes, target: Path, line: Transfer) -> SavedCutout:
        """Send a photo, later when the server says so, under one key: it is paid once."""
        key = str(uuid4()) if self._has_key else None
        since_s = self._patience.now()
        while True:
            await self._patience.pause(line.waits)
            try:
                return await self._client.save_cutout(
                    photo,
                    target,
                    self._task.options,
                    overwrite=self._task.overwrite,
                    on_upload=line.goes_up,
                    on_download=line.comes_down,
                    idempotency_key=key,
                )
            except _COME_LATER as error:
                if not self._patience.postpone(error.retry_after_s, since_s):
                    raise

    def _stop_for(self, error: Exception) -> Stop | None:
        """Return why the whole run ends with this error, None when others may still go well."""
        self._lost = self._lost + 1 if _is_lost(error) else 0
        if (full := _no_room(error)) is not None:
            return Stop(f"No result can be written: {reading.reason(full)}", lasting=True)
        if isinstance(error, _LASTING) or (
            isinstance(error, UnexpectedAnswer) and not self._any_done
        ):
            return Stop(reason(error), lasting=True)
        unreached = isinstance(error, ConnectionFailed) and not error.reached
        if isinstance(error, _COME_LATER) or self._lost >= LOST_IN_A_ROW or unreached:
            return Stop(reason(error), lasting=False)
        return None


def _is_lost(error: Exception) -> bool:
    """Say whether the server, and not the photo, seems to be the cause."""
    away = isinstance(error, ConnectionFailed | ServerFailed)
    return away and not isinstance(error, Internal)


def _credits(saved: SavedCutout) -> int | None:
    """Return what a cut-out cost, None where nobody pays or the server does not say."""
    if saved.credits_source == NOBODY:
        return None
    # The key is this run's own: what is replayed was charged when its answer was lost on the way.
    return int(bool(saved.foreground_detected)) if saved.replayed else saved.credits_charged


def _lost_credits(error: Exception) -> int | None:
    """Return what a cut-out cost that came and could not be saved."""
    if not isinstance(error, NotSaved) or error.idempotency_key is None:
        return None
    return error.credits_charged


def _no_room(error: Exception) -> OSError | None:
    """Return the error of a disk that takes no result at all, None for any other."""
    cause = error.__cause__ if isinstance(error, NotSaved) else error
    return cause if isinstance(cause, OSError) and cause.errno in _NO_ROOM else None
