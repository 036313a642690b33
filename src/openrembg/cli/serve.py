"""`openrembg serve`: the server, on this machine."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from openrembg.cli.terminal import FAILED, stop


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on [OPENREMBG_HOST].")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="Port to listen on [OPENREMBG_PORT]."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes", min=1, max=64, help="Processes that answer [OPENREMBG_PROCESSES]."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Model to serve [OPENREMBG_MODEL].")
    ] = None,
    models_dir: Annotated[
        Path | None,
        typer.Option("--models-dir", metavar="FOLDER", help="[OPENREMBG_MODELS_DIR]"),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", metavar="FOLDER", help="[OPENREMBG_DATA_DIR]"),
    ] = None,
) -> None:
    """Serve the RemBG API. Every other setting comes from the environment."""
    overrides = {
        "OPENREMBG_HOST": host,
        "OPENREMBG_PORT": port,
        "OPENREMBG_PROCESSES": processes,
        "OPENREMBG_MODEL": model,
        "OPENREMBG_MODELS_DIR": models_dir,
        "OPENREMBG_DATA_DIR": data_dir,
    }
    os.environ.update({name: str(value) for name, value in overrides.items() if value is not None})
    if any(find_spec(package) is None for package in ("django", "ninja", "waitress")):
        stop("The server's packages are not installed: pip install 'openrembg[server]'", FAILED)

    from openrembg.server.start import run

    raise typer.Exit(run())
