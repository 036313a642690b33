"""Latency of one photo at a time: our library and the peer's, in turns."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks import goals
from benchmarks.errors import BenchmarkFailed
from benchmarks.models import COMPARED, SHIPPED
from benchmarks.photos import photo_file, side_of
from benchmarks.series import Series
from benchmarks.table import table
from benchmarks.workers import Call, Worker, our_worker, peer_worker

FORMATS: Final = ("png", "webp")
PARTS: Final = ("decode", "matte", "compose", "encode")
# Two cut-outs of one subject by the same network cover about the same part of the photo.
SHARE_TOLERANCE: Final = 0.15


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to cut a photo out. `format` and `colors` mean nothing to the peer."""

    side: str
    format: str = "png"
    colors: bool = False
    model: str = COMPARED


PEER: Final = Variant("peer")
PLAIN: Final = tuple(Variant("ours", name) for name in FORMATS)
COLORS: Final = tuple(Variant("ours", name, colors=True) for name in FORMATS)
# None while the model that ships is the one that is compared.
AS_SHIPPED: Final = tuple(
    Variant("ours", name, colors, SHIPPED)
    for colors in (False, True)
    for name in FORMATS
    if SHIPPED != COMPARED
)


@dataclass(frozen=True, slots=True)
class Row:
    """All calls of one variant on one photo, and how much of the photo its cut-out covers."""

    megapixels: float
    variant: Variant
    calls: tuple[Call, ...]
    share: float

    @property
    def seconds(self) -> Series:
        return Series(tuple(call.seconds for call in self.calls))

    @property
    def cpu_seconds(self) -> Series:
        return Series(tuple(call.cpu_seconds for call in self.calls))

    @property
    def peak_bytes(self) -> int:
        return max(call.peak_bytes for call in self.calls)

    def part(self, name: str) -> Series:
        """Return our own timing of one step; the peer has none and raises KeyError."""
        return Series(tuple((call.parts or {})[name] for call in self.calls))


@dataclass(frozen=True, slots=True)
class LibraryResult:
    """What each worker said about itself, by its name, and every row."""

    facts: dict[str, dict[str, Any]]
    rows: tuple[Row, ...]


def repeats_for(megapixels: float) -> int:
    """Return how often to measure: more for what is quick."""
    if megapixels <= 2:
        return 15
    if megapixels <= 10:
        return 9
    return 5 if megapixels <= 50 else 3


def turns(repeats: int) -> Iterator[Variant]:
    """Yield every variant `repeats` times in turns, each second round backwards.

    So a machine that slows down or speeds up in the meantime does it to all alike.
    """
    order = (PLAIN[0], COLORS[0], *AS_SHIPPED[::2], PEER, PLAIN[1], COLORS[1], *AS_SHIPPED[1::2])
    for round_number in range(repeats):
        yield from order if round_number % 2 == 0 else reversed(order)


def measure_library(photos: Path, sizes: tuple[float, ...], repeats: int | None) -> LibraryResult:
    """Measure both libraries at each size; `repeats` None takes `repeats_for` each size."""
    with contextlib.ExitStack() as stack:
        workers = {
            worker_name("ours", model): stack.enter_context(our_worker(model))
            for model in dict.fromkeys((COMPARED, SHIPPED))
        }
        workers[worker_name("peer", COMPARED)] = stack.enter_context(peer_worker())
        rows: list[Row] = []
        for megapixels in sizes:
            count = repeats or repeats_for(megapixels)
            rows += _rows(workers, photo_file(photos, megapixels), megapixels, count)
        return LibraryResult({name: one.facts for name, one in workers.items()}, tuple(rows))


def worker_name(side: str, model: str) -> str:
    """Return what the report calls a side that runs a model: `ours, openrembg-v0`."""
    return f"{side}, {model}"


def _rows(workers: dict[str, Worker], photo: Path, megapixels: float, repeats: int) -> list[Row]:
    variants = (*PLAIN, *COLORS, *AS_SHIPPED, PEER)
    shares = {
        variant: _warmed_up(_worker(workers, variant), photo, megapixels, variant)
        for variant in variants
    }
    _check_alike(shares)
    calls: dict[Variant, list[Call]] = {variant: [] for variant in variants}
    for variant in turns(repeats):
        calls[variant].append(_call(_worker(workers, variant), photo, variant))
    return [Row(megapixels, one, tuple(calls[one]), shares[one]) for one in variants]


def _worker(workers: dict[str, Worker], variant: Variant) -> Worker:
    return workers[worker_name(variant.side, variant.model)]


def _call(worker: Worker, photo: Path, variant: Variant, keep: Path | None = None) -> Call:
    return worker.call(
        photo,
        format=variant.format,
        estimate_foreground=variant.colors,
        keep=str(keep) if keep else None,
    )


def _warmed_up(worker: Worker, photo: Path, megapixels: float, variant: Variant) -> float:
    """Cut the photo out once, unmeasured; return which part of it the cut-out covers, 0..1.

    Raises BenchmarkFailed when the result has another size or no transparency.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cutout"
        _call(worker, photo, variant, path)
        side = side_of(megapixels)
        # Our own 100-megapixel photo is no attack: Pillow's warning about bombs is off here.
        Image.MAX_IMAGE_PIXELS = None
        with Image.open(path) as image:
            if image.size != (side, side) or image.mode != "RGBA":
                raise BenchmarkFailed(f"{variant} gave {image.size} {image.mode}")
            return float(np.asarray(image.getchannel("A")).mean()) / 255


def _check_alike(shares: dict[Variant, float]) -> None:
    alike = [share for variant, share in shares.items() if variant.model == COMPARED]
    if min(shares.values()) <= 0 or max(alike) - min(alike) > SHARE_TOLERANCE:
        raise BenchmarkFailed(f"the cut-outs differ too much to be compared: {shares}")


def latency_table(rows: tuple[Row, ...]) -> str:
    """Return the times of both sides, their ratio and its goal, a line for each of our variants."""
    head = (
        "photo",
        "ours",
        "ours ms",
        "peer ms",
        "ratio",
        "goal",
        "ours MB",
        "peer MB",
        "kB",
        "peer kB",
    )
    peers = {row.megapixels: row for row in rows if row.variant == PEER}
    ours = [row for row in rows if row.variant.side == "ours"]
    ours.sort(key=lambda row: (row.variant.model != COMPARED, row.variant.colors))
    return table(head, [_latency_line(row, peers[row.megapixels]) for row in ours])


def _latency_line(row: Row, peer: Row) -> tuple[str, ...]:
    variant = row.variant
    ratio = peer.seconds.median / row.seconds.median
    goal = goals.LATENCY.get((row.megapixels, variant.format)) if variant in PLAIN else None
    return (
        f"{row.megapixels:g} MP",
        _label(variant),
        row.seconds.text(1e3),
        peer.seconds.text(1e3, 0),
        f"{ratio:.1f} ×",
        goals.at_least(ratio, goal),
        f"{row.peak_bytes / 1e6:.0f}",
        f"{peer.peak_bytes / 1e6:.0f}",
        f"{row.calls[0].output_bytes / 1e3:.0f}",
        f"{peer.calls[0].output_bytes / 1e3:.0f}",
    )


def parts_table(rows: tuple[Row, ...]) -> str:
    """Return where our time goes: the median of each step in ms, and the processor time of both.

    The steps are as the pipeline reports them; decode and matte overlap, so they may add up to
    more than the whole.
    """
    peers = {row.megapixels: row for row in rows if row.variant == PEER}
    lines = [
        (
            f"{row.megapixels:g} MP",
            _label(row.variant),
            *(f"{row.part(name).median * 1e3:.1f}" for name in PARTS),
            f"{row.seconds.median * 1e3:.1f}",
            f"{row.cpu_seconds.median * 1e3:.1f}",
            f"{peers[row.megapixels].cpu_seconds.median * 1e3:.0f}",
        )
        for row in rows
        if row.variant.side == "ours"
    ]
    steps = (f"{name} ms" for name in PARTS)
    return table(("photo", "ours", *steps, "whole ms", "CPU ms", "peer CPU ms"), lines)


def _label(variant: Variant) -> str:
    label = variant.format.upper() + (" + colours" if variant.colors else "")
    return label if variant.model == COMPARED else f"{label}, {variant.model}"
