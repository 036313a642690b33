"""The stages of a cut-out: each is timed for /metrics and, where somebody traces, a span."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from openrembg.server.observability import spans
from openrembg.server.observability.metrics import count_stage

if TYPE_CHECKING:
    from openrembg.matting.pipeline import Timings

STEPS: Final = ("decode", "matte", "compose", "encode")


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time the block as the stage `name`, also when it raises."""
    began = time.perf_counter()
    with spans.child(name):
        try:
            yield
        finally:
            count_stage(name, time.perf_counter() - began)


def note_steps(timings: "Timings", began_ns: int, **about: spans.Attribute) -> None:
    """Take note of a cut-out's steps. began_ns: when it began; about: what the matte's span says.

    A step that was not needed took no time, and counts as such.
    """
    times = (timings.decode_s, timings.matte_s, timings.compose_s, timings.encode_s)
    for name, begins_s, seconds in zip(STEPS, timings.begins_s, times, strict=True):
        count_stage(name, seconds)
        if seconds:
            said = about if name == "matte" else {}
            spans.past(name, began_ns + int(begins_s * 1e9), seconds, **said)
