"""The documentation's examples of our own clients, run as their readers run them."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from manual_reader import (
    EXAMPLE_S,
    HEIGHT,
    PHOTO_STEMS,
    WIDTH,
    Reader,
    programs,
)

from openrembg.server.manual.examples import sources
from pictures import opened
from services import clean_environment, program

pytestmark = pytest.mark.wire

NODE_CLIENT: Final = Path(__file__).parents[2] / "clients" / "node"
BIG: Final = (800, 640)
BROKEN: Final = "File does not appear to be a valid image (invalid file signature)"
NO_PICTURE: Final = (
    "The picture or an option is wrong: image File type '.txt' is not supported. "
    "Allowed formats: webp, bmp, png, jpg, jpeg"
)


@pytest.fixture(autouse=True)
def installed(reader: Reader) -> None:
    """Our Node client, where the reader's programs find it."""
    scope = reader.folder / "node_modules" / "@openrembg"
    scope.mkdir(parents=True)
    (scope / "rembg.js").symlink_to(NODE_CLIENT)


@pytest.mark.parametrize(
    ("name", "size"), [("python_client.py", "800 640 True"), ("node_rembg.mjs", "800 × 640")]
)
def test_a_client_saves_a_cut_out_and_says_what_is_left(
    reader: Reader, name: str, size: str
) -> None:
    output = reader.runs(name)
    assert opened(reader.picture("cutout.png")).size == BIG
    assert size in output
    assert "redits: 1" in output
    used = json.loads(reader.runs("curl_usage.sh"))["api_usage"]
    assert f"Left: {1000 - used}" in output


@pytest.mark.parametrize("name", ["python_client_errors.py", "node_rembg_errors.mjs"])
def test_a_client_says_what_is_wrong(reader: Reader, name: str) -> None:
    assert reader.runs(name).strip() == NO_PICTURE
    stranger = Reader(reader.server, "orbk_unknown", reader.folder)
    assert stranger.runs(name).strip() == "The key is wrong."
    assert sorted(path.name for path in reader.folder.glob("cutout*")) == []


@pytest.mark.parametrize("name", ["progress_client.py", "progress_client.mjs"])
def test_a_client_tells_how_far_it_is(reader: Reader, name: str) -> None:
    lines = reader.runs(name).splitlines()
    size = len(reader.picture("cutout.webp"))
    assert lines[-1] == f"received {size} of {size} bytes"
    sent = [line.split() for line in lines if line.startswith("sent")]
    assert sent[-1][1] == sent[-1][3]


def test_many_photos_are_cut_out_side_by_side(reader: Reader) -> None:
    lines = reader.runs("python_client_many.py").splitlines()
    assert sorted(lines) == sorted(
        [f"broken.jpg: {BROKEN}", *(f"{stem}.jpg: done" for stem in PHOTO_STEMS)]
    )
    for stem in PHOTO_STEMS:
        assert opened(reader.picture(f"cutouts/{stem}.webp")).size == (WIDTH, HEIGHT)


def test_the_command_line_sends_a_folder(reader: Reader) -> None:
    process = reader.begins("cli_server.sh")
    with process:
        _, errors = process.communicate(timeout=EXAMPLE_S)
    assert process.returncode == 1, errors
    assert BROKEN in errors
    for stem in PHOTO_STEMS:
        assert opened(reader.picture(f"cutouts/{stem}.webp")).size == (WIDTH, HEIGHT)


def test_the_node_client_is_made_and_installed_as_the_page_says(
    reader: Reader, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    shutil.copytree(
        NODE_CLIENT,
        folder / "openrembg" / "clients" / "node",
        ignore=shutil.ignore_patterns("node_modules", "dist", "*.tgz"),
    )
    # Else npm installs into whatever project it finds above.
    (folder / "package.json").write_text("{}")
    done = subprocess.run(
        [program("bash"), "-eu", "-c", sources()["node_rembg_install.sh"]],
        cwd=folder,
        env={**clean_environment(), "PATH": programs()},
        capture_output=True,
        text=True,
        timeout=EXAMPLE_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    installed = folder / "node_modules" / "@openrembg" / "rembg.js"
    assert (installed / "dist" / "index.mjs").is_file()
    shutil.copy(reader.folder / "photo.jpg", folder)
    Reader(reader.server, reader.key, folder).runs("node_rembg.mjs")
    assert opened((folder / "cutout.png").read_bytes()).size == BIG
