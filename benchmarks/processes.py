"""One server process beside two, at sixteen concurrent clients, in turns."""

import tempfile
from pathlib import Path
from typing import Final

from benchmarks import goals
from benchmarks.load import Load
from benchmarks.memory import watched
from benchmarks.models import SHIPPED
from benchmarks.photos import photo_file
from benchmarks.rates import Stream, job_for, loaded
from benchmarks.servers import our_server
from benchmarks.table import table

COUNTS: Final = (1, 2)
OUTPUTS: Final = ("png", "webp")
ROUNDS: Final = 3
SECONDS: Final = 4.0
# Model and caches of each process are warm after so many.
WARM_UP: Final = 32


def measure_processes(photos: Path, *, quick: bool = False) -> tuple[Stream, ...]:
    """Load a server of one process and one of two with 1 MP photos; the side is their number."""
    photo, rounds = photo_file(photos, 1), 1 if quick else ROUNDS
    kinds = [(count, output) for count in COUNTS for output in OUTPUTS]
    loads: dict[tuple[int, str], list[Load]] = {kind: [] for kind in kinds}
    with (
        tempfile.TemporaryDirectory() as folder,
        our_server(Path(folder) / "one", model=SHIPPED, OPENREMBG_PROCESSES="1") as one,
        our_server(Path(folder) / "two", model=SHIPPED, OPENREMBG_PROCESSES="2") as two,
        watched(one.pid) as (one_peak, _),
        watched(two.pid) as (two_peak, _),
    ):
        servers, peaks = {1: one, 2: two}, {1: one_peak, 2: two_peak}
        for server in servers.values():
            loaded(job_for(server, photo, "png", goals.MANY, SECONDS, most=WARM_UP))
        for turn in range(rounds):
            for count, output in kinds if turn % 2 == 0 else kinds[::-1]:
                job = job_for(servers[count], photo, output, goals.MANY, SECONDS)
                loads[count, output].append(loaded(job))
    return tuple(
        Stream(str(count), output, goals.MANY, tuple(loads[count, output]), peaks[count].bytes)
        for count, output in kinds
    )


def processes_table(streams: tuple[Stream, ...]) -> str:
    """Return images per second, what an image takes, and memory, one process beside two."""
    head = ("16 clients, 1 MP", "processes", "images /s", "ms", "peak GB", "503s", "failed")
    lines = [
        (
            stream.output.upper(),
            stream.side,
            stream.rate.text(),
            f"{stream.latency.median * 1e3:.0f}",
            f"{stream.peak_bytes / 1e9:.2f}",
            str(stream.busy),
            str(len(stream.failures)),
        )
        for stream in sorted(streams, key=lambda stream: (stream.output, stream.side))
    ]
    return table(head, lines)
