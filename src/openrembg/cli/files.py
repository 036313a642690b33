"""Photos in files and folders: all there are, or those that come while a folder is watched."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from openrembg.cli.batch import Outcome, Process, Processed, Stop
from openrembg.cli.ending import held, released
from openrembg.cli.inputs import Found, find_inputs
from openrembg.cli.outputs import Job, is_source, is_special, plan, taken_message
from openrembg.cli.report import report, say_outcome, say_stop
from openrembg.cli.task import Task
from openrembg.cli.terminal import FAILED, OK, USAGE, Terminated, say, shown, stop
from openrembg.cli.watch import Watch

POLL_S: Final = 1.0


def cut_out_files(task: Task) -> int:
    """Cut out every photo that the arguments name, and return the exit code."""
    found = find_inputs(task.arguments, recursive=task.recursive, leave_out=task.folder)
    if found.left_out and not task.quiet:
        say(f"Left out {found.left_out} earlier results; name one alone to use it as a photo.")
    jobs = _plan(task, found)
    if not jobs and not found.failures:
        stop("There are no photos here (png, jpg, jpeg, webp, bmp).")
    outcomes: list[Outcome] = []
    ended = _processor(task)(task, jobs, outcomes) if jobs else None
    return report(task, Processed(outcomes, ended), found.failures)


def _plan(task: Task, found: Found) -> tuple[Job, ...]:
    """Return a job for each photo, or say why the one output file cannot be written and leave."""
    if not task.into_file:
        return plan(found.inputs, task.folder, task.options.format, mask=task.options.mask)
    assert task.output is not None  # noqa: S101 (into_file says so)
    target = Path(task.output)
    if is_source(target, [item.path for item in found.inputs]):
        stop("The output is the photo itself, and a photo is never overwritten.", USAGE)
    if is_special(target):
        stop(f"{shown(target)} is not a regular file; use -o - for standard output.", USAGE)
    if os.path.lexists(target) and not task.overwrite:
        stop(taken_message(target))
    return tuple(Job(item.path, target) for item in found.inputs)


def watch_folders(task: Task) -> int:
    """Process what is there and what comes, until Ctrl-C, which is how a watch ends well."""
    process = _processor(task)
    watch = Watch()
    failed: set[Path] = set()  # a photo that was still being copied may go well later
    trouble: Stop | None = None
    if not task.quiet:
        say("Watching. Ctrl-C ends it.")
    try:
        while True:
            found = find_inputs(task.arguments, recursive=task.recursive, leave_out=task.folder)
            ready = watch.ready(item.path for item in found.inputs)
            jobs = tuple(job for job in _plan(task, found) if job.source in ready)
            if jobs:
                processed = _noted(process, task, jobs, failed)
                if processed.stop and processed.stop.lasting:
                    say_stop(processed)
                    return FAILED
                if processed.stop and processed.stop != trouble:
                    say(f"Waiting for the server: {processed.stop.reason}.")
                trouble = processed.stop
                again = [*processed.stopped, *processed.unsent]
                watch.forget(item.job.source for item in again)
            time.sleep(POLL_S)
    except Terminated:
        raise
    except KeyboardInterrupt:
        return FAILED if failed else OK


def _noted(process: Process, task: Task, jobs: tuple[Job, ...], failed: set[Path]) -> Processed:
    """Process what came, and say what became of it, also of what got done when Ctrl-C came."""
    outcomes: list[Outcome] = []
    with held():
        ended: Stop | None = None
        interrupted: KeyboardInterrupt | None = None
        try:
            with released():
                ended = process(replace(task, quiet=True), jobs, outcomes)
        except KeyboardInterrupt as signal:
            interrupted = signal
        processed = Processed(outcomes, ended)
        _note(task, processed, failed)
        if interrupted:
            raise interrupted
    return processed


def _note(task: Task, processed: Processed, failed: set[Path]) -> None:
    """Say what became of each photo, and keep in `failed` those that did not go well yet."""
    again = [*processed.stopped, *processed.unsent]
    for outcome in processed.outcomes:
        failed.discard(outcome.job.source)
        failed |= {outcome.job.source} if outcome.state in ("failed", "unsent") else set()
        if outcome not in again:
            say_outcome(task, outcome)


def _processor(task: Task) -> Process:
    if task.remote is not None:
        from openrembg.cli.sending import send_photos

        return send_photos
    from openrembg.cli.cutting import processor

    return processor(task)
