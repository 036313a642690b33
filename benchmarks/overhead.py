"""What an account costs one request: auth, limits and ledger, beside an anonymous request.

One server answers both kinds in turns on kept connections, with a photo so small that little else
takes time. Anonymous callers have no limits here, so that their request asks nobody for anything.
`DATABASE_URL` and `REDIS_URL` in the environment choose another house than SQLite alone.
"""

import http.client
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import goals
from benchmarks.errors import BenchmarkFailed
from benchmarks.load import BOUNDARY, HOST, Job, form
from benchmarks.members import new_member
from benchmarks.models import SHIPPED
from benchmarks.photos import photo_file
from benchmarks.series import Series
from benchmarks.servers import Server, our_server
from benchmarks.table import table

MEGAPIXELS: Final = 0.1
WARM_UP: Final = 20


@dataclass(frozen=True, slots=True)
class Overhead:
    """Milliseconds of one request, by kind; extra: the difference within each pair."""

    anonymous: Series
    member: Series
    extra: Series


def measure_overhead(photos: Path, pairs: int) -> Overhead:
    """Ask in turns, anonymously and with a key."""
    with tempfile.TemporaryDirectory() as folder:
        key = new_member(Path(folder))
        redis_url = os.environ.get("REDIS_URL", "")
        with our_server(Path(folder), model=SHIPPED, redis_url=redis_url) as server:
            anonymous, member = _in_turns(server, photo_file(photos, MEGAPIXELS), key, pairs)
    extra = tuple(b - a for a, b in zip(anonymous, member, strict=True))
    return Overhead(Series(tuple(anonymous)), Series(tuple(member)), Series(extra))


def overhead_table(measured: Overhead) -> str:
    """Return medians in milliseconds with the goal."""
    rows = (
        ("anonymous, no limits", measured.anonymous, ""),
        ("with an API key", measured.member, ""),
        (
            "extra, within each pair",
            measured.extra,
            goals.at_most(measured.extra.median, goals.OVERHEAD_MS, "ms"),
        ),
    )
    head = ("one request of 0.1 MP", "ms", "goal")
    return table(head, [(name, series.text(digits=2), goal) for name, series, goal in rows])


def _in_turns(server: Server, photo: Path, key: str, pairs: int) -> tuple[list[float], list[float]]:
    job = Job(server.port, server.path, server.field_name, {}, str(photo), 1, 60, 1, 60)
    body = form(job, photo.read_bytes())
    ways: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {"X-Api-Key": key})
    connections = [http.client.HTTPConnection(HOST, server.port, timeout=60) for _ in ways]
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(WARM_UP + pairs):
        for connection, headers, own in zip(connections, ways, times, strict=True):
            own.append(_ask(connection, body, headers))
    for connection in connections:
        connection.close()
    return times[0][WARM_UP:], times[1][WARM_UP:]


def _ask(connection: http.client.HTTPConnection, body: bytes, headers: Mapping[str, str]) -> float:
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    start = time.perf_counter()
    connection.request("POST", "/rmbg", body, {**kind, **headers})
    response = connection.getresponse()
    response.read()
    if response.status != 200:
        raise BenchmarkFailed(f"a cut-out was answered with {response.status}")
    return (time.perf_counter() - start) * 1000
