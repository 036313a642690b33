"""`openrembg models`: which models there are, fetching one, checking them all."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openrembg.cli.terminal import FAILED, INTERRUPTED, print_table, say, shown, stderr, stop

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from openrembg.matting.weights import Card, Weights

MEGA = 1_000_000

models = typer.Typer(
    name="models",
    help="List, fetch and check models.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ModelsDir = Annotated[
    Path | None,
    typer.Option(
        "--models-dir",
        metavar="FOLDER",
        help="Where models lie besides the shipped one [OPENREMBG_MODELS_DIR].",
    ),
]


@models.command("list")
def list_(models_dir: ModelsDir = None) -> None:
    """List the models on this machine and those that can be pulled."""
    from openrembg.folders import models_dir as folder_of_models
    from openrembg.matting.weights import KNOWN, installed, installed_names

    folder = folder_of_models(models_dir)
    here = installed(folder)
    names = {weights.card.name for weights in here}
    rows = [_row(w.card, w.path.stat().st_size, _state(w.card.name)) for w in here]
    rows += [_row(card, card.bytes, "can be pulled") for card in KNOWN if card.name not in names]
    print_table(("model", "state", "size", "input", "licence", "description"), rows)
    for name in sorted(set(installed_names(folder)) - names):
        say(f"{name}: its card is missing or cannot be used; `openrembg models verify` says why.")


@models.command()
def pull(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Models to fetch.")],
    models_dir: ModelsDir = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            "--base-url",
            metavar="URL",
            envvar="OPENREMBG_MODELS_URL",
            help="The folder that holds the files. Default: the publisher's release.",
        ),
    ] = None,
) -> None:
    """Fetch public models. A broken download goes on where it stopped."""
    from openrembg.folders import models_dir as folder_of_models
    from openrembg.matting.errors import ModelError

    folder = folder_of_models(models_dir)
    failed = False
    for name in names:
        try:
            weights = _pull(name, folder, base_url)
        except KeyboardInterrupt:
            say("Stopped. The same command goes on from here.")
            raise typer.Exit(INTERRUPTED) from None
        except ModelError as error:
            say(f"openrembg: {shown(str(error))}")
            failed = True
            continue
        say(f"{name} is in {shown(weights.path)}, {weights.card.digest}")
    if failed:
        raise typer.Exit(FAILED)


@models.command()
def verify(models_dir: ModelsDir = None) -> None:
    """Read every installed model and compare its checksum with its card."""
    from openrembg.folders import models_dir as folder_of_models
    from openrembg.matting.errors import ModelError
    from openrembg.matting.weights import find_weights, installed_names

    folder = folder_of_models(models_dir)
    rows, failed = [], False
    for name in installed_names(folder):
        try:
            weights = find_weights(name, folder)
            weights.verify()
        except ModelError as error:
            rows.append([name, "WRONG", str(error)])
            failed = True
        else:
            rows.append([name, "ok", weights.card.digest])
    print_table(("model", "state", "checksum"), rows)
    if failed:
        stop("Pull a wrong public model again, or put the right file and card in its place.")


def _pull(name: str, folder: Path, base_url: str | None) -> "Weights":
    """Fetch one model, with a progress bar when somebody watches."""
    from openrembg.matting.errors import UnknownModel
    from openrembg.matting.pull import RELEASE_URL, pull
    from openrembg.matting.weights import find_card, find_weights

    try:
        return find_weights(name)  # it ships with the package
    except UnknownModel:
        card = find_card(name, folder)
    console = stderr()
    if not console.is_terminal:
        return pull(card, folder, base_url or RELEASE_URL)
    with _bar(console) as bar:
        task = bar.add_task(card.name, total=card.bytes)
        return pull(
            card,
            folder,
            base_url or RELEASE_URL,
            lambda done, total: bar.update(task, completed=done, total=total),
        )


def _bar(console: "Console") -> "Progress":
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _state(name: str) -> str:
    from openrembg.matting.weights import DEFAULT_MODEL

    return "default" if name == DEFAULT_MODEL else "installed"


def _row(card: "Card", size: int | None, state: str) -> list[str]:
    amount = "?" if size is None else f"{size / MEGA:.1f} MB"
    return [card.name, state, amount, f"{card.input.side} px", card.licence, card.description]
