"""The options of `openrembg remove` that let a server do the work, and what they exclude."""

import math
from collections.abc import Iterable
from typing import Annotated, Final

import typer

from openrembg.cli.task import Remote
from openrembg.cli.terminal import USAGE, stop

TIMEOUT_S: Final = 300.0

# No variable of the environment stands for it: photos leave this machine only when that is said.
ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Send the photos to this server, for instance http://127.0.0.1:8000. Without it they "
        "stay on this machine, whatever REMBG_API_URL says.",
    ),
]
ApiKeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        envvar="REMBG_API_KEY",
        help="Key for --server. In the environment it is better hidden. Default: anonymous.",
    ),
]
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout", metavar="SECONDS", help="For one photo with --server, with all its tries."
    ),
]

_HERE: Final = {"model": "--model", "models_dir": "--models-dir", "provider": "--provider"}
_THERE: Final = {"api_key": "--api-key", "timeout": "--timeout"}


def remote(
    context: typer.Context, server: str | None, api_key: str | None, timeout_s: float
) -> Remote | None:
    """Return the server that the options name, or leave with 2 when they do not go together."""
    if server is None:
        if said := _said(context, _THERE):
            stop(f"{said} is for --server, and there is no --server.", USAGE)
        return None
    if said := _said(context, _HERE):
        stop(f"{said} is for photos that are cut out on this machine, not with --server.", USAGE)
    if not server.strip():
        stop("--server needs an address, for instance http://127.0.0.1:8000.", USAGE)
    if api_key is not None and not api_key.strip():
        stop("The API key is empty; leave --api-key out to send photos anonymously.", USAGE)
    if not (math.isfinite(timeout_s) and timeout_s > 0):
        stop("--timeout must be a number of seconds above 0.", USAGE)
    return Remote(server.strip(), api_key and api_key.strip(), timeout_s)


def _said(context: typer.Context, names: Iterable[str]) -> str | None:
    """Return the first of these options that the command line itself has."""
    for name in names:
        source = context.get_parameter_source(name)
        # By its name: Typer carries a Click of its own.
        if source is not None and source.name == "COMMANDLINE":
            return (_HERE | _THERE)[name]
    return None
