"""What a terminal shows while photos travel: a line a photo, and a bar for all of several."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.filesize import decimal
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID
from rich.progress import Task as Row
from rich.text import Text

from openrembg.cli.batch import LEAST_BAR, Outcome, begin, failure_line, overall_bar, unfolded
from openrembg.cli.terminal import shown

if TYPE_CHECKING:
    from openrembg.client import Progress as Transferred

NAME_CELLS: Final = 28
LEAST_NAME_CELLS: Final = 6
# Columns of a terminal from which on a photo's line has room for its size and its rate.
WITH_SIZE: Final = 60
WITH_RATE: Final = 80
_PHASE_CELLS: Final = len("working… ")
_SIZE_CELLS: Final = len(" 10.0 MB of 50.0 MB")
_RATE_CELLS: Final = len(" 999.9 MB/s")


class Transfers:
    """The photos that are on their way to and from the server.

    total: how many there are, which have a bar together when they are several. visible: whether
    somebody looks.
    """

    def __init__(self, total: int, console: Console, *, visible: bool) -> None:
        width = console.width
        self._name_cells = max(LEAST_NAME_CELLS, min(NAME_CELLS, width // 3))
        rest = _PHASE_CELLS + self._name_cells + 1
        more: list[ProgressColumn] = []
        if width >= WITH_SIZE:
            more.append(_Size(unfolded()))
            rest += _SIZE_CELLS
        if width >= WITH_RATE:
            more.append(_Rate(unfolded()))
            rest += _RATE_CELLS
        bar = max(LEAST_BAR, min(24, width - rest))
        self._photos = Progress(
            _Phase(unfolded()), _Name(unfolded()), BarColumn(bar), *more, console=console
        )
        self._all = overall_bar(console)
        self._overall = begin(self._all, total) if total > 1 else None
        rows = Group(self._photos) if self._overall is None else Group(self._all, self._photos)
        self._live = Live(rows, console=console, transient=self._overall is None)
        self._visible = visible

    def __enter__(self) -> Self:
        if self._visible:
            self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._visible:
            self._live.stop()

    @contextmanager
    def photo(self, name: str) -> Iterator["Transfer"]:
        """Give a photo its line while it is on its way."""
        short = _short(shown(name), self._name_cells)
        row = self._photos.add_task("", total=None, name=short, phase="", rate=None)
        try:
            yield Transfer(self._photos, row)
        finally:
            self._photos.remove_task(row)

    def done(self, outcome: Outcome) -> None:
        """Count a photo, and say at once when it failed among others."""
        if self._overall is None or not self._visible:
            return
        if outcome.state == "failed":
            self._live.console.print(failure_line(outcome.failure))
        if outcome.state != "unsent":
            self._all.advance(self._overall)


class Transfer:
    """The line of one photo."""

    def __init__(self, photos: Progress, row: TaskID) -> None:
        self._photos = photos
        self._row = row

    def goes_up(self, sent: "Transferred") -> None:
        """Show what has been sent; when that is all, the server works."""
        if sent.loaded == sent.total:
            self._show("working…", 0, None, None)
        else:
            self._show("↑", sent.loaded, sent.total, sent.rate)

    def comes_down(self, received: "Transferred") -> None:
        """Show what has come."""
        self._show("↓", received.loaded, received.total, received.rate)

    def waits(self) -> None:
        """Show that the server wants us to come later."""
        self._show("waiting…", 0, None, None)

    def _show(self, phase: str, loaded: int, total: int | None, rate: float | None) -> None:
        row = self._photos.tasks[self._photos.task_ids.index(self._row)]
        # An unknown length makes the bar pulse; `update` would take None for "as before".
        row.total = total
        self._photos.update(self._row, completed=loaded, phase=phase, rate=rate)


class _Phase(ProgressColumn):
    """What happens to the photo now."""

    def render(self, task: Row) -> Text:
        return Text(f"{task.fields['phase']:<8}")


class _Name(ProgressColumn):
    """The photo's name, cut to a width that leaves room for the rest."""

    def render(self, task: Row) -> Text:
        return Text(task.fields["name"])


class _Size(ProgressColumn):
    """How many bytes of how many."""

    def render(self, task: Row) -> Text:
        if not task.completed and task.total is None:
            return Text("")
        loaded = decimal(int(task.completed))
        return Text(loaded if task.total is None else f"{loaded} of {decimal(int(task.total))}")


class _Rate(ProgressColumn):
    """Bytes per second, as the client measures them."""

    def render(self, task: Row) -> Text:
        rate = task.fields["rate"]
        return Text("" if rate is None else f"{decimal(int(rate))}/s")


def _short(name: str, cells: int) -> str:
    """Return a name in so many cells; its beginning and its end, where names differ, stay."""
    if cell_len(name) <= cells:
        return set_cell_size(name, cells)
    tail = name[-(cells // 2) :]
    while cell_len(tail) > cells // 2:
        tail = tail[1:]
    return f"{set_cell_size(name, cells - cell_len(tail) - 1)}…{tail}"
