"""Photos in files and folders: all there are, or those that come while a folder is watched."""

import os
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

from openrembg.cli.batch import Outcome, Work, run, with_progress
from openrembg.cli.cutting import worker
from openrembg.cli.inputs import Found, find_inputs
from openrembg.cli.outputs import Job, is_source, is_special, plan, taken_message
from openrembg.cli.report import report, say_outcome
from openrembg.cli.task import Task
from openrembg.cli.terminal import FAILED, OK, USAGE, Terminated, say, shown, stderr, stop
from openrembg.cli.watch import Watch
from openrembg.matting.runtime import available_cores

POLL_S: Final = 1.0


def cut_out_files(task: Task) -> int:
    """Cut out every photo that the arguments name, and return the exit code."""
    found = find_inputs(task.arguments, recursive=task.recursive, leave_out=task.folder)
    if found.left_out and not task.quiet:
        say(f"Left out {found.left_out} earlier results; name one alone to use it as a photo.")
    jobs = _plan(task, found)
    if not jobs and not found.failures:
        stop("There are no photos here (png, jpg, jpeg, webp, bmp).")
    outcomes = _process(task, jobs, worker(task)) if jobs else []
    return report(task, outcomes, found.failures)


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
    work = worker(task)
    watch = Watch()
    failed: set[Path] = set()  # a photo that was still being copied may go well later
    if not task.quiet:
        say("Watching. Ctrl-C ends it.")
    try:
        while True:
            found = find_inputs(task.arguments, recursive=task.recursive, leave_out=task.folder)
            ready = watch.ready(item.path for item in found.inputs)
            jobs = tuple(job for job in _plan(task, found) if job.source in ready)
            outcomes = _process(replace(task, quiet=True), jobs, work) if jobs else []
            for outcome in outcomes:
                failed.discard(outcome.job.source)
                failed |= {outcome.job.source} if outcome.state == "failed" else set()
                say_outcome(task, outcome)
            time.sleep(POLL_S)
    except Terminated:
        raise
    except KeyboardInterrupt:
        return FAILED if failed else OK


def _process(task: Task, jobs: tuple[Job, ...], work: Work) -> list[Outcome]:
    """Run the jobs, with a progress bar when somebody watches several."""
    console = stderr()
    with closing(run(jobs, work, threads=min(task.jobs or available_cores(), len(jobs)))) as ready:
        if len(jobs) > 1 and console.is_terminal and not task.quiet:
            return list(with_progress(ready, len(jobs), console))
        return list(ready)
