"""One photo, five ways to its cut-out: each gives the same bytes."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest

from forms import field, photo, post
from openrembg import Options, remove_background
from openrembg.client import Client
from pictures import picture
from services import Service, clean_environment, program

pytestmark = pytest.mark.wire

CLIENT: Final = Path(__file__).parents[2] / "clients" / "node" / "dist" / "index.js"
CALL_S: Final = 120
NODE: Final = """
const { rembg } = require(process.argv[1]);
const { copyFileSync } = require("node:fs");
const [baseUrl, inputImage, target, options] = process.argv.slice(2);
rembg({ baseUrl, inputImage, options: JSON.parse(options) }).then(async (result) => {
  copyFileSync(result.outputImagePath, target);
  await result.cleanup();
});
"""
# Options by their names in the library; the others spell some differently.
ASKED: Final[Mapping[str, dict[str, object]]] = {
    "nothing": {},
    "png": {"format": "png", "w": 200},
    "jpeg on a colour": {"format": "jpeg", "bg_color": "#336699", "h": 100},
    "a turned bmp": {"format": "bmp", "angle": 30.0, "expand": False},
    "a mask": {"format": "png", "mask": True, "w": 50, "h": 60, "exact_resize": True},
}
Way = Callable[[Service, Path, dict[str, object]], bytes]


def from_library(server: Service, path: Path, asked: dict[str, object]) -> bytes:
    return remove_background(path.read_bytes(), Options(**asked)).data  # type: ignore[arg-type]


def from_command_line(server: Service, path: Path, asked: dict[str, object]) -> bytes:
    return _command_line(path, asked)


def from_command_line_and_server(server: Service, path: Path, asked: dict[str, object]) -> bytes:
    return _command_line(path, asked, "--server", server.url)


def from_form(server: Service, path: Path, asked: dict[str, object]) -> bytes:
    fields = (field(name, str(value).lower()) for name, value in asked.items())
    answer = post(server, photo(path.read_bytes(), path.name), *fields)
    assert answer.status == 200, answer.body
    return answer.body


def from_python_client(server: Service, path: Path, asked: dict[str, object]) -> bytes:
    with Client(base_url=server.url) as client:
        return client.remove_background(path, Options(**asked)).data  # type: ignore[arg-type]


def from_node_client(server: Service, path: Path, asked: dict[str, object]) -> bytes:
    target = path.with_name("from-node")
    theirs = {"returnMask" if name == "mask" else name: asked[name] for name in asked}
    arguments = [str(CLIENT), server.url, str(path), str(target), json.dumps(theirs)]
    return _made([program("node"), "-e", NODE, *arguments], target)


def _command_line(path: Path, asked: dict[str, object], *more: str) -> bytes:
    target = path.with_name("from-command-line")
    words = [word for name, value in asked.items() for word in _option(name, value)]
    command = [sys.executable, "-m", "openrembg", "remove", str(path), "-o", str(target)]
    return _made([*command, "--overwrite", *words, *more], target)


def _option(name: str, value: object) -> tuple[str, ...]:
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return (flag if value else flag.replace("--", "--no-"),)
    return (flag, str(value))


def _made(command: list[str], target: Path) -> bytes:
    done = subprocess.run(
        command,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=CALL_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return target.read_bytes()


OTHER_WAYS: Final[tuple[Way, ...]] = (
    from_command_line,
    from_command_line_and_server,
    from_form,
    from_python_client,
    from_node_client,
)


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_every_way_gives_the_same_bytes(
    server: Service, tmp_path: Path, asked: dict[str, object]
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(picture("JPEG", 300, 240))
    wanted = from_library(server, path, asked)
    for way in OTHER_WAYS:
        assert way(server, path, asked) == wanted, way.__name__
