"""Many photos: worker threads, a progress bar, and a report of what failed and why."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TimeRemainingColumn,
)
from rich.progress import Task as Row
from rich.table import Column
from rich.text import Text

from openrembg.cli.inputs import Failure
from openrembg.cli.outputs import Job
from openrembg.cli.task import Task
from openrembg.cli.terminal import shown

PIXELS_AT_ONCE: Final = 200_000_000
RATE_OVER_S: Final = 120.0
# Columns of a terminal from which on there is room for the rate and the time.
WITH_RATE: Final = 60
WITH_TIME: Final = 45
LEAST_BAR: Final = 4
_COUNT_CELLS: Final = len(" 9999/9999")
_RATE_CELLS: Final = len(" 99.9 photos/s")
_TIME_CELLS: Final = len(" 0:00:00 in all")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job. `note` says why it failed, or what is worth knowing.

    credits: what a server took for it; None where nobody pays. ends_run: whether it failed for what
    ended the run, though its note has words of its own.
    """

    job: Job
    state: Literal["done", "skipped", "failed", "unsent"]
    note: str = ""
    credits: int | None = None
    ends_run: bool = False

    @property
    def failure(self) -> Failure:
        """The outcome as an entry of the final report."""
        return Failure(str(self.job.source), self.note)


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run ends early, without a full stop. lasting: trying again would not help."""

    reason: str
    lasting: bool


@dataclass(frozen=True, slots=True)
class Processed:
    """What became of all jobs, and what ended the run before its end, if something did."""

    outcomes: list[Outcome]
    stop: Stop | None = None

    @property
    def unsent(self) -> list[Outcome]:
        """The jobs that were not begun."""
        return [item for item in self.outcomes if item.state == "unsent"]

    @property
    def stopped(self) -> list[Outcome]:
        """The jobs that failed for the very reason that ended the run."""
        if self.stop is None:
            return []
        failed = [item for item in self.outcomes if item.state == "failed"]
        return [item for item in failed if item.ends_run or item.note == self.stop.reason]


Work = Callable[[Job], Outcome]
# What cuts out many photos, here or on a server, and says what ended that early. The list gets
# every outcome as it comes about, so that it is known also when Ctrl-C ends the run.
Process = Callable[[Task, tuple[Job, ...], list[Outcome]], Stop | None]


class PixelGate:
    """Lets pictures in until their pixels reach a limit; a larger one goes in alone."""

    def __init__(self, limit: int = PIXELS_AT_ONCE) -> None:
        self._limit = limit
        self._inside = 0
        self._changed = threading.Condition()

    @contextmanager
    def admit(self, pixels: int) -> Iterator[None]:
        """Wait until `pixels` fit, and hold them meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._inside or self._inside + pixels <= self._limit)
            self._inside += pixels
        try:
            yield
        finally:
            with self._changed:
                self._inside -= pixels
                self._changed.notify_all()


def run(jobs: Sequence[Job], work: Work, *, threads: int) -> Generator[Outcome]:
    """Yield an outcome for each job as it is ready, in any order.

    When the caller stops listening, by Ctrl-C too, jobs that have not begun are dropped and
    those that have are waited for, so that none is cut off in the middle.
    """
    waiting = iter(jobs)
    with ThreadPoolExecutor(threads, "openrembg-remove") as pool:
        running = {pool.submit(work, job) for job in islice(waiting, 2 * threads)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(work, job) for job in islice(waiting, len(done))}
                yield from map(Future.result, done)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def with_progress(outcomes: Iterator[Outcome], total: int, console: Console) -> Iterator[Outcome]:
    """Pass outcomes on and show how many there are, the rate and the time left."""
    with overall_bar(console) as bar:
        task = begin(bar, total)
        for outcome in outcomes:
            if outcome.state == "failed":
                bar.console.print(failure_line(outcome.failure))
            bar.advance(task)
            yield outcome


def failure_line(failure: Failure) -> str:
    """Return one printable line for something that failed."""
    return f"failed: {shown(failure.name)}: {failure.reason}"


def begin(bar: Progress, total: int) -> TaskID:
    """Begin to count photos; the rate counts the time until the first one too."""
    row = bar.add_task("", total=total)
    bar.advance(row, 0)
    return row


class _RateColumn(ProgressColumn):
    """Photos per second, measured over the last ones."""

    def render(self, task: Row) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} photos/s" if speed else "")


class _LeftColumn(ProgressColumn):
    """What the time before it means."""

    def render(self, task: Row) -> Text:
        return Text("in all" if task.finished else "left")


def overall_bar(console: Console) -> Progress:
    """Return a bar for all photos: how many are done, and where there is room the rate and time."""
    width = console.width
    # What the columns beside the bar take of the line.
    rest = _COUNT_CELLS
    more: list[ProgressColumn] = []
    if width >= WITH_RATE:
        more.append(_RateColumn(unfolded()))
        rest += _RATE_CELLS
    if width >= WITH_TIME:
        time = TimeRemainingColumn(elapsed_when_finished=True, table_column=unfolded())
        more += [time, _LeftColumn(unfolded())]
        rest += _TIME_CELLS
    return Progress(
        BarColumn(max(LEAST_BAR, min(40, width - rest))),
        MofNCompleteColumn(table_column=unfolded()),
        *more,
        console=console,
        speed_estimate_period=RATE_OVER_S,
    )


def unfolded() -> Column:
    """Return a column that a narrow terminal cuts and does not fold."""
    return Column(no_wrap=True)
