"""One photo whose input or output is a pipe."""

import os
import sys
from pathlib import Path

from openrembg.cli.outputs import EXTENSIONS, is_special, taken_message, write
from openrembg.cli.reading import read, read_stream, reason
from openrembg.cli.task import STREAM, Task
from openrembg.cli.terminal import FAILED, OK, USAGE, say, shown, stop
from openrembg.matting.errors import ImageError, InferenceFailed, MattingError


def cut_out_stream(task: Task) -> int:
    """Cut out one photo whose input or output is a pipe."""
    to_stdout = task.output in (None, STREAM)
    if to_stdout and sys.stdout is None:
        stop("Standard output is closed.", USAGE)
    if to_stdout and sys.stdout.isatty():
        stop("The result is binary. Redirect it, or say -o FILE.", USAGE)
    argument = task.arguments[0]
    if argument == STREAM and (sys.stdin is None or sys.stdin.isatty()):
        stop("There is no photo on standard input.", USAGE)
    if argument == STREAM and _is_standard_input(task.output):
        stop("The output is the photo itself, and a photo is never overwritten.", USAGE)
    name = "standard input" if argument == STREAM else argument
    cutout, found = _cut_out_there(task, name) if task.remote else _cut_out_here(task, name)
    if not found and not task.quiet:
        say(f"{shown(name)}: No subject was found; the result is fully transparent.")
    return _to_stdout(cutout) if to_stdout else _to_file(task, cutout)


def _cut_out_here(task: Task, name: str) -> tuple[bytes, bool]:
    """Return the result's bytes and whether there is a subject, or say what is wrong and leave."""
    from openrembg.cli.cutting import cut, load

    argument = task.arguments[0]
    try:
        data = read_stream(sys.stdin.buffer) if argument == STREAM else read(Path(argument))
        return cut(data, task.options, load(task))
    except (ImageError, InferenceFailed, OSError) as error:
        stop(f"{shown(name)}: {reason(error)}")
    except MattingError as error:
        stop(str(error))


def _cut_out_there(task: Task, name: str) -> tuple[bytes, bool]:
    """Return the same from the server, or say what is wrong and leave."""
    from openrembg.cli import sending
    from openrembg.client import RembgError
    from openrembg.client.spool import MAX_BYTES

    argument = task.arguments[0]
    try:
        if argument == STREAM:
            photo: Path | bytes = read_stream(sys.stdin.buffer, MAX_BYTES)
        else:
            photo = sending.read_pipe(Path(argument))
        cutout = sending.send_one(task, photo, name)
    except (RembgError, OSError) as error:
        stop(f"{shown(name)}: {sending.reason(error)}")
    return cutout.data, cutout.foreground_detected is not False


def _is_standard_input(output: str | None) -> bool:
    """Say whether `< photo.jpg` and the output name one file."""
    if output in (None, STREAM):
        return False
    try:
        return os.path.samestat(Path(output).stat(), os.fstat(sys.stdin.fileno()))
    except OSError:
        return False


def _to_stdout(data: bytes) -> int:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        # Else the interpreter tries to flush once more on its way out, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            stop(f"standard output: {reason(error)}")
        return FAILED
    return OK


def _to_file(task: Task, data: bytes) -> int:
    assert task.output is not None  # noqa: S101 (_to_stdout has had that case)
    target = Path(task.output)
    if target.is_dir() or task.output.endswith(os.sep):
        target = target / f"stdin.{EXTENSIONS[task.options.format]}"
    if is_special(target):
        stop(f"{shown(target)} is not a regular file.", USAGE)
    try:
        written = write(target, data, overwrite=task.overwrite)
    except OSError as error:
        stop(f"{shown(target)}: {reason(error)}")
    if not written:
        stop(taken_message(target))
    return OK
