"""`openrembg remove`: cut the subject out of photos."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal, cast

import typer

from openrembg.cli.terminal import (
    FAILED,
    INTERRUPTED,
    OK,
    TERMINATED,
    USAGE,
    say,
    shown,
    stderr,
    stop,
)

if TYPE_CHECKING:
    from openrembg.cli.batch import Outcome, Work
    from openrembg.cli.inputs import Failure, Found
    from openrembg.cli.outputs import Job
    from openrembg.matting.options import Format, Options
    from openrembg.matting.runtime import LocalMatter

STREAM = "-"
MAX_FILE_BYTES = 1 << 30
POLL_S = 1.0


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a run as tidily as Ctrl-C does."""


def remove(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="IN...",
            help="Photos, folders, patterns such as 'in/*.jpg', or - for standard input.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|FOLDER|-",
            help="Where results go. A folder when there are several photos, when it exists, or "
            "when it ends in /. Default: beside each photo, as NAME.cutout.webp.",
        ),
    ] = None,
    w: Annotated[int | None, typer.Option("--w", help="Width in pixels, 1 to 10000.")] = None,
    h: Annotated[int | None, typer.Option("--h", help="Height in pixels, 1 to 10000.")] = None,
    exact_resize: Annotated[
        bool, typer.Option("--exact-resize", help="Force exactly w x h, whatever the aspect.")
    ] = False,
    mask: Annotated[
        bool, typer.Option("--mask", help="Write only the alpha matte, 8-bit grey.")
    ] = False,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="PNG|JPEG|WEBP|BMP",
            help="Default: the extension of -o, else webp.",
        ),
    ] = None,
    angle: Annotated[
        float, typer.Option("--angle", help="Degrees counter-clockwise, -360 to 360.")
    ] = 0.0,
    expand: Annotated[
        bool,
        typer.Option(
            "--expand/--no-expand", help="Grow the canvas so that a rotated picture is not cropped."
        ),
    ] = True,
    bg_color: Annotated[
        str | None,
        typer.Option("--bg-color", metavar="COLOUR", help="#RGB, #RRGGBB, #RRGGBBAA, or a name."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="See `openrembg models list`.", envvar="OPENREMBG_MODEL"),
    ] = None,
    models_dir: Annotated[
        Path | None,
        typer.Option(
            "--models-dir", metavar="FOLDER", help="Where models lie besides the shipped one."
        ),
    ] = None,
    provider: Annotated[
        Literal["auto", "openvino", "onnxruntime", "cuda"],
        typer.Option("--provider", envvar="OPENREMBG_PROVIDER", help="What computes."),
    ] = "auto",
    recursive: Annotated[
        bool, typer.Option("--recursive/--no-recursive", help="Enter the sub-folders of folders.")
    ] = True,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Keep watching the folders for new photos, until Ctrl-C."),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, max=1024, help="Photos at once. Default: the cores."),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace results that are there already; else they are skipped. "
            "A photo that was read is never replaced.",
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but what failed.")
    ] = False,
) -> None:
    """Cut the subject out of photos: one, many, a folder, or a stream.

    Ends with 0 when all went well, 1 when a photo failed, 2 when the call itself is wrong.
    """
    from openrembg.cli.folders import models_dir as folder_of_models

    task = _Task(
        arguments=tuple(photos),
        output=output,
        options=_options(
            output, format_, w, h, exact_resize, mask, angle, expand=expand, bg_color=bg_color
        ),
        recursive=recursive,
        jobs=jobs,
        overwrite=overwrite,
        quiet=quiet,
        model=model,
        models_dir=folder_of_models(models_dir),
        provider=provider,
    )
    _check(task, watch=watch)
    try:
        with _tidy_end():
            code = _run(task, watch=watch)
    except _Terminated:
        raise typer.Exit(TERMINATED) from None
    except KeyboardInterrupt:
        say("Stopped. Results written so far are whole.")
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class _Task:
    """The command line, checked."""

    arguments: tuple[str, ...]
    output: str | None
    options: "Options"
    recursive: bool
    jobs: int | None
    overwrite: bool
    quiet: bool
    model: str | None
    models_dir: Path
    provider: Literal["auto", "openvino", "onnxruntime", "cuda"]

    @property
    def streams(self) -> bool:
        """Whether a pipe is the input or the output, so that there is exactly one photo."""
        return STREAM in self.arguments or self.output == STREAM

    @property
    def into_file(self) -> bool:
        """Whether `output` names the one result, not a folder."""
        from openrembg.cli.inputs import names_one_file

        return (
            self.output is not None
            and len(self.arguments) == 1
            and not self.output.endswith(os.sep)
            and not Path(self.output).is_dir()
            and names_one_file(self.arguments[0])
        )

    @property
    def folder(self) -> Path | None:
        return None if self.output is None or self.into_file else Path(self.output)


def _options(
    output: str | None,
    format_: str | None,
    w: int | None,
    h: int | None,
    exact_resize: bool,
    mask: bool,
    angle: float,
    *,
    expand: bool,
    bg_color: str | None,
) -> "Options":
    """Return the options, or say in the contract's sentences what is wrong and leave with 2."""
    from openrembg.matting.errors import InvalidOptions
    from openrembg.matting.options import Options

    try:
        return Options(
            w=w,
            h=h,
            exact_resize=exact_resize,
            mask=mask,
            format=_format(format_, output),
            angle=angle,
            expand=expand,
            bg_color=bg_color or None,
        )
    except InvalidOptions as error:
        for wrong in error.errors:
            say(f"openrembg: {shown(wrong.message)}")
        raise typer.Exit(USAGE) from None


def _format(wanted: str | None, output: str | None) -> "Format":
    """Return what was asked for, else what the output's extension says, else WebP.

    A word that names no format passes through: Options then says so in its own sentence.
    """
    if wanted:
        return cast("Format", wanted)
    if output is None or output == STREAM or output.endswith(os.sep) or Path(output).is_dir():
        return "webp"
    return cast("Format", Path(output).suffix[1:] or "webp")


def _check(task: _Task, *, watch: bool) -> None:
    """Leave with 2 when the arguments do not go together."""
    if task.streams and len(task.arguments) > 1:
        stop("With - there can be only one input.", USAGE)
    if watch and not all(Path(argument).is_dir() for argument in task.arguments):
        stop("--watch takes folders only.", USAGE)
    if task.output is None or task.output == STREAM:
        return
    output = Path(task.output)
    if not task.into_file and STREAM not in task.arguments and _is_other_than_folder(output):
        stop(f"There are several photos, but {shown(output)} is a file.", USAGE)


def _is_other_than_folder(path: Path) -> bool:
    return os.path.lexists(path) and not path.is_dir()


@contextmanager
def _tidy_end() -> Iterator[None]:
    """Let SIGTERM end the run as Ctrl-C does: after what is being written is written."""

    def terminate(*_: object) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(task: _Task, *, watch: bool) -> int:
    if task.streams:
        return _one_stream(task)
    if watch:
        return _watch(task)
    return _all_files(task)


def _one_stream(task: _Task) -> int:
    """Cut out one photo whose input or output is a pipe."""
    from openrembg.matting.errors import ImageError, InferenceFailed, MattingError

    to_stdout = task.output in (None, STREAM)
    if to_stdout and sys.stdout.isatty():
        stop("The result is binary. Redirect it, or say -o FILE.", USAGE)
    argument = task.arguments[0]
    if argument == STREAM and sys.stdin.isatty():
        stop("There is no photo on standard input.", USAGE)
    name = "standard input" if argument == STREAM else argument
    try:
        data = _read_stream(sys.stdin.buffer) if argument == STREAM else _read(Path(argument))
        cutout, found = _cut(data, task.options, _load(task))
    except (ImageError, InferenceFailed, OSError) as error:
        stop(f"{shown(name)}: {_reason(error)}")
    except MattingError as error:
        stop(str(error))
    if not found and not task.quiet:
        say(f"{shown(name)}: No subject was found; the result is fully transparent.")
    return _to_stdout(cutout) if to_stdout else _to_file(task, cutout)


def _to_stdout(data: bytes) -> int:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Else the interpreter tries to flush once more on its way out, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return OK


def _to_file(task: _Task, data: bytes) -> int:
    from openrembg.cli.outputs import EXTENSIONS, write

    assert task.output is not None  # noqa: S101 (_to_stdout has had that case)
    target = Path(task.output)
    if target.is_dir() or task.output.endswith(os.sep):
        target = target / f"stdin.{EXTENSIONS[task.options.format]}"
    if _is_special(target):
        stop(f"{shown(target)} is not a regular file.", USAGE)
    try:
        written = write(target, data, overwrite=task.overwrite)
    except OSError as error:
        stop(f"{shown(target)}: {_reason(error)}")
    if not written:
        stop(_taken(target))
    return OK


def _all_files(task: _Task) -> int:
    from openrembg.cli.inputs import find_inputs

    found = find_inputs(task.arguments, recursive=task.recursive, leave_out=task.folder)
    if found.left_out and not task.quiet:
        say(f"Left out {found.left_out} earlier results; name one alone to use it as a photo.")
    jobs = _plan(task, found)
    if not jobs and not found.failures:
        stop("There are no photos here (png, jpg, jpeg, webp, bmp).")
    outcomes = _process(task, jobs, _worker(task)) if jobs else []
    return _report(task, outcomes, found.failures)


def _plan(task: _Task, found: "Found") -> "tuple[Job, ...]":
    from openrembg.cli.outputs import Job, is_source, plan

    if not task.into_file:
        return plan(found.inputs, task.folder, task.options.format, mask=task.options.mask)
    assert task.output is not None  # noqa: S101 (into_file says so)
    target = Path(task.output)
    if is_source(target, [item.path for item in found.inputs]):
        stop("The output is the photo itself, and a photo is never overwritten.", USAGE)
    if _is_special(target):
        stop(f"{shown(target)} is not a regular file; use -o - for standard output.", USAGE)
    if os.path.lexists(target) and not task.overwrite:
        stop(_taken(target))
    return tuple(Job(item.path, target) for item in found.inputs)


def _taken(target: Path) -> str:
    return f"{shown(target)} is there already (--overwrite replaces it)."


def _is_special(path: Path) -> bool:
    """Say whether a name is taken by a device or the like, which a rename would destroy."""
    return path.exists() and not path.is_file()


def _watch(task: _Task) -> int:
    """Process what is there and what comes, until Ctrl-C, which is how a watch ends well."""
    from openrembg.cli.inputs import find_inputs
    from openrembg.cli.watch import Watch

    work = _worker(task)
    watch = Watch()
    failed = False
    if not task.quiet:
        say("Watching. Ctrl-C ends it.")
    try:
        while True:
            found = find_inputs(task.arguments, recursive=task.recursive, leave_out=task.folder)
            ready = watch.ready(item.path for item in found.inputs)
            jobs = tuple(job for job in _plan(task, found) if job.source in ready)
            outcomes = _process(replace(task, quiet=True), jobs, work) if jobs else []
            for outcome in outcomes:
                failed |= outcome.state == "failed"
                _say_outcome(task, outcome)
            time.sleep(POLL_S)
    except _Terminated:
        raise
    except KeyboardInterrupt:
        return FAILED if failed else OK


def _worker(task: _Task) -> "Work":
    """Return what turns a job into an outcome; the model is loaded once, here."""
    from openrembg.cli.batch import Outcome, PixelGate
    from openrembg.cli.outputs import write
    from openrembg.matting.decode import Source
    from openrembg.matting.errors import MattingError
    from openrembg.matting.pipeline import cut_out, peak_pixels

    try:
        matter = _load(task)
    except MattingError as error:
        stop(str(error))
    gate = PixelGate()

    def cut(job: "Job") -> bool:
        source = Source(_read(job.source))
        with gate.admit(peak_pixels(source, task.options)):
            cutout = cut_out(source, task.options, matter)
        if not write(job.target, cutout.data, overwrite=task.overwrite):
            raise FileExistsError
        return cutout.foreground_detected

    def work(job: "Job") -> Outcome:
        if not task.overwrite and os.path.lexists(job.target):
            return Outcome(job, "skipped")
        try:
            found = cut(job)
        except FileExistsError:
            return Outcome(job, "skipped")
        except Exception as error:  # a bad photo must not end the run of a thousand
            return Outcome(job, "failed", _reason(error))
        return Outcome(job, "done", "" if found else "No subject was found")

    return work


def _load(task: _Task) -> "LocalMatter":
    from openrembg.matting.runtime import load_matter
    from openrembg.matting.weights import DEFAULT_MODEL, find_weights

    weights = find_weights(task.model or DEFAULT_MODEL, task.models_dir)
    return load_matter(weights, provider=task.provider)


def _cut(data: bytes, options: "Options", matter: "LocalMatter") -> tuple[bytes, bool]:
    from openrembg.matting.pipeline import remove_background

    cutout = remove_background(data, options, matter=matter)
    return cutout.data, cutout.foreground_detected


def _read(path: Path) -> bytes:
    """Return a file's bytes; also a pipe's, as `<(command)` gives one. Raises OSError."""
    with path.open("rb") as file:
        return _read_stream(file)


def _read_stream(file: BinaryIO) -> bytes:
    data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise OSError(f"It is larger than {MAX_FILE_BYTES >> 30} GiB")
    return data


def _reason(error: Exception) -> str:
    """Return why a photo failed, without a full stop."""
    from openrembg.matting.errors import MattingError

    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for it"
    if isinstance(error, MattingError):
        return str(error).rstrip(".")
    return f"An error inside openrembg ({type(error).__name__}: {shown(str(error))})"


def _process(task: _Task, jobs: "tuple[Job, ...]", work: "Work") -> "list[Outcome]":
    from openrembg.cli.batch import run, with_progress
    from openrembg.matting.runtime import available_cores

    console = stderr()
    with closing(run(jobs, work, threads=min(task.jobs or available_cores(), len(jobs)))) as ready:
        if len(jobs) > 1 and console.is_terminal and not task.quiet:
            return list(with_progress(ready, len(jobs), console))
        return list(ready)


def _report(task: _Task, outcomes: "list[Outcome]", missing: "tuple[Failure, ...]") -> int:
    """Say how it went, what failed and why, and return the exit code."""
    from openrembg.cli.batch import failure_line

    failures = [*missing, *(item.failure for item in outcomes if item.state == "failed")]
    if len(outcomes) == 1:
        _say_outcome(task, outcomes[0])
        failures = list(missing)
    elif not task.quiet:
        _say_counts(outcomes, failures)
    for failure in sorted(failures, key=lambda failure: failure.name):
        say(failure_line(failure))
    return FAILED if missing or any(item.state == "failed" for item in outcomes) else OK


def _say_outcome(task: _Task, outcome: "Outcome") -> None:
    from openrembg.cli.batch import failure_line

    source, target = shown(outcome.job.source), shown(outcome.job.target)
    if outcome.state == "failed":
        return say(failure_line(outcome.failure))
    if task.quiet:
        return None
    if outcome.state == "skipped":
        return say(f"skipped: {target} is there already (--overwrite replaces it)")
    return say(f"{source} -> {target}{outcome.note and f' ({outcome.note.lower()})'}")


def _say_counts(outcomes: "list[Outcome]", failures: "list[Failure]") -> None:
    done = sum(item.state == "done" for item in outcomes)
    skipped = sum(item.state == "skipped" for item in outcomes)
    parts = [f"{done} cut out"]
    if skipped:
        parts.append(f"{skipped} skipped, there already (--overwrite replaces them)")
    if failures:
        parts.append(f"{len(failures)} failed")
    say(", ".join(parts) + ".")
    for item in outcomes:
        if item.state == "done" and item.note:
            say(f"{shown(item.job.source)}: {item.note}.")
