"""`openrembg remove --server`: the same results as on this machine, from a server."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_photos import Run, called, draw_photo, environment
from PIL import Image
from server_accounts import key_with

from odd_server import WEBP, answers, odd_server
from services import Service

HEAVY = ("cv2", "openvino", "onnxruntime", "numpy", "django", "openrembg.matting.pipeline")
MIB = 1 << 20


def results(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def key(server: Service) -> str:
    return key_with(server)


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--format", "png", "--w", "100", "--angle", "30", "--no-expand"],
        ["--format", "jpeg", "--bg-color", "tomato", "--w", "90", "--h", "90", "--exact-resize"],
        ["--mask", "--format", "bmp"],
    ],
)
def test_a_result_has_the_bytes_that_this_machine_makes(
    options: list[str], openrembg: Run, server: Service, tmp_path: Path
) -> None:
    draw_photo(tmp_path / "photo.png", (320, 240))
    assert openrembg("remove", "photo.png", "-o", "here/", *options).returncode == 0
    ended = openrembg("remove", "photo.png", "-o", "there/", *options, "--server", server.url)
    assert (ended.returncode, ended.stdout) == (0, b"")
    (here,) = (tmp_path / "here").iterdir()
    (there,) = (tmp_path / "there").iterdir()
    assert here.name == there.name
    assert here.read_bytes() == there.read_bytes()


def test_without_a_key_nobody_pays_and_nothing_is_said_of_credits(
    openrembg: Run, server: Service, tmp_path: Path
) -> None:
    draw_photo(tmp_path / "photo.jpg")
    ended = openrembg("remove", "photo.jpg", "--server", f"{server.url}/rmbg/")
    assert (ended.returncode, ended.stderr) == (0, b"photo.jpg -> photo.cutout.webp\n")


def test_what_a_photo_cost_is_said(
    openrembg: Run, server: Service, key: str, tmp_path: Path
) -> None:
    draw_photo(tmp_path / "photo.jpg")
    Image.new("RGBA", (64, 64)).save(tmp_path / "empty.png")
    ended = openrembg("remove", "photo.jpg", "--server", server.url, "--api-key", key)
    assert ended.stderr == b"photo.jpg -> photo.cutout.webp (1 credit)\n"
    ended = openrembg("remove", "empty.png", "--server", server.url, REMBG_API_KEY=key)
    said = b"empty.png -> empty.cutout.webp (no subject was found, 0 credits)\n"
    assert (ended.returncode, ended.stderr) == (0, said)


def test_a_folder_is_mirrored_and_bad_photos_do_not_end_the_run(
    openrembg: Run, server: Service, key: str, tmp_path: Path
) -> None:
    for name in ("a.jpg", "a.png", "sub/b.webp", "sub/deep/[red]c.bmp", '"q";\r\nx: y\x1b.png'):
        draw_photo(tmp_path / "in" / name)
    os.link(tmp_path / "in/a.png", os.fsencode(tmp_path / "in") + b"/\xff\xfe.png")
    (tmp_path / "in/bad.jpg").write_bytes(b"no photo")
    (tmp_path / "in/empty.jpg").touch()
    with (tmp_path / "in/huge.jpg").open("wb") as file:
        file.truncate(50 * MIB + 1)
    ended = openrembg("remove", "in", "-o", "out", "--server", server.url, REMBG_API_KEY=key)
    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines() == [
        "6 cut out, 3 failed. 6 credits used.",
        "failed: in/bad.jpg: File does not appear to be a valid image (invalid file signature)",
        "failed: in/empty.jpg: Uploaded file is empty (0 bytes)",
        "failed: in/huge.jpg: File size (50.0 MB) exceeds the maximum allowed size of 50 MB",
    ]
    assert len(results(tmp_path / "out")) == 6
    assert (tmp_path / "out/sub/deep/[red]c.webp").is_file()


def test_what_is_there_already_is_neither_sent_nor_replaced(openrembg: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw_photo(tmp_path / f"in/{name}.jpg")
    draw_photo(tmp_path / "out/a.webp")
    before = (tmp_path / "out/a.webp").read_bytes()
    with odd_server(answers(WEBP)) as odd:
        ended = openrembg("remove", "in", "-o", "out", "--server", odd.url)
        said = b"1 cut out, 1 skipped, there already (--overwrite replaces them).\n"
        assert (ended.returncode, ended.stderr) == (0, said)
        assert len(odd.requests) == 1
        assert (tmp_path / "out/a.webp").read_bytes() == before
        assert (
            openrembg("remove", "in", "-o", "out", "--overwrite", "--server", odd.url).stderr
            == b"2 cut out.\n"
        )
    assert (tmp_path / "out/a.webp").read_bytes() == WEBP
    assert results(tmp_path / "out") == ["a.webp", "b.webp"]


def test_a_stream_goes_through_the_server(openrembg: Run, server: Service, tmp_path: Path) -> None:
    data = draw_photo(tmp_path / "photo.jpg").read_bytes()
    there = ("--server", server.url)
    ended = openrembg("remove", "-", *there, "--format", "png", stdin=data)
    assert (ended.returncode, ended.stderr) == (0, b"")
    with Image.open(io.BytesIO(ended.stdout)) as image:
        assert (image.format, image.size) == ("PNG", (160, 120))
    assert openrembg("remove", "photo.jpg", "-o", "-", *there).stdout[:4] == b"RIFF"
    assert openrembg("remove", "-", "-o", "out.bmp", *there, stdin=data).returncode == 0
    assert results(tmp_path) == ["out.bmp", "photo.jpg"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", b"Uploaded file is empty (0 bytes)"),
        (b"no photo", b"File does not appear to be a valid image (invalid file signature)"),
        (bytes(50 * MIB + 1), b"It is larger than 50 MB"),
    ],
)
def test_a_bad_stream_is_one_sentence(
    data: bytes, sentence: bytes, openrembg: Run, server: Service
) -> None:
    ended = openrembg("remove", "-", "--server", server.url, stdin=data)
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert ended.stderr == b"openrembg: standard input: " + sentence + b"\n"


def test_a_pipe_with_a_name_is_a_photo(server: Service, tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    program = f"'{sys.executable}' -m openrembg remove"
    ended = subprocess.run(
        ["bash", "-c", f"{program} <(cat '{photo}') -o out.webp --server {server.url}"],
        capture_output=True,
        cwd=tmp_path,
        env=environment(tmp_path),
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out.webp").read_bytes()[:4] == b"RIFF"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--api-key", "k"], "--api-key is for --server, and there is no --server."),
        (["--timeout", "5"], "--timeout is for --server, and there is no --server."),
        (
            ["--server", "http://x", "--model", "m"],
            "--model is for photos that are cut out on this machine, not with --server.",
        ),
        (
            ["--server", "http://x", "--models-dir", "m"],
            "--models-dir is for photos that are cut out on this machine, not with --server.",
        ),
        (
            ["--server", "http://x", "--provider", "auto"],
            "--provider is for photos that are cut out on this machine, not with --server.",
        ),
        (["--server", " "], "--server needs an address, for instance http://127.0.0.1:8000."),
        (
            ["--server", "http://x", "--api-key", ""],
            "The API key is empty; leave --api-key out to send photos anonymously.",
        ),
        (
            ["--server", "http://x", "--timeout", "nan"],
            "--timeout must be a number of seconds above 0.",
        ),
    ],
)
def test_options_that_do_not_go_together_end_with_2(
    arguments: list[str], sentence: str, tmp_path: Path
) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    assert called(photo, *arguments) == (2, f"openrembg: {sentence}\n")
    assert results(tmp_path) == ["photo.jpg"]


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8000", "ftp://x", "http://", "http://[::1", "http://x/?a=b", "\x1b"]
)
def test_an_address_that_is_none_is_one_sentence_and_2(address: str, tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    for target in (tmp_path / "out.webp", "-"):
        code, said = called(photo, "-o", target, "--server", address)
        assert code == 2
        assert said.startswith("openrembg: ")
        assert said.count("\n") == 1
        assert "\x1b" not in said
    assert results(tmp_path) == ["photo.jpg"]


def test_a_key_that_cannot_be_sent_is_not_repeated(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    key = "secret key\r\nx: y"
    code, said = called(photo, "--server", "http://x", REMBG_API_KEY=key)
    assert code == 2
    assert "API key" in said
    assert "secret" not in said


def test_photos_leave_this_machine_only_when_that_is_said(openrembg: Run, tmp_path: Path) -> None:
    draw_photo(tmp_path / "photo.jpg")
    with odd_server(answers(WEBP)) as odd:
        ended = openrembg("remove", "photo.jpg", REMBG_API_URL=odd.url, REMBG_API_KEY="k")
        assert (ended.returncode, odd.requests) == (0, [])
    assert (tmp_path / "photo.cutout.webp").read_bytes()[:4] == b"RIFF"


def test_settings_for_this_machine_in_the_environment_do_not_matter(
    openrembg: Run, server: Service, tmp_path: Path
) -> None:
    draw_photo(tmp_path / "photo.jpg")
    mine = {"OPENREMBG_MODEL": "mine", "OPENREMBG_MODELS_DIR": "/gone"}
    ended = openrembg("remove", "photo.jpg", "--server", server.url, **mine)
    assert ended.returncode == 0


def test_nothing_that_computes_is_loaded(server: Service, tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    probe = (
        "import contextlib, sys\n"
        "from openrembg.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main()\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", probe, "remove", photo, "--server", server.url],
        capture_output=True,
        env=environment(tmp_path),
        check=True,
    )
    assert ended.stdout == b"[]\n"
    assert (tmp_path / "photo.cutout.webp").is_file()


def test_quiet_says_nothing_but_what_failed(
    openrembg: Run, server: Service, key: str, tmp_path: Path
) -> None:
    draw_photo(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(b"no photo")
    there = ("--server", server.url, "--quiet")
    assert openrembg("remove", "a.jpg", *there, REMBG_API_KEY=key).stderr == b""
    ended = openrembg("remove", "a.jpg", "b.jpg", *there, REMBG_API_KEY=key)
    assert (ended.returncode, ended.stderr.count(b"\n")) == (1, 1)
    assert ended.stderr.startswith(b"failed: b.jpg: ")
