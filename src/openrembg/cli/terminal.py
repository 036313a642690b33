"""What the command line says to people: on stderr, in plain sentences, with safe names."""

import os
from typing import NoReturn

import typer
from rich.console import Console

OK = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130
TERMINATED = 143


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a run as tidily as Ctrl-C does."""


def stderr() -> Console:
    """Return a console for messages. Square brackets in a file's name are not markup."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)


def stdout() -> Console:
    """Return a console for what a verb was asked to print."""
    return Console(markup=False, highlight=False, emoji=False, soft_wrap=True)


def say(message: str) -> None:
    """Print one line on stderr."""
    stderr().print(message)


def stop(message: str, code: int = FAILED) -> NoReturn:
    """Say what is wrong and leave with `code`."""
    stderr().print(f"openrembg: {message}")
    raise typer.Exit(code)


def print_table(header: tuple[str, ...], rows: list[list[str]]) -> None:
    """Print a table for a terminal, or lines with tabs between the cells for a pipe."""
    console = stdout()
    if not console.is_terminal:
        for row in rows:
            typer.echo("\t".join(row))
        return
    from rich.box import SIMPLE
    from rich.table import Column, Table
    from rich.text import Text

    first, last = Column(header[0], no_wrap=True), Column(header[-1], overflow="fold")
    table = Table(first, *header[1:-1], last, box=SIMPLE)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def shown(name: str | os.PathLike[str]) -> str:
    """Return a file's name as one printable line: controls and stray bytes become escapes."""
    return "".join(map(_shown_character, os.fspath(name)))


def _shown_character(character: str) -> str:
    if character.isprintable():
        return character
    if 0xDC80 <= ord(character) <= 0xDCFF:  # a byte that is not UTF-8, as PEP 383 keeps it
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
