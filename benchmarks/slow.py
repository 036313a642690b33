"""Five hundred slow connections: how much longer do others wait?"""

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import goals
from benchmarks.clients import ask_client
from benchmarks.errors import BenchmarkFailed
from benchmarks.membership_load import Job as Questions
from benchmarks.models import SHIPPED
from benchmarks.photos import photo_file
from benchmarks.rates import job_for, loaded
from benchmarks.servers import Server, our_server
from benchmarks.slow_clients import slow_clients
from benchmarks.table import table

CONNECTIONS: Final = 500
QUICK_CONNECTIONS: Final = 100
ROUNDS: Final = 4
SECONDS: Final = 4.0
MEGAPIXELS: Final = 0.1
HEALTH_REQUESTS: Final = 400
CLIENT_S: Final = 60.0
# The server has taken or lost them all by then.
SETTLE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds that others waited for their answers, round by round, in turns."""

    what: str
    quiet: tuple[tuple[float, ...], ...]
    slow: tuple[tuple[float, ...], ...]

    @property
    def ratio(self) -> float:
        """How many times longer the 95th percentile is: the median of the rounds."""
        pairs = zip(self.quiet, self.slow, strict=True)
        return statistics.median(p95(slow) / p95(quiet) for quiet, slow in pairs)


def measure_slow(photos: Path, *, quick: bool = False) -> tuple[int, tuple[Waits, ...]]:
    """Measure cut-outs and /health on a quiet server and beside slow connections, in turns.

    Returns how many slow connections were held at least, and what others waited.
    """
    number, rounds = (QUICK_CONNECTIONS, 2) if quick else (CONNECTIONS, ROUNDS)
    photo = photo_file(photos, MEGAPIXELS)
    quiet: list[tuple[tuple[float, ...], ...]] = []
    slow: list[tuple[tuple[float, ...], ...]] = []
    held = number
    with (
        tempfile.TemporaryDirectory() as folder,
        our_server(Path(folder), model=SHIPPED) as server,
    ):
        _others(server, photo)
        for _ in range(rounds):
            quiet.append(_others(server, photo))
            with slow_clients(server.port, number, photo.read_bytes()) as connections:
                time.sleep(SETTLE_S)
                slow.append(_others(server, photo))
                held = min(held, sum(not one.ended for one in connections))
            time.sleep(SETTLE_S)
    names = ("cut-out of 0.1 MP", "/health")
    return held, tuple(
        Waits(name, calm, busy)
        for name, calm, busy in zip(
            names, zip(*quiet, strict=True), zip(*slow, strict=True), strict=True
        )
    )


def p95(seconds: tuple[float, ...]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1]


def _others(server: Server, photo: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the seconds of cut-outs and of /health, asked one after the other."""
    cut_outs = loaded(job_for(server, photo, "webp", 1, SECONDS)).latencies
    questions = Questions(server.port, "/health", ["nobody's"], 1, HEALTH_REQUESTS)
    answers, failures = ask_client("benchmarks.membership_load", questions, CLIENT_S)
    if failures:
        raise BenchmarkFailed(f"/health: {failures[:3]}")
    return tuple(cut_outs), tuple(answers)


def slow_table(measured: tuple[Waits, ...]) -> str:
    """Return the 95th percentiles in milliseconds, their ratio, and the goal."""
    head = ("p95 of others, ms", "answers", "quiet", "beside slow ones", "ratio", "goal")
    lines = [
        (
            waits.what,
            str(sum(len(one) for one in (*waits.quiet, *waits.slow))),
            _milliseconds(waits.quiet),
            _milliseconds(waits.slow),
            f"{waits.ratio:.2f} ×",
            goals.at_most(waits.ratio, goals.SLOWED_BY, "×"),
        )
        for waits in measured
    ]
    return table(head, lines)


def _milliseconds(rounds: tuple[tuple[float, ...], ...]) -> str:
    values = sorted(p95(one) * 1000 for one in rounds)
    return f"{statistics.median(values):.1f} ({values[0]:.1f}–{values[-1]:.1f})"
