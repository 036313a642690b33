"""Sixty-four clients with 50 MiB each at the same moment: memory, disk, and what does not fit."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from benchmarks import goals
from benchmarks.clients import ask_client
from benchmarks.holdings import spool_watched
from benchmarks.members import credits_used, new_member
from benchmarks.memory import watched
from benchmarks.models import SHIPPED
from benchmarks.photos import EDITION, paint, photo_file
from benchmarks.servers import our_server
from benchmarks.table import table
from benchmarks.upload_client import Job, Upload

CLIENTS: Final = 64
QUICK_CLIENTS: Final = 32
MIB: Final = 1024 * 1024
# The largest upload that is taken.
UPLOAD_BYTES: Final = 50 * MIB
# Of three bytes a pixel, rows of a multiple of four bytes, 54 bytes of header: just below that.
BMP_SIDE: Final = 4180
SPOOL_MB: Final = 4096
SMALL_SPOOL_MB: Final = 1024
REQUEST_S: Final = 300.0
# The spool also holds what is around the photo in the form.
SPOOL_SLACK: Final = 1.01


@dataclass(frozen=True, slots=True)
class Crowd:
    """What the clients saw, and what it cost the server. used: credits, by the ledger."""

    kind: str
    spool_mb: int
    uploads: tuple[Upload, ...]
    seconds: float
    peak_bytes: int
    spooled_bytes: int
    used: int

    @property
    def images(self) -> int:
        return sum(upload.status == 200 for upload in self.uploads)

    @property
    def refused(self) -> tuple[Upload, ...]:
        """Those that were answered before their body was read to the end."""
        return tuple(upload for upload in self.uploads if upload.refused_early)

    @property
    def failures(self) -> tuple[Upload, ...]:
        """Neither an image nor a 503 that says when to come back."""
        return tuple(
            upload
            for upload in self.uploads
            if upload.status != 200 and not (upload.status == 503 and upload.retry_after)
        )


def measure_uploads(photos: Path, *, quick: bool = False) -> tuple[Crowd, ...]:
    """Send a photo of 50 MiB from many clients at once; each time to a fresh server."""
    bmp = bmp_file(photos)
    small = ("BMP, 17 MP", bmp, SMALL_SPOOL_MB)
    if quick:
        return (_crowd(*small, QUICK_CLIENTS),)
    full = (("BMP, 17 MP", bmp, SPOOL_MB), ("JPEG, 100 MP", padded_jpeg(photos), SPOOL_MB))
    return tuple(_crowd(*kind, CLIENTS) for kind in (*full, small))


def bmp_file(folder: Path) -> Path:
    """Return a BMP of just below 50 MiB in `folder`, painted on first use."""
    path = folder / f"photo-50mib-{EDITION}.bmp"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(paint(BMP_SIDE)).save(path, "BMP")
    return path


def padded_jpeg(folder: Path) -> Path:
    """Return a JPEG of 100 megapixels and 50 MiB: behind its end are bytes that nobody reads."""
    path = folder / f"photo-50mib-{EDITION}.jpg"
    if not path.exists():
        path.write_bytes(photo_file(folder, 100).read_bytes().ljust(UPLOAD_BYTES, b"\0"))
    return path


def _crowd(kind: str, photo: Path, spool_mb: int, clients: int) -> Crowd:
    with (
        tempfile.TemporaryDirectory() as folder,
        our_server(Path(folder), model=SHIPPED, OPENREMBG_SPOOL_MB=str(spool_mb)) as server,
    ):
        key = new_member(Path(folder))
        job = Job(server.port, str(photo), {"format": "png"}, key, clients, REQUEST_S)
        start = time.perf_counter()
        with watched(server.pid) as (peak, _), spool_watched(server.pid) as most:
            found = ask_client("benchmarks.upload_client", job, 2 * REQUEST_S)
        seconds = time.perf_counter() - start
        uploads = tuple(Upload(**one) for one in found)
        used = credits_used(server.port, key)
    return Crowd(kind, spool_mb, uploads, seconds, peak.bytes, most.unnamed_bytes, used)


def uploads_table(crowds: tuple[Crowd, ...]) -> str:
    """Return what was answered, memory, disk, credits, and the goals."""
    head = (
        "50 MiB each, at once",
        "clients",
        "spool",
        "whole s",
        "images",
        "503 early",
        "sent by then",
        "503 later",
        "failed",
        "peak GB",
        "goal",
        "most in spool",
        "goal",
        "credits",
    )
    return table(head, [_line(crowd) for crowd in crowds])


def _line(crowd: Crowd) -> tuple[str, ...]:
    sent_mb = max((upload.sent_bytes / MIB for upload in crowd.refused), default=0.0)
    charged = sum(upload.charged for upload in crowd.uploads)
    later = len(crowd.uploads) - crowd.images - len(crowd.refused) - len(crowd.failures)
    spooled_mb = crowd.spooled_bytes / MIB
    peak_gb = crowd.peak_bytes / 1e9
    return (
        crowd.kind,
        str(len(crowd.uploads)),
        f"{crowd.spool_mb} MB",
        f"{crowd.seconds:.1f}",
        str(crowd.images),
        str(len(crowd.refused)),
        f"≤ {sent_mb:.1f} MB" if crowd.refused else "–",
        str(later),
        str(len(crowd.failures)),
        f"{peak_gb:.2f}",
        goals.at_most(peak_gb, goals.PEAK_UPLOADS_GB, "GB"),
        f"{spooled_mb:.0f} MB",
        goals.at_most(spooled_mb, crowd.spool_mb * SPOOL_SLACK, "MB"),
        f"{crowd.used} used, {charged} told: {'met' if crowd.used == charged else 'missed'}",
    )
