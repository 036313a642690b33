"""What the client costs: imports, memory; and that its types are right for those who check them."""

import subprocess
import sys
from pathlib import Path

import pytest

from odd_server import WEBP, answers, odd_server

HEAVY = {"numpy", "cv2", "openvino", "onnxruntime", "django", "typer", "rich"}
ROOT = Path(__file__).parents[2]


def test_importing_the_client_loads_nothing_heavy() -> None:
    code = "import sys, openrembg.client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & HEAVY
    assert "openrembg.matting.pipeline" not in done.stdout.split()


MEMORY = """
import io, resource, sys
from openrembg.client import Client
url, kind, folder = sys.argv[1:]
photo = {"path": lambda: folder + "/photo.bmp", "stream": lambda: open(folder + "/photo.bmp", "rb")}

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

with Client(base_url=url) as client:
    open(folder + "/small.bmp", "wb").write(b"BM")
    client.save_cutout(folder + "/small.bmp", folder + "/first.webp")
    before = peak()
    told = client.save_cutout(photo[kind](), folder + "/out.webp")
    print((peak() - before) // 1024, told.size_bytes >> 20)
"""


@pytest.mark.parametrize("kind", ["path", "stream"])
def test_a_large_photo_and_a_large_answer_leave_memory_flat(tmp_path: Path, kind: str) -> None:
    (tmp_path / "photo.bmp").write_bytes(bytes(50 << 20))
    with odd_server(answers(WEBP), answers(WEBP + bytes(100 << 20))) as odd:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", MEMORY, odd.url, kind, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    grown_mib, size_mib = map(int, done.stdout.split())
    assert (grown_mib < 30, size_mib) == (True, 100)


CONSUMER = """
import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import assert_type

from PIL import Image

from openrembg.client import (
    APIError, AsyncClient, BillingCycle, Box, Client, Cutout, Options, Progress, SavedCutout, Usage,
)


def show(step: Progress) -> None:
    assert_type(step.loaded, int)
    assert_type(step.total, int | None)
    assert_type(step.rate, float | None)


with Client("key", base_url="http://h", timeout_s=None, retries=0, headers={"a": "b"}) as client:
    with open("photo.jpg", "rb") as file:
        cutout = client.remove_background(file, Options(w=3), on_upload=show, on_download=show)
    assert_type(cutout, Cutout)
    assert_type(cutout.data, bytes)
    assert_type(cutout.foreground_box, Box | None)
    for photo in (Path("a"), "a", b"a", bytearray(), memoryview(b""), Image.new("L", (1, 1))):
        assert_type(client.save_cutout(photo, Path("x"), overwrite=False), SavedCutout)
    assert_type(client.usage(period_start=dt.datetime.now(dt.UTC)), Usage)
    assert_type(client.billing_cycles(), tuple[BillingCycle, ...])


async def pieces() -> AsyncIterator[bytes]:
    yield b""


async def main() -> None:
    async with AsyncClient() as client:
        try:
            assert_type(await client.remove_background(pieces(), on_upload=show), Cutout)
        except APIError as error:
            assert_type(error.retry_after_s, float | None)
            assert_type(error.code, str | None)
        await client.save_cutout(3, "x")  # type: ignore[arg-type]


asyncio.run(main())
"""


def test_a_program_that_uses_the_client_passes_mypy_strict(tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(CONSUMER)
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nmypy_path = {ROOT / 'src'}\n")
    command = ["-m", "mypy", "--strict", "--config-file", "mypy.ini", "consumer.py"]
    command += ["--cache-dir", str(tmp_path / "cache"), "--follow-imports", "silent"]
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
