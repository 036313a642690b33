"""Ten thousand requests in a row, of every kind: does the server hold more and more?"""

import http.client
import itertools
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from benchmarks import goals
from benchmarks.errors import BenchmarkFailed
from benchmarks.holdings import Holdings, holdings
from benchmarks.load import BOUNDARY, HOST, multipart
from benchmarks.members import new_member
from benchmarks.models import SHIPPED
from benchmarks.photos import paint
from benchmarks.servers import our_server
from benchmarks.table import table

REQUESTS: Final = 10_000
QUICK_REQUESTS: Final = 2_000
# Until then threads, connections to the database and pools fill up.
WARM_UP: Final = 1000
LOOK_EVERY: Final = 100
# So many requests go over one connection before the next is opened.
KEPT_FOR: Final = 7
# Another thread's connection to the database, a client's socket: no more than that comes and goes.
A_FEW_FILES: Final = 8
PHOTO_SIDE: Final = 160
EXTENSIONS: Final = ("jpg", "png", "webp", "bmp")
REQUEST_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request and the answer that it must get."""

    method: str
    path: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Soak:
    """What the server held after each so many requests. seconds: of all requests."""

    requests: int
    seconds: float
    looks: tuple[tuple[int, Holdings], ...]

    @property
    def growth_mb(self) -> float:
        """Megabytes of resident memory for each thousand requests, by least squares."""
        return slope([(at, one.resident_bytes / 1e6) for at, one in self.looks]) * 1000


def measure_soak(*, quick: bool = False) -> Soak:
    """Ask a fresh server of ours, with SQLite alone, for a mixture of everything."""
    requests = QUICK_REQUESTS if quick else REQUESTS
    with (
        tempfile.TemporaryDirectory() as folder,
        our_server(Path(folder), model=SHIPPED) as server,
    ):
        key = new_member(Path(folder))
        return soak(server.port, server.pid, mixture(key), requests, WARM_UP)


def soak(port: int, pid: int, mixed: Iterator[Request], requests: int, warm_up: int) -> Soak:
    """Send that many requests one after the other and look at the server meanwhile.

    Raises BenchmarkFailed at the first answer that has another status than it should.
    """
    looks: list[tuple[int, Holdings]] = []
    start = time.perf_counter()
    connection = _connection(port)
    for number, request in enumerate(itertools.islice(mixed, requests), start=1):
        _ask(connection, request)
        if number % KEPT_FOR == 0:
            connection.close()
            connection = _connection(port)
        if number >= warm_up and number % LOOK_EVERY == 0:
            looks.append((number, holdings(pid)))
    connection.close()
    return Soak(requests, time.perf_counter() - start, tuple(looks))


def mixture(key: str) -> Iterator[Request]:
    """Yield requests without end: photos of all formats, errors, retries, usage and pages."""
    member = {"X-Api-Key": key}
    photos = [cv2.imencode(f".{name}", paint(PHOTO_SIDE))[1].tobytes() for name in EXTENSIONS]
    for turn in itertools.count():
        for photo, name in zip(photos, EXTENSIONS, strict=True):
            output = EXTENSIONS[(turn + len(name)) % len(EXTENSIONS)]
            yield _cut_out(200, photo, {"format": output}, member)
        yield _cut_out(200, photos[0], {"mask": "true"}, {})
        again = {**member, "Idempotency-Key": f"soak-{turn}"}
        yield _cut_out(200, photos[0], {}, again)
        yield _cut_out(200, photos[0], {}, again)
        yield _cut_out(400, photos[0], {"w": "wide", "format": "gif"}, member)
        yield _cut_out(400, photos[1][: len(photos[1]) // 2], {}, member)
        yield _cut_out(400, b"no photo at all", {}, member)
        yield _cut_out(401, photos[0], {}, {"X-Api-Key": "nobody's"})
        yield Request("GET", f"/nowhere-{turn}", 404)
        yield Request("GET", "/api/membership-usage?listBillingCycles=1", 200, member)
        yield Request("GET", "/api/membership-usage?month=0x", 400, member)
        yield Request("GET", ("/en/", "/fa/plans", "/ko/api-usage", "/api/openapi")[turn % 4], 200)
        yield Request("GET", ("/health", "/ready", "/metrics")[turn % 3], 200)


def slope(points: list[tuple[int, float]]) -> float:
    """Return the slope of the line that lies nearest to the points, by least squares."""
    x, y = np.array(points, np.float64).T
    return float(np.polyfit(x - x.mean(), y, 1)[0])


def _cut_out(status: int, photo: bytes, fields: dict[str, str], headers: dict[str, str]) -> Request:
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    body = multipart(fields, "image", photo)
    return Request("POST", "/rmbg", status, {**kind, **headers}, body)


def _connection(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(HOST, port, timeout=REQUEST_S)


def _ask(connection: http.client.HTTPConnection, request: Request) -> None:
    connection.request(request.method, request.path, request.body, request.headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != request.status:
        said = f"{request.method} {request.path}: {answer.status} for {request.status}"
        raise BenchmarkFailed(f"{said}: {text[:200]!r}")


def soak_table(measured: Soak) -> str:
    """Return what the server held after the first thousand and in the end, and the goals."""
    held = [look for _, look in measured.looks]
    rows = (
        ("memory, MB", [look.resident_bytes / 1e6 for look in held]),
        ("threads", [float(look.threads) for look in held]),
        ("open files", [float(look.descriptors) for look in held]),
    )
    growth = goals.at_most(measured.growth_mb, goals.GROWTH_MB, "MB")
    grown = (f"{measured.growth_mb:.2f} MB", growth)
    flat = [
        _flat(values, most) for (_, values), most in zip(rows[1:], (0, A_FEW_FILES), strict=True)
    ]
    head = ("requests in a row", "at 1000", "at the end", "most", "each 1000", "goal")
    lines = [
        (name, *(f"{value:.0f}" for value in (values[0], values[-1], max(values))), *verdict)
        for (name, values), verdict in zip(rows, (grown, *flat), strict=True)
    ]
    return table(head, lines)


def _flat(values: list[float], most: int) -> tuple[str, str]:
    """Return by how much the last quarter lies over the first, and whether that is too much."""
    quarter = max(1, len(values) // 4)
    more = max(values[-quarter:]) - max(values[:quarter])
    return f"{more:+.0f} since", goals.at_most(more, most, "more")
