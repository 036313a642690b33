"""Whether this process is one of several, which one, and what it has from its supervisor.

Known before Django's settings are read, because they depend on it.
"""

import json
from dataclasses import asdict, dataclass

from openrembg.server.processes.board import Board


@dataclass(frozen=True, slots=True)
class Membership:
    """What the supervisor hands to one process; descriptors are those of open files.

    index: which of the processes it is, from 0. sockets: they listen. lifeline: it ends when the
    supervisor does. report: where the process tells it how it stands. board: for all processes,
    `places` of them. counts: the folder of what is counted, whose lock is held by whoever has
    `counts_lock`. is_late: others are serving already.
    """

    index: int
    places: int
    sockets: tuple[int, ...]
    lifeline: int
    report: int
    board: int
    counts: str
    counts_lock: int
    is_late: bool

    @property
    def leads(self) -> bool:
        """Whether it does what only one of the processes has to do."""
        return self.index == 0

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The files that the process needs from its supervisor."""
        return (*self.sockets, self.lifeline, self.report, self.board, self.counts_lock)

    def written(self) -> str:
        """Return it as an argument of a command."""
        return json.dumps(asdict(self))


def read_membership(text: str) -> Membership:
    """Return what `written` wrote."""
    values = json.loads(text)
    return Membership(**{**values, "sockets": tuple(values["sockets"])})


@dataclass(frozen=True, slots=True)
class Place:
    """This process's place among several."""

    membership: Membership
    board: Board


_place: Place | None = None


def join(membership: Membership) -> None:
    """Make this process one of several; before anything else is imported."""
    global _place
    _place = Place(membership, Board(membership.board, membership.places))


def place() -> Place | None:
    """Return this process's place, None when it is alone."""
    return _place
