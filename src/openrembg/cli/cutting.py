"""How one photo becomes a result: read, cut out, written, or the reason why not."""

import os
from pathlib import Path
from typing import BinaryIO, Final

from openrembg.cli.batch import Outcome, PixelGate, Work
from openrembg.cli.outputs import Job, write
from openrembg.cli.task import Task
from openrembg.cli.terminal import shown, stop
from openrembg.matting.decode import Source
from openrembg.matting.errors import MattingError
from openrembg.matting.options import Options
from openrembg.matting.pipeline import cut_out, peak_pixels, remove_background
from openrembg.matting.runtime import LocalMatter, load_matter
from openrembg.matting.tuning import tune_process
from openrembg.matting.weights import DEFAULT_MODEL, find_weights

MAX_FILE_BYTES: Final = 1 << 30


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
            return Outcome(job, "failed", reason(error))

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


def read(path: Path) -> bytes:
    """Return a file's bytes; also a pipe's, as `<(command)` gives one. Raises OSError."""
    with path.open("rb") as file:
        return read_stream(file)


def read_stream(file: BinaryIO) -> bytes:
    """Return everything that a file or pipe gives, up to a limit. Raises OSError."""
    data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise OSError(f"It is larger than {MAX_FILE_BYTES >> 30} GiB")
    return data


def reason(error: Exception) -> str:
    """Return why a photo failed, without a full stop."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for it"
    if isinstance(error, MattingError):
        return str(error).rstrip(".")
    return f"An error inside openrembg ({type(error).__name__}: {shown(str(error))})"
