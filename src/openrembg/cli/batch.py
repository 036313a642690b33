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
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from openrembg.cli.inputs import Failure
from openrembg.cli.outputs import Job
from openrembg.cli.terminal import shown

PIXELS_AT_ONCE: Final = 200_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job. `note` says why it failed, or what is worth knowing."""

    job: Job
    state: Literal["done", "skipped", "failed"]
    note: str = ""

    @property
    def failure(self) -> Failure:
        """The outcome as an entry of the final report."""
        return Failure(str(self.job.source), self.note)


Work = Callable[[Job], Outcome]


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
    with _bar(console) as bar:
        task = bar.add_task("", total=total)
        for outcome in outcomes:
            if outcome.state == "failed":
                bar.console.print(failure_line(outcome.failure))
            bar.advance(task)
            yield outcome


def failure_line(failure: Failure) -> str:
    """Return one printable line for something that failed."""
    return f"failed: {shown(failure.name)}: {failure.reason}"


class _RateColumn(ProgressColumn):
    """Photos per second, measured over the last ones."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} photos/s")


def _bar(console: Console) -> Progress:
    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("left"),
        console=console,
    )
