"""How this process stands, and how all do that answer as one server."""

import os

from openrembg.server.processes.board import Standing
from openrembg.server.processes.membership import place
from openrembg.server.service import service


def standing() -> Standing:
    """Return what this process computes now, and with what."""
    load, state = service().slots.load(), service().backend.state()
    return Standing(
        pid=os.getpid(),
        is_ready=state.status == "ready",
        computing=load.computing,
        waiting=load.waiting,
        pixels_in_flight=load.pixels_in_flight,
        model=state.model,
        provider=state.provider,
    )


def standings() -> tuple[Standing, ...]:
    """Return how all processes stand: this one now, the others about a second ago.

    None that hangs is among them.
    """
    mine = place()
    if mine is None:
        return (standing(),)
    mine.board.write(mine.membership.index, standing())
    return tuple(one for _, one in mine.board.standings())
