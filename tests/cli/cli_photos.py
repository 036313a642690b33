"""Photos made in code, and an environment without this machine's own settings."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageDraw
from typer.testing import CliRunner

from openrembg.cli import app

HEAVY = ("cv2", "openvino", "onnxruntime", "numpy", "django", "ninja", "PIL", "urllib.request")
Run = Callable[..., subprocess.CompletedProcess[bytes]]


def draw_photo(path: Path, size: tuple[int, int] = (160, 120)) -> Path:
    """Write a photo of an orange disc before a blue slope."""
    width, height = size
    slope = Image.linear_gradient("L").resize(size)
    image = Image.merge("RGB", (slope, slope, Image.new("L", size, 170)))
    disc = (width * 0.3, height * 0.15, width * 0.7, height * 0.85)
    ImageDraw.Draw(image).ellipse(disc, fill=(235, 110, 50))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which nothing of this machine's own settings shows."""
    ours = ("OPENREMBG_", "REMBG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"OPENREMBG_DATA_DIR": str(folder / "data-folder")}


def called(*arguments: str | Path, **settings: str) -> tuple[int, str]:
    """Run `openrembg remove` in this process, and return its exit code and what it said.

    For what ends before a photo is sent anywhere: a process of its own takes half a second.
    """
    result = CliRunner().invoke(app, ["remove", *map(str, arguments)], env=settings)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stderr


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `openrembg remove`, which is ended at the latest with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "openrembg", "remove", *arguments],
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment(folder),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def heavy_modules(arguments: list[str]) -> bytes:
    """Run the command line in a fresh Python, and return which of HEAVY it loaded, printed."""
    probe = (
        "import sys, contextlib, io\n"
        "from openrembg.cli import main\n"
        f"sys.argv = ['openrembg', *{arguments!r}]\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main()\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", probe], capture_output=True, check=True)
    return ended.stdout
