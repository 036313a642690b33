"""curl, as the documentation's examples call it."""

import json
import subprocess
from pathlib import Path

import pytest

from pictures import HEIGHT, WIDTH, opened, picture
from services import Service, program

pytestmark = pytest.mark.wire

MIB = 1024 * 1024


def curl(*arguments: str) -> tuple[int, bytes]:
    """Run curl quietly and return the answer's status and body; its own failure is a failure."""
    done = subprocess.run(
        [program("curl"), "--silent", "--show-error", "--write-out", r"\n%{http_code}", *arguments],
        capture_output=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), body


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(picture("JPEG"))
    return path


def test_curl_gets_a_cut_out(server: Service, photo_file: Path) -> None:
    status, body = curl("-F", f"image=@{photo_file}", f"{server.url}/rmbg")
    image = opened(body)
    assert (status, image.format, image.size) == (200, "WEBP", (WIDTH, HEIGHT))


def test_curl_sends_fields_before_and_after_the_photo(server: Service, photo_file: Path) -> None:
    status, body = curl(
        *("-F", "format=png", "-F", f"image=@{photo_file}", "-F", "mask=true"),
        f"{server.url}/api/rmbg",
    )
    assert (status, opened(body).mode) == (200, "L")


def test_curl_sends_the_photo_in_chunks(server: Service, photo_file: Path) -> None:
    chunked = ("-H", "Transfer-Encoding: chunked", "-F", f"image=@{photo_file}")
    status, body = curl(*chunked, f"{server.url}/rmbg")
    assert (status, opened(body).format) == (200, "WEBP")


def test_curl_is_told_what_is_wrong(server: Service, photo_file: Path) -> None:
    status, body = curl("-F", f"image=@{photo_file}", "-F", "w=abc", f"{server.url}/rmbg")
    assert status == 400
    assert json.loads(body)["error"] == "'w' must be an integer, got: 'abc'"


def test_curl_without_a_file_is_told_so(server: Service) -> None:
    status, body = curl("-F", "image=", f"{server.url}/rmbg")
    assert (status, json.loads(body)["error"]) == (
        400,
        "No image file provided. Please include an 'image' field in your form data.",
    )


@pytest.mark.parametrize("expect", ["Expect:", "Expect: 100-continue"])
def test_curl_reads_the_refusal_of_a_body_over_the_cap(
    server: Service, tmp_path: Path, expect: str
) -> None:
    large = tmp_path / "large.png"
    large.write_bytes(bytes(64 * MIB + 1024))
    status, body = curl("-H", expect, "-F", f"image=@{large}", f"{server.url}/rmbg")
    assert (status, json.loads(body)["error"]) == (
        400,
        "File size (64.0 MB) exceeds the maximum allowed size of 50 MB.",
    )
