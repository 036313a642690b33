"""`openrembg doctor`: what works on this machine, measured, and what does not."""

import errno
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from openrembg.cli.provider import ProviderOption
from openrembg.cli.terminal import FAILED, shown, stdout

if TYPE_CHECKING:
    from openrembg.matting.runtime import LocalMatter

MIB: Final = 1 << 20
LEAST_MEMORY_MIB: Final = 512
LEAST_DISK_MIB: Final = 512
CODEC_PACKAGES: Final = ("pillow", "simplejpeg", "isal", "opencv-python-headless")
CGROUP_ROOT: Final = Path("/sys/fs/cgroup")

State = Literal["ok", "note", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. Only `broken` means that openrembg does not work here."""

    subject: str
    state: State
    detail: str


def doctor(
    model: Annotated[
        str | None, typer.Option("--model", help="Model to try.", envvar="OPENREMBG_MODEL")
    ] = None,
    models_dir: Annotated[
        Path | None, typer.Option("--models-dir", metavar="FOLDER", help="Where models lie.")
    ] = None,
    provider: ProviderOption = "auto",
    host: Annotated[
        str, typer.Option("--host", envvar="OPENREMBG_HOST", help="Address to try.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option("--port", envvar="OPENREMBG_PORT", min=1, max=65535, help="Port to try."),
    ] = 8000,
) -> None:
    """Check the model, the provider, codecs, memory, disk and port, and time a real cut-out."""
    from openrembg.folders import data_dir
    from openrembg.folders import models_dir as folder_of_models

    folder = folder_of_models(models_dir)
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("version", _version),
        ("model", lambda: _model(model, folder, provider)),
        ("codecs", _codecs),
        ("cores", _cores),
        ("memory", _memory),
        ("data folder", lambda: _folder(data_dir())),
        ("port", lambda: _port(host, port)),
    )
    broken = False
    for subject, check in checks:
        for finding in _safely(subject, check):
            _print(finding)
            broken |= finding.state == "broken"
    if broken:
        raise typer.Exit(FAILED)


def _safely(subject: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield a check's findings; a check that fails is a finding, not a traceback."""
    try:
        yield from check()
    except Exception as error:  # the doctor reports whatever is wrong
        yield Finding(subject, "broken", f"{type(error).__name__}: {error}")


def _print(finding: Finding) -> None:
    sign = {"ok": "ok", "note": "--", "broken": "!!"}[finding.state]
    stdout().print(f"{sign:<3} {finding.subject:<12} {shown(finding.detail)}")


def _version() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("version", "ok", f"openrembg {version('openrembg')}, Python {python}")


def _model(
    name: str | None, folder: Path, provider: Literal["auto", "openvino", "onnxruntime", "cuda"]
) -> Iterator[Finding]:
    """Verify the model, start it, and cut out a photo that is made here."""
    from openrembg.matting.errors import ModelError
    from openrembg.matting.runtime import load_matter
    from openrembg.matting.weights import DEFAULT_MODEL, find_weights

    try:
        weights = find_weights(name or DEFAULT_MODEL, folder)
        weights.verify()
        card = weights.card
        yield Finding("model", "ok", f"{card.name}, {card.licence}, checksum {card.digest} matches")
        start = time.perf_counter()
        matter = load_matter(weights, provider=provider)
        loaded_s = time.perf_counter() - start
    except ModelError as error:
        yield Finding("model", "broken", str(error))
        return
    yield Finding("provider", "ok", f"{matter.provider}, loaded and warm in {loaded_s:.2f} s")
    yield _cut_out(matter)


def _cut_out(matter: "LocalMatter") -> Finding:
    from openrembg.matting.options import Options
    from openrembg.matting.pipeline import remove_background

    photo = _photo()
    remove_background(photo, Options(), matter=matter)
    start = time.perf_counter()
    cutout = remove_background(photo, Options(), matter=matter)
    took_ms = (time.perf_counter() - start) * 1000
    return Finding(
        "cut-out", "ok", f"{cutout.width} x {cutout.height} JPEG to WebP in {took_ms:.0f} ms, warm"
    )


def _photo() -> bytes:
    """Return a JPEG of one megapixel: a bright disc before a dark slope."""
    from PIL import Image, ImageDraw

    image = Image.linear_gradient("L").resize((1250, 800)).convert("RGB")
    ImageDraw.Draw(image).ellipse((400, 150, 850, 650), fill=(235, 120, 60))
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _codecs() -> Iterator[Finding]:
    from openrembg.matting.encode import webp_encoder

    encoder = webp_encoder()
    yield Finding("WebP encoder", "ok" if encoder.startswith("libwebp") else "note", encoder)
    versions = ", ".join(f"{package} {_installed(package)}" for package in CODEC_PACKAGES)
    yield Finding("codecs", "ok", versions)
    yield Finding("JPEG", "ok", _jpeg())


def _jpeg() -> str:
    from PIL import features

    turbo = features.version("libjpeg_turbo")
    return f"simplejpeg decodes; Pillow carries libjpeg-turbo {turbo or '(none)'}"


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not found)"


def _cores() -> Iterator[Finding]:
    from openrembg.matting.runtime import available_cores

    usable, host = available_cores(), os.cpu_count()
    yield Finding("cores", "ok", f"{usable} usable of {host} (affinity and the container's quota)")


def _memory() -> Iterator[Finding]:
    free, limit = free_memory_mib(), memory_limit_mib()
    if free is None:
        yield Finding("memory", "note", "unknown on this system")
        return
    bound = "no container limit" if limit is None else f"container limit {limit} MiB"
    state: State = "ok" if min(free, limit or free) >= LEAST_MEMORY_MIB else "note"
    yield Finding("memory", state, f"{free} MiB available, {bound}")


def free_memory_mib(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Return the memory that programs can still get, None where the system does not say."""
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    sizes = dict(line.split(":", 1) for line in lines if ":" in line)
    words = sizes.get("MemAvailable", "").split()
    return int(words[0]) // 1024 if words else None


def memory_limit_mib(root: Path = CGROUP_ROOT) -> int | None:
    """Return the container's memory limit, None where there is none.

    Source: cgroup v2 `memory.max`, cgroup v1 `memory.limit_in_bytes` (Linux documentation).
    """
    for file in (root / "memory.max", root / "memory/memory.limit_in_bytes"):
        try:
            text = file.read_text().strip()
        except OSError:
            continue
        # Without a limit version 1 states the largest page-aligned number.
        return int(text) // MIB if text.isdecimal() and int(text) < 1 << 60 else None
    return None


def _folder(folder: Path) -> Iterator[Finding]:
    """Say whether the data folder, or where it will be made, can be written."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free_mib = shutil.disk_usage(place).free // MIB
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        yield Finding("data folder", "broken", f"{folder} cannot be written")
        return
    state: State = "ok" if free_mib >= LEAST_DISK_MIB else "note"
    made = "" if place == folder else " (made when it is first needed)"
    yield Finding("data folder", state, f"{folder}{made}, {free_mib} MiB free")


def _port(host: str, port: int) -> Iterator[Finding]:
    """Say whether the server could listen; a port in use may be the server itself."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
            yield Finding("port", "note", f"{host}:{port} is {reason}")
            return
    yield Finding("port", "ok", f"{host}:{port} is free")
