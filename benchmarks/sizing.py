"""What one picture costs: processor, memory, database, Redis, network; for `benchmarks.capacity`.

Processor time and counts stay what they are on a machine with other work; rates do not. PostgreSQL
runs with the settings it comes with: each commit waits for the disk.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.errand import answer
from benchmarks.memory import resident_bytes, watched
from benchmarks.models import SHIPPED
from benchmarks.photos import photo_file
from benchmarks.postgresql import postgresql
from benchmarks.servers import our_server
from benchmarks.sizing_charges import Charges, Storage, measure_charges
from benchmarks.sizing_request import Request, measure_request, send
from benchmarks.table import table

SIZES: Final = (1.0, 4.0, 12.0, 50.0)
QUICK_SIZES: Final = (1.0, 4.0)
BIG_MEGAPIXELS: Final = 50.0


@dataclass(frozen=True, slots=True)
class Picture:
    """Processor seconds of one picture, and its bytes. rest_s: all that is not the matte."""

    megapixels: float
    format: str
    matte_s: float
    rest_s: float
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of one server process. per_pixel: for each pixel in work."""

    at_rest: int
    per_pixel: float


@dataclass(frozen=True, slots=True)
class Sizing:
    """All of it."""

    pictures: tuple[Picture, ...]
    request: Request
    charges: tuple[Charges, ...]
    storage: tuple[Storage, ...]
    memory: Memory


def measure_sizing(photos: Path, *, quick: bool = False) -> Sizing:
    """Measure everything, one thing after the other."""
    sizes = QUICK_SIZES if quick else SIZES
    pictures = _pictures(photos, sizes, 3 if quick else 7)
    with tempfile.TemporaryDirectory() as folder, postgresql() as database:
        own = next(one for one in pictures if (one.megapixels, one.format) == (1.0, "png"))
        asked = photo_file(photos, 1.0), database, own.matte_s + own.rest_s
        request = measure_request(Path(folder), *asked, 50 if quick else 300)
        charges, storage = measure_charges(Path(folder), database, 2.0 if quick else 12.0)
    with tempfile.TemporaryDirectory() as folder:
        memory = _memory(Path(folder), photos)
    return Sizing(pictures, request, charges, storage, memory)


def sizing_tables(found: Sizing) -> Iterator[str]:
    """Yield the tables."""
    head = ("one picture", "format", "matte, CPU ms", "rest, CPU ms", "in, kB", "out, kB")
    yield table(
        head,
        [
            (
                *(f"{one.megapixels:g} MP", one.format),
                *(f"{one.matte_s * 1e3:.1f}", f"{one.rest_s * 1e3:.1f}"),
                *(f"{one.bytes_in / 1e3:.0f}", f"{one.bytes_out / 1e3:.0f}"),
            )
            for one in found.pictures
        ],
    )
    request = found.request
    rows = [
        ("web process, CPU ms", f"{request.web_s * 1e3:.1f}"),
        ("PostgreSQL, CPU ms", f"{request.postgresql_s * 1e3:.2f}"),
        ("Redis, CPU ms", f"{request.redis_s * 1e3:.2f}"),
        ("PostgreSQL, transactions", f"{request.transactions:.1f}"),
        ("PostgreSQL, statements", f"{request.statements:.1f}"),
        ("PostgreSQL, bytes of write-ahead log", f"{request.wal_bytes:.0f}"),
        ("Redis, commands", f"{request.redis_commands:.1f}"),
        ("Redis, bytes over the network", f"{request.redis_bytes:.0f}"),
    ]
    yield table(("one paid request, beside its picture", "measured"), rows)
    yield table(
        ("charges", "users", "connections", "a second", "database, CPU ms each"),
        [
            (
                *(one.database, str(one.users), str(one.connections)),
                *(f"{one.rate:.0f}", f"{one.processor_s * 1e3:.2f}" if one.processor_s else ""),
            )
            for one in found.charges
        ],
    )
    yield table(
        ("on disk, one charge", "charges", "bytes", "written ahead", "verified a second"),
        [
            (
                *(one.database, str(one.charges), f"{one.bytes:.0f}", f"{one.wal_bytes:.0f}"),
                f"{one.verified:.0f}" if one.verified else "",
            )
            for one in found.storage
        ],
    )
    yield table(
        ("memory of a process", "measured"),
        [
            ("at rest, model loaded", f"{found.memory.at_rest / 1e6:.0f} MB"),
            ("each megapixel in work", f"{found.memory.per_pixel:.0f} MB"),
        ],
    )


def _pictures(photos: Path, sizes: tuple[float, ...], repeats: int) -> tuple[Picture, ...]:
    files = {str(photo_file(photos, size)): size for size in sizes}
    job = json.dumps({"photos": list(files), "repeats": repeats})
    found = answer("benchmarks.sizing_pictures", job, dict(os.environ))
    return tuple(Picture(files[facts.pop("photo")], **facts) for facts in found)


def _memory(folder: Path, photos: Path) -> Memory:
    """Let one large picture be computed, and see what the process took for it."""
    with our_server(folder, model=SHIPPED) as server:
        send(server, photo_file(photos, 1.0), 4)
        rest = resident_bytes(server.pid)
        with watched(server.pid) as (peak, _):
            send(server, photo_file(photos, BIG_MEGAPIXELS), 1)
    return Memory(rest, (peak.bytes - rest) / (BIG_MEGAPIXELS * 1e6))
