"""The published Node client, @remove-background-ai/rembg.js 1.3.1, as npm installs it."""

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pictures import HEIGHT, WIDTH, opened, picture
from services import Service, program

pytestmark = pytest.mark.wire

NODE = Path(__file__).parent / "node"
CLIENT = NODE / "node_modules" / "@remove-background-ai" / "rembg.js"
EXAMPLES = CLIENT / "example"
NODE_S = 120


def run_node(
    server: Service, *arguments: str, folder: Path = NODE, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a script of Node's, its client pointed at the server."""
    return subprocess.run(
        [program("node"), "--require", str(NODE / "intercept.cjs"), *arguments],
        cwd=folder,
        env={**os.environ, "WIRE_SERVER": server.url, **environment},
        capture_output=True,
        text=True,
        timeout=NODE_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def call(
    server: Service,
    path: Path,
    kind: str = "path",
    environment: dict[str, str] | None = None,
    **options: object,
) -> dict[str, Any]:
    """Call the client once, as a program of somebody else's would."""
    asked = json.dumps({"kind": kind, "path": str(path), "options": options})
    done = run_node(server, str(NODE / "client.cjs"), asked, **(environment or {}))
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def image_of(result: dict[str, Any]) -> Any:
    assert "error" not in result, result["error"]
    text = result.get("base64") or result["base64Image"].partition(",")[2]
    return opened(base64.b64decode(text))


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(picture("JPEG"))
    return path


def test_the_tested_client_is_the_published_version() -> None:
    assert json.loads((CLIENT / "package.json").read_text())["version"] == "1.3.1"


@pytest.mark.parametrize("kind", ["path", "buffer", "base64"])
def test_client_sends_a_photo_in_every_way_it_knows(
    server: Service, photo_file: Path, kind: str
) -> None:
    image = image_of(call(server, photo_file, kind))
    assert (image.format, image.mode, image.size) == ("WEBP", "RGBA", (WIDTH, HEIGHT))


@pytest.mark.parametrize(
    ("options", "format_", "mode", "size"),
    [
        ({"format": "png"}, "PNG", "RGBA", (WIDTH, HEIGHT)),
        ({"format": "webp"}, "WEBP", "RGBA", (WIDTH, HEIGHT)),
        ({"format": "PNG", "returnMask": True}, "PNG", "L", (WIDTH, HEIGHT)),
        ({"format": "png", "w": 160}, "PNG", "RGBA", (160, 120)),
        ({"format": "png", "h": 60}, "PNG", "RGBA", (80, 60)),
        ({"format": "png", "w": 50, "h": 50, "exact_resize": True}, "PNG", "RGBA", (50, 50)),
        ({"format": "png", "angle": 90}, "PNG", "RGBA", (HEIGHT, WIDTH)),
        ({"format": "png", "angle": 90, "expand": False}, "PNG", "RGBA", (WIDTH, HEIGHT)),
        ({"format": "png", "returnBase64": True}, "PNG", "RGBA", (WIDTH, HEIGHT)),
    ],
)
def test_client_gets_what_its_options_say(
    server: Service,
    photo_file: Path,
    options: dict[str, object],
    format_: str,
    mode: str,
    size: tuple[int, int],
) -> None:
    image = image_of(call(server, photo_file, **options))
    assert (image.format, image.mode, image.size) == (format_, mode, size)


def test_client_paints_a_background(server: Service, photo_file: Path) -> None:
    image = image_of(call(server, photo_file, format="png", bg_color="#00f")).convert("RGBA")
    red, green, blue, alpha = image.getpixel((2, 2))
    assert (alpha, blue > 200, max(red, green) < 60) == (255, True, True)


def test_client_sees_progress_in_both_directions(server: Service, photo_file: Path) -> None:
    progress = call(server, photo_file, format="png")["progress"]
    up, down = progress["up"][-1], progress["down"][-1]
    assert up["loaded"] >= photo_file.stat().st_size
    assert down["loaded"] == down["total"], "a progress bar needs the exact length"


def test_client_reports_an_error_as_it_was_sent(server: Service, photo_file: Path) -> None:
    message = call(server, photo_file, w="abc")["error"]
    assert message.startswith("❌ 400 {")
    assert json.loads(message.partition("400 ")[2])["error"] == (
        "'w' must be an integer, got: 'abc'"
    )


def test_client_reads_the_refusal_of_its_key(server: Service, photo_file: Path) -> None:
    result = call(server, photo_file, environment={"WIRE_KEEP_KEY": "1"})
    assert json.loads(result["error"].partition("401 ")[2])["error"] == "invalid api key"


def test_client_reads_the_refusal_of_a_large_upload(server: Service, tmp_path: Path) -> None:
    # The answer comes while the client still sends: closing at once would be ECONNRESET here.
    path = tmp_path / "large.bmp"
    path.write_bytes(b"BM" + bytes(20_000_000))
    for _ in range(3):
        result = call(server, path, environment={"WIRE_KEEP_KEY": "1"})
        assert '"invalid api key"' in result["error"], result["error"]


def test_client_reads_the_refusal_of_a_body_over_the_cap(server: Service, tmp_path: Path) -> None:
    path = tmp_path / "enormous.bmp"
    path.write_bytes(b"BM" + bytes(64 * 1024 * 1024 + 1024))
    result = call(server, path)
    assert "File size (64.0 MB) exceeds the maximum allowed size of 50 MB." in result["error"]


EXAMPLE_NAMES = [
    "example_with_all_params.mjs",
    "example_with_input_base64.mjs",
    "example_with_input_buffer.mjs",
    "example_with_mask_and_new_params.mjs",
    "example_with_ret_type_base64.mjs",
    "example_with_ret_type_path.mjs",
]


def test_every_example_of_the_client_is_tried() -> None:
    assert sorted(path.name for path in EXAMPLES.glob("*.mjs")) == EXAMPLE_NAMES


@pytest.mark.parametrize("name", EXAMPLE_NAMES)
def test_example_of_the_client_runs_unchanged(server: Service, name: str, tmp_path: Path) -> None:
    # The client leaves its pictures in the temporary folder; TMPDIR keeps them with the test.
    environment = {"API_KEY": "a key", "TMPDIR": str(tmp_path), "WIRE_CLOSE": "1"}
    done = run_node(server, str(EXAMPLES / name), folder=EXAMPLES, **environment)
    assert done.returncode == 0, done.stderr
    assert "✅" in done.stdout, done.stdout + done.stderr
    assert "❌" not in done.stdout + done.stderr
