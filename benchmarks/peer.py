"""The peer, `rembg` from PyPI, unmodified: an environment and a model folder of its own."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.models import COMPARED, measured_weights

ROOT: Final = Path(__file__).resolve().parent.parent
BENCH: Final = ROOT / ".bench"
REQUIREMENTS: Final = ROOT / "requirements" / "bench.txt"
PEER_VENV: Final = BENCH / "venv"
PEER_PYTHON: Final = PEER_VENV / "bin" / "python"
STAMP: Final = PEER_VENV / "installed.sha256"
# The peer takes custom models only from inside its own folder.
PEER_HOME: Final = BENCH / "models"
MODEL_COPY: Final = PEER_HOME / f"{COMPARED}.onnx"


def prepare_peer() -> None:
    """Make the peer's environment (once for each lock file) and put our model in its folder."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if not STAMP.exists() or STAMP.read_text() != digest:
        _install()
        STAMP.write_text(digest)
    PEER_HOME.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(measured_weights(COMPARED).path, MODEL_COPY)


def peer_environment() -> dict[str, str]:
    """Return the environment of the peer's processes: its model folder, and no browser opened."""
    # The peer's server opens a web browser at its start; `true` is the browser that does nothing.
    return {**os.environ, "U2NET_HOME": str(PEER_HOME), "BROWSER": "true"}


def _install() -> None:
    print("Installing the peer into .bench/venv (1.2 GB, once) …", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEER_VENV)], check=True)
    pip = [str(PEER_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "--require-hashes", "-r", str(REQUIREMENTS)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    # The first import compiles the peer's numba functions: not a part of any measurement.
    subprocess.run([str(PEER_PYTHON), "-c", "import rembg"], check=True, env=peer_environment())
