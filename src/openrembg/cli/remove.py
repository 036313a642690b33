"""`openrembg remove`: cut the subject out of photos."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from openrembg.cli.ending import tidy_end
from openrembg.cli.provider import ProviderOption
from openrembg.cli.remote import (
    TIMEOUT_S,
    ApiKeyOption,
    ServerOption,
    TimeoutOption,
    remote,
)
from openrembg.cli.task import STREAM, Task, names_result
from openrembg.cli.terminal import (
    INTERRUPTED,
    TERMINATED,
    USAGE,
    Terminated,
    say,
    shown,
    stop,
)

if TYPE_CHECKING:
    from openrembg.matting.options import Format, Options

_ADDRESSES = ("http://", "https://")


def remove(
    context: typer.Context,
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="IN",
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
    provider: ProviderOption = "auto",
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    timeout: TimeoutOption = TIMEOUT_S,
    recursive: Annotated[
        bool, typer.Option("--recursive/--no-recursive", help="Enter the sub-folders of folders.")
    ] = True,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Keep watching the folders for new photos, until Ctrl-C."),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            *("--jobs", "-j"),
            min=1,
            max=1024,
            help="Photos at once. Default: the cores; 4 with --server.",
        ),
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
    from openrembg.folders import models_dir as folder_of_models

    task = Task(
        arguments=tuple(photos),
        output=output,
        options=_options(
            _format(format_, output, photos),
            w,
            h,
            exact_resize,
            mask,
            angle,
            expand=expand,
            bg_color=bg_color,
        ),
        recursive=recursive,
        jobs=jobs,
        overwrite=overwrite,
        quiet=quiet,
        model=model,
        models_dir=folder_of_models(models_dir),
        provider=provider,
        remote=remote(context, server, api_key, timeout),
    )
    _check(task, watch=watch)
    try:
        with tidy_end():
            code = _run(task, watch=watch)
    except Terminated:
        raise typer.Exit(TERMINATED) from None
    except KeyboardInterrupt:
        say("Stopped. Results written so far are whole.")
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(code)


def _options(
    format_: "Format",
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
            format=format_,
            angle=angle,
            expand=expand,
            bg_color=bg_color or None,
        )
    except InvalidOptions as error:
        for wrong in error.errors:
            say(f"openrembg: {shown(wrong.message)}")
        raise typer.Exit(USAGE) from None


def _format(wanted: str | None, output: str | None, arguments: Sequence[str]) -> "Format":
    """Return what was asked for, else what the output's extension says, else WebP.

    A word that names no format passes through: Options then says so in its own sentence.
    """
    if wanted:
        return cast("Format", wanted)
    extension = Path(output).suffix[1:] if names_result(output, arguments) else ""
    return cast("Format", extension or "webp")


def _check(task: Task, *, watch: bool) -> None:
    """Leave with 2 when the arguments do not go together."""
    for argument in task.arguments:
        if argument.lower().startswith(_ADDRESSES) and not os.path.lexists(argument):
            stop(f"{shown(argument)}: This takes files, not addresses. Download it first.", USAGE)
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


def _run(task: Task, *, watch: bool) -> int:
    if task.streams:
        from openrembg.cli.stream import cut_out_stream

        return cut_out_stream(task)
    from openrembg.cli.files import cut_out_files, watch_folders

    return watch_folders(task) if watch else cut_out_files(task)
