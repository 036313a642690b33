"""What a picture costs more when Ray computes its matte, and what a second replica brings.

One server computes by itself, on every core, the others on a Ray that each starts on this machine;
a replica has one CPU, and a matte takes one thread on either side. The time of a matte alone is
what the server says in `Server-Timing`: with Ray, the file's bytes on their way there and the matte
on its way back too.
"""

import http.client
import importlib.util
import re
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.errors import BenchmarkFailed
from benchmarks.load import BOUNDARY, HOST, Load, multipart
from benchmarks.memory import PROC, family, resident_bytes
from benchmarks.models import SHIPPED
from benchmarks.photos import photo_file
from benchmarks.rates import job_for, loaded
from benchmarks.series import Series
from benchmarks.servers import Server, our_server
from benchmarks.table import table

# Files of about 0.1, 1 and 10 MB.
MEGAPIXELS: Final = (0.35, 3.5, 35.0)
WARM_UP: Final = 3
RATE_MEGAPIXELS: Final = 0.35
CLIENTS: Final = 8
SECONDS: Final = 5.0
REPLICAS: Final = (1, 2)
# A small answer, made fast: the time is the matte's.
FIELDS: Final = {"format": "png", "mask": "true"}
_MATTE_MS = re.compile(r"\bmatte;dur=([0-9.]+)")


@dataclass(frozen=True, slots=True)
class Turns:
    """One file, asked of both in turns: milliseconds of the whole request and of the matte alone.

    extra, extra_matte: the differences within each pair.
    """

    file_bytes: int
    local: Series
    ray: Series
    extra: Series
    extra_matte: Series


@dataclass(frozen=True, slots=True)
class Replicas:
    """A server with so many replicas: images per second, start-up, and memory at rest in bytes."""

    count: int
    rate: Series
    failures: tuple[str, ...]
    ready_s: float
    server_bytes: int
    replica_bytes: int
    rest_bytes: int


@dataclass(frozen=True, slots=True)
class RayCosts:
    """Everything that is measured here. alone: images per second of the server without Ray."""

    turns: tuple[Turns, ...]
    alone: Series
    replicas: tuple[Replicas, ...]


def measure_ray_costs(photos: Path, *, quick: bool = False) -> RayCosts:
    """Ask servers with and without Ray in turns. Raises BenchmarkFailed where there is no Ray."""
    if importlib.util.find_spec("ray") is None:
        raise BenchmarkFailed("Ray is not installed: ./run setup --extra ray")
    pairs, rounds = (20, 1) if quick else (100, 3)
    with (
        tempfile.TemporaryDirectory() as folder,
        _server(Path(folder) / "local") as local,
    ):
        with _server(Path(folder) / "one", "ray") as one:
            turns = tuple(_in_turns(local, one, photos, size, pairs) for size in MEGAPIXELS)
        rates: dict[int, list[Load]] = {count: [] for count in (0, *REPLICAS)}
        facts = {}
        for number in range(rounds):
            rates[0].append(_loaded(local, photos))
            for count in REPLICAS:
                with _server(Path(folder) / f"{number}-{count}", "ray", count) as server:
                    rates[count].append(_loaded(server, photos))
                    facts[count] = (server.ready_s, *_memory(server.pid))
    replicas = tuple(
        Replicas(count, _rate(rates[count]), _failures(rates[count]), *facts[count])
        for count in REPLICAS
    )
    return RayCosts(turns, _rate(rates[0]), replicas)


def ray_costs_table(measured: RayCosts) -> str:
    """Return two tables: milliseconds by file, and images per second by replicas."""
    head = ("one request, ms", "without Ray", "with Ray", "extra", "of that, the matte")
    lines: list[tuple[str, ...]] = [
        (
            f"{turns.file_bytes / 1e6:.1f} MB",
            *(one.text() for one in (turns.local, turns.ray, turns.extra, turns.extra_matte)),
        )
        for turns in measured.turns
    ]
    names = ("computes", "images /s", "start s", "server MB", "replicas MB", "the rest of Ray MB")
    rows: list[tuple[str, ...]] = [("the server itself", measured.alone.text(), "", "", "", "")]
    rows += [
        (
            f"replicas: {one.count} × 1 CPU"
            + (f", {len(one.failures)} failed" if one.failures else ""),
            one.rate.text(),
            f"{one.ready_s:.1f}",
            *(
                f"{size / 1e6:.0f}"
                for size in (one.server_bytes, one.replica_bytes, one.rest_bytes)
            ),
        )
        for one in measured.replicas
    ]
    return table(head, lines) + "\n\n" + table(names, rows)


def _server(
    data: Path, inference: str = "local", replicas: int = 1
) -> AbstractContextManager[Server]:
    """Run a server that computes by itself, or with a Ray of its own and so many replicas."""
    return our_server(
        data,
        model=SHIPPED,
        OPENREMBG_THREADS="1",
        OPENREMBG_WORKERS=str(CLIENTS),
        OPENREMBG_INFERENCE=inference,
        OPENREMBG_RAY_MIN_REPLICAS=str(replicas),
        OPENREMBG_RAY_MAX_REPLICAS=str(replicas),
    )


def _in_turns(local: Server, ray: Server, photos: Path, megapixels: float, pairs: int) -> Turns:
    photo = photo_file(photos, megapixels).read_bytes()
    body = multipart(FIELDS, "image", photo)
    servers = (local, ray)
    connections = [http.client.HTTPConnection(HOST, one.port, timeout=120) for one in servers]
    times: tuple[list[tuple[float, float]], ...] = ([], [])
    for _ in range(WARM_UP + pairs):
        for connection, own in zip(connections, times, strict=True):
            own.append(_ask(connection, body))
    for connection in connections:
        connection.close()
    here, there = (own[WARM_UP:] for own in times)
    return Turns(
        len(photo),
        Series(tuple(whole for whole, _ in here)),
        Series(tuple(whole for whole, _ in there)),
        Series(tuple(b[0] - a[0] for a, b in zip(here, there, strict=True))),
        Series(tuple(b[1] - a[1] for a, b in zip(here, there, strict=True))),
    )


def _ask(connection: http.client.HTTPConnection, body: bytes) -> tuple[float, float]:
    """Return the milliseconds of the request, and of the matte as the server measured it."""
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    start = time.perf_counter()
    connection.request("POST", "/rmbg", body, kind)
    response = connection.getresponse()
    response.read()
    whole = (time.perf_counter() - start) * 1000
    told = _MATTE_MS.search(response.headers.get("Server-Timing", ""))
    if response.status != 200 or told is None:
        raise BenchmarkFailed(f"a mask was answered with {response.status}")
    return whole, float(told[1])


def _loaded(server: Server, photos: Path) -> Load:
    photo, server = photo_file(photos, RATE_MEGAPIXELS), replace(server, fields=FIELDS)
    loaded(job_for(server, photo, "png", CLIENTS, SECONDS, most=2 * CLIENTS))
    return loaded(job_for(server, photo, "png", CLIENTS, SECONDS))


def _rate(loads: Sequence[Load]) -> Series:
    return Series(tuple(len(load.latencies) / load.seconds for load in loads))


def _failures(loads: Sequence[Load]) -> tuple[str, ...]:
    return tuple(failure for load in loads for failure in load.failures)


def _memory(pid: int) -> tuple[int, int, int]:
    """Return the resident bytes of a server, of its replicas, and of all else that Ray runs."""
    sizes: dict[bool, int] = {True: 0, False: 0}
    for one in family(pid) - {pid}:
        sizes[_is_replica(one)] += resident_bytes(one)
    return resident_bytes(pid), sizes[True], sizes[False]


def _is_replica(pid: int) -> bool:
    try:
        return b"ServeReplica" in (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False
