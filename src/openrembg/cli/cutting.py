"""How photos become results on this machine: read, cut out, written, or the reason why not."""

import os
from contextlib import closing

from openrembg.cli.batch import Outcome, PixelGate, Process, Work, run, with_progress
from openrembg.cli.outputs import Job, write
from openrembg.cli.reading import read, reason
from openrembg.cli.task import Task
from openrembg.cli.terminal import stderr, stop
from openrembg.matting.decode import Source
from openrembg.matting.errors import MattingError
from openrembg.matting.options import Options
from openrembg.matting.pipeline import cut_out, peak_pixels, remove_background
from openrembg.matting.runtime import LocalMatter, available_cores, load_matter
from openrembg.matting.tuning import tune_process
from openrembg.matting.weights import DEFAULT_MODEL, find_weights


def processor(task: Task) -> Process:
    """Return what cuts out photos on this machine; the model is loaded once, here."""
    work = worker(task)

    def process(task: Task, jobs: tuple[Job, ...], outcomes: list[Outcome]) -> None:
        def noted(job: Job) -> Outcome:
            # In the worker's thread, where Ctrl-C does not come between.
            outcome = work(job)
            outcomes.append(outcome)
            return outcome

        console = stderr()
        threads = min(task.jobs or available_cores(), len(jobs))
        with closing(run(jobs, noted, threads=threads)) as ready:
            visible = len(jobs) > 1 and console.is_terminal and not task.quiet
            for _ in with_progress(ready, len(jobs), console) if visible else ready:
                pass

    return process


def worker(task: Task) -> Work:
    """Return what turns a job into an outcome; the model is loaded once, here."""
    try:
        matter = load(task)
    except MattingError as error:
        stop(str(error))
    gate = PixelGate()

    def cut(job: Job) -> Outcome:
        source = Source(read(job.source))
        with gate.admit(peak_pixels(source, task.options)):
            cutout = cut_out(source, task.options, matter)
        if not write(job.target, cutout.data, overwrite=task.overwrite):
            return Outcome(job, "skipped")
        return Outcome(job, "done", "" if cutout.foreground_detected else "No subject was found")

    def work(job: Job) -> Outcome:
        if not task.overwrite and os.path.lexists(job.target):
            return Outcome(job, "skipped")
        try:
            return cut(job)
        except Exception as error:  # a bad photo must not end the run of a thousand
            return Outcome(job, "failed", reason(error, job.target))

    return work


def load(task: Task) -> LocalMatter:
    """Return the model that the task names, warm. Raises a ModelError."""
    tune_process()
    weights = find_weights(task.model or DEFAULT_MODEL, task.models_dir)
    return load_matter(weights, provider=task.provider)


def cut(data: bytes, options: Options, matter: LocalMatter) -> tuple[bytes, bool]:
    """Return the result's bytes and whether there is a subject. Raises a MattingError."""
    cutout = remove_background(data, options, matter=matter)
    return cutout.data, cutout.foreground_detected
