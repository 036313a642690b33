"""Rate and memory of both servers under concurrent clients, in turns."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks import goals
from benchmarks.errors import BenchmarkFailed
from benchmarks.load import Job, Load
from benchmarks.memory import available_bytes, watched
from benchmarks.peer import ROOT
from benchmarks.photos import photo_file
from benchmarks.series import Series
from benchmarks.servers import Server, our_server, peer_server
from benchmarks.table import table

CLIENTS: Final = (1, 4, 16)
# What the peer was seen to need for 16 uploads of 50 MP, and some air for the machine.
PEER_NEEDS_BYTES: Final = 18 * 10**9
FLOOR_BYTES: Final = 2 * 10**9
BIG_MEGAPIXELS: Final = 50.0
REQUEST_S: Final = 120.0
BIG_REQUEST_S: Final = 400.0
POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Stream:
    """One side's loads of one kind at one number of clients."""

    side: str
    output: str
    clients: int
    loads: tuple[Load, ...]
    peak_bytes: int

    @property
    def rate(self) -> Series:
        """Images per second, a value for each round."""
        return Series(tuple(len(load.latencies) / load.seconds for load in self.loads))

    @property
    def latency(self) -> Series:
        return Series(tuple(one for load in self.loads for one in load.latencies))

    @property
    def busy(self) -> int:
        return sum(load.busy for load in self.loads)

    @property
    def failures(self) -> tuple[str, ...]:
        return tuple(failure for load in self.loads for failure in load.failures)


def measure_rates(
    photos: Path, clients: tuple[int, ...], rounds: int, seconds: float
) -> tuple[Stream, ...]:
    """Load both servers with 1 MP photos, freshly started for each number of clients."""
    photo = photo_file(photos, 1)
    return tuple(stream for count in clients for stream in _streams(photo, count, rounds, seconds))


def _streams(photo: Path, clients: int, rounds: int, seconds: float) -> list[Stream]:
    kinds = (
        ("ours", "png"),
        ("peer", "png"),
        ("ours", "webp"),
        ("ours + colours", "png"),
        ("peer", "png"),
        ("ours + colours", "webp"),
    )
    loads: dict[tuple[str, str], list[Load]] = {kind: [] for kind in kinds}
    with (
        tempfile.TemporaryDirectory() as folder,
        our_server(Path(folder) / "plain", colors=False) as plain,
        our_server(Path(folder) / "colours") as colored,
        peer_server(Path(folder)) as peer,
        watched(plain.pid) as (plain_peak, _),
        watched(colored.pid) as (colored_peak, _),
        watched(peer.pid) as (peer_peak, _),
    ):
        servers = {server.name: server for server in (plain, colored, peer)}
        for side, output in kinds:
            loaded(job_for(servers[side], photo, output, 1, seconds, most=2))
        for _ in range(rounds):
            for side, output in kinds:
                job = job_for(servers[side], photo, output, clients, seconds)
                loads[side, output].append(loaded(job))
    peaks = {plain.name: plain_peak, colored.name: colored_peak, peer.name: peer_peak}
    return [
        Stream(side, output, clients, tuple(loads[side, output]), peaks[side].bytes)
        for side, output in loads
    ]


def measure_big_uploads(photos: Path) -> tuple[Stream, ...]:
    """Let 16 clients send one 50 MP photo each at the same moment; each time a fresh server.

    The peer is left out, with a line that says so, on a machine with too little free memory, and
    stopped when the memory runs out under it.
    """
    photo = photo_file(photos, BIG_MEGAPIXELS)
    streams = [_burst(our_server, photo, "png"), _burst(our_server, photo, "webp")]
    free = available_bytes()
    if free < PEER_NEEDS_BYTES:
        print(f"(The peer needs about 18 GB here; {free / 1e9:.1f} GB are free: left out.)")
        return tuple(streams)
    try:
        return (*streams, _burst(peer_server, photo, "png"))
    except BenchmarkFailed as error:
        print(f"(The peer did not get through: {error}.)")
        return tuple(streams)


def _burst(
    serve: Callable[[Path], AbstractContextManager[Server]], photo: Path, output: str
) -> Stream:
    clients = goals.MANY
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server:
        # The first request loads the peer's model: a small photo pays for it, unmeasured.
        small = photo_file(photo.parent, 1)
        loaded(job_for(server, small, output, 1, REQUEST_S, most=1))
        with watched(server.pid, FLOOR_BYTES) as (peak, short):
            job = job_for(server, photo, output, clients, BIG_REQUEST_S, clients, BIG_REQUEST_S)
            try:
                load = loaded(job, short)
            finally:
                if short.is_set():
                    # At once: what it still works on would take the machine's last memory.
                    os.kill(server.pid, signal.SIGKILL)
        return Stream(server.name, output, clients, (load,), peak.bytes)


def job_for(
    server: Server,
    photo: Path,
    output: str,
    clients: int,
    seconds: float,
    most: int = 2000,
    timeout_s: float = REQUEST_S,
) -> Job:
    return Job(
        port=server.port,
        path=server.path,
        field_name=server.field_name,
        fields=server.fields or {"format": output},
        photo=str(photo),
        clients=clients,
        seconds=seconds,
        most=most,
        timeout_s=timeout_s,
    )


def loaded(job: Job, give_up: threading.Event | None = None) -> Load:
    """Run the load client on a job; `give_up` ends it at once.

    Raises BenchmarkFailed when not one image came back, or the client had to be ended.
    """
    command = [sys.executable, "-m", "benchmarks.load", json.dumps(asdict(job))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as client:
        text = _words(client, job.seconds + 2 * job.timeout_s, give_up)
    if client.returncode != 0:
        raise BenchmarkFailed(f"the load client ended with {client.returncode}")
    load = Load(**json.loads(text))
    if not load.latencies:
        raise BenchmarkFailed(f"no image from {job.path}: {load.failures[:3]}")
    return load


def _words(client: subprocess.Popen[str], limit_s: float, give_up: threading.Event | None) -> str:
    deadline = time.perf_counter() + limit_s
    while True:
        try:
            return client.communicate(timeout=POLL_S)[0]
        except subprocess.TimeoutExpired:
            if time.perf_counter() > deadline or (give_up is not None and give_up.is_set()):
                client.kill()


def rate_table(streams: tuple[Stream, ...]) -> str:
    """Return images per second and peak memory of both, their ratio, and the goals."""
    peers = {stream.clients: stream for stream in streams if stream.side == "peer"}
    head = (
        "clients",
        "ours",
        "ours /s",
        "peer /s",
        "ratio",
        "goal",
        "ours ms",
        "peer ms",
        "ours GB",
        "goal",
        "peer GB",
        "503s",
        "failed",
    )
    lines = [
        _rate_line(stream, peers[stream.clients]) for stream in streams if stream.side != "peer"
    ]
    return table(head, lines)


def _rate_line(ours: Stream, peer: Stream) -> tuple[str, ...]:
    ratio = ours.rate.median / peer.rate.median
    many = ours.clients == goals.MANY
    alike = ours.side == "ours"
    peak_gb = ours.peak_bytes / 1e9
    return (
        str(ours.clients),
        ours.output.upper() + ("" if alike else " + colours"),
        ours.rate.text(),
        peer.rate.text(),
        f"{ratio:.1f} ×",
        goals.at_least(ratio, goals.RATE_AT_16[ours.output] if many and alike else None),
        f"{ours.latency.median * 1e3:.0f}",
        f"{peer.latency.median * 1e3:.0f}",
        f"{peak_gb:.2f}",
        goals.at_most(peak_gb, goals.PEAK_1_MP_GB if many else None, "GB"),
        f"{peer.peak_bytes / 1e9:.2f}",
        str(ours.busy + peer.busy),
        str(len(ours.failures) + len(peer.failures)),
    )


def big_table(streams: tuple[Stream, ...]) -> str:
    """Return the time until all big uploads are answered, and the peak memory."""
    head = ("16 × 50 MP", "format", "whole s", "images", "peak GB", "goal", "503s", "failed")
    lines = [
        (
            stream.side,
            stream.output.upper(),
            f"{stream.loads[0].seconds:.1f}",
            str(len(stream.loads[0].latencies)),
            f"{stream.peak_bytes / 1e9:.2f}",
            goals.at_most(
                stream.peak_bytes / 1e9,
                goals.PEAK_50_MP_GB if stream.side != "peer" else None,
                "GB",
            ),
            str(stream.busy),
            str(len(stream.failures)),
        )
        for stream in streams
    ]
    return table(head, lines)
