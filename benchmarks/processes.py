"""One server process beside two, at sixteen concurrent clients, in turns."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import goals
from benchmarks.load import Load
from benchmarks.memory import watched
from benchmarks.models import SHIPPED
from benchmarks.photos import photo_file
from benchmarks.rates import job_for, loaded
from benchmarks.series import Series
from benchmarks.servers import our_server
from benchmarks.table import table

COUNTS: Final = (1, 2)
OUTPUTS: Final = ("png", "webp")
ROUNDS: Final = 3
SECONDS: Final = 4.0
# Model and caches of each process are warm after so many.
WARM_UP: Final = 32


@dataclass(frozen=True, slots=True)
class House:
    """A server of some processes under load, one kind of output."""

    processes: int
    output: str
    loads: tuple[Load, ...]
    peak_bytes: int

    @property
    def rate(self) -> Series:
        """Images per second, a value for each round."""
        return Series(tuple(len(load.latencies) / load.seconds for load in self.loads))

    @property
    def latency(self) -> Series:
        """Seconds of each image."""
        return Series(tuple(one for load in self.loads for one in load.latencies))


def measure_processes(photos: Path, *, quick: bool = False) -> tuple[House, ...]:
    """Load a server of one process and one of two with 1 MP photos."""
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
        House(count, output, tuple(loads[count, output]), peaks[count].bytes)
        for count, output in kinds
    )


def processes_table(houses: tuple[House, ...]) -> str:
    """Return images per second, what an image takes, and memory, one process beside two."""
    head = ("16 clients, 1 MP", "processes", "images /s", "ms", "peak GB", "503s", "failed")
    lines = [
        (
            house.output.upper(),
            str(house.processes),
            house.rate.text(),
            f"{house.latency.median * 1e3:.0f}",
            f"{house.peak_bytes / 1e9:.2f}",
            str(sum(load.busy for load in house.loads)),
            str(sum(len(load.failures) for load in house.loads)),
        )
        for house in sorted(houses, key=lambda house: (house.output, house.processes))
    ]
    return table(head, lines)
