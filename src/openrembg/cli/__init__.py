"""The command line: `openrembg remove`, `serve`, `models`, `doctor`, `admin`, `deploy-replicas`.

One file a verb. A verb imports what it needs when it runs, so that `--help` and shell completion
answer at once.
"""

from typing import Annotated

import typer

from openrembg.cli.admin import admin
from openrembg.cli.deploy_replicas import deploy_replicas
from openrembg.cli.doctor import doctor
from openrembg.cli.models import models
from openrembg.cli.remove import remove
from openrembg.cli.serve import serve

app = typer.Typer(
    name="openrembg",
    help="The background-removal platform that you own.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help"]},
)


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import version

    typer.echo(f"openrembg {version('openrembg')}")
    raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take part in every call: the options before a verb."""


app.command()(remove)
app.command()(serve)
app.add_typer(models, name="models")
app.command()(doctor)
app.add_typer(admin, name="admin")
app.command()(deploy_replicas)


def main() -> None:
    """Run the command line and exit."""
    app(prog_name="openrembg")
