"""How long a server takes from its start to ready, and to its first cut-out."""

import http.client
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import goals
from benchmarks.errors import BenchmarkFailed
from benchmarks.load import BOUNDARY, HOST, Job, form
from benchmarks.models import SHIPPED
from benchmarks.photos import photo_file
from benchmarks.series import Series
from benchmarks.servers import Server, our_server
from benchmarks.table import table


@dataclass(frozen=True, slots=True)
class WarmStart:
    """Seconds since the process was started."""

    ready: Series
    first: Series


def measure_warm_start(photos: Path, repeats: int) -> WarmStart:
    """Start our server again and again on a data folder that has been used before."""
    photo = photo_file(photos, 1)
    with tempfile.TemporaryDirectory() as folder:
        _start(Path(folder), photo)
        starts = [_start(Path(folder), photo) for _ in range(repeats)]
    return WarmStart(
        Series(tuple(one[0] for one in starts)), Series(tuple(one[1] for one in starts))
    )


def _start(data: Path, photo: Path) -> tuple[float, float]:
    with our_server(data, model=SHIPPED) as server:
        start = time.perf_counter()
        _cut_out(server, photo)
        return server.ready_s, server.ready_s + time.perf_counter() - start


def _cut_out(server: Server, photo: Path) -> None:
    job = Job(server.port, server.path, server.field_name, {}, str(photo), 1, 60, 1, 60)
    connection = http.client.HTTPConnection(HOST, server.port, timeout=job.timeout_s)
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection.request("POST", server.path, form(job, photo.read_bytes()), kind)
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != 200:
        raise BenchmarkFailed(f"the first cut-out was answered with {response.status}")


def warm_start_table(start: WarmStart) -> str:
    """Return both times in seconds with the goal."""
    head = ("from process start", "seconds", "goal")
    return table(
        head,
        [
            (
                "/ready answers 200",
                start.ready.text(digits=2),
                goals.at_most(start.ready.median, goals.WARM_START_S, "s"),
            ),
            (
                "first 1 MP cut-out",
                start.first.text(digits=2),
                goals.at_most(start.first.median, goals.WARM_START_S, "s"),
            ),
        ],
    )
