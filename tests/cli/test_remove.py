"""`openrembg remove` as people call it: a real process, real photos, real results."""

import io
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_photos import Run, called, draw_photo, environment, running
from PIL import Image

DEADLINE_S = 60


def results(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_a_photo_becomes_a_transparent_webp_beside_it(openrembg: Run, tmp_path: Path) -> None:
    draw_photo(tmp_path / "photo.jpg", (320, 240))
    ended = openrembg("remove", "photo.jpg")
    assert ended.returncode == 0
    assert ended.stdout == b""
    assert ended.stderr == b"photo.jpg -> photo.cutout.webp\n"
    with Image.open(tmp_path / "photo.cutout.webp") as image:
        assert (image.format, image.mode, image.size) == ("WEBP", "RGBA", (320, 240))
        assert image.getpixel((160, 120))[3] > 200
        assert image.getpixel((5, 5))[3] < 50


def test_every_option_of_the_api_reaches_the_result(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    out = tmp_path / "out.png"
    size = ("--w", "90", "--h", "40", "--exact-resize")
    assert called(photo, "-o", out, *size, "--bg-color", "#0f0", "--angle", "-90")[0] == 0
    with Image.open(out) as image:
        assert (image.format, image.size) == ("PNG", (90, 40))
        assert image.convert("RGB").getpixel((1, 1)) == (0, 255, 0)


def test_a_mask_is_grey_and_has_a_name_of_its_own(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    assert called(photo, "--mask", "--format", "PNG") == (
        0,
        f"{photo} -> {tmp_path}/photo.mask.png\n",
    )
    with Image.open(tmp_path / "photo.mask.png") as image:
        assert image.mode == "L"


def test_no_expand_keeps_the_canvas(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    for flag, size in (("--expand", (120, 160)), ("--no-expand", (160, 120))):
        called(photo, "-o", tmp_path / "out.png", "--angle", "90", flag, "--overwrite")
        with Image.open(tmp_path / "out.png") as image:
            assert image.size == size


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("out.JPG", [], "JPEG"),
        ("out.bmp", [], "BMP"),
        ("out", [], "WEBP"),
        ("out.jpg", ["--format", "png"], "PNG"),
    ],
)
def test_the_format_is_asked_for_or_follows_the_outputs_name(
    name: str, arguments: list[str], kind: str, tmp_path: Path
) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    assert called(photo, "-o", tmp_path / name, *arguments)[0] == 0
    with Image.open(tmp_path / name) as image:
        assert image.format == kind


def test_wrong_options_are_said_in_the_contracts_words_and_end_with_2(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    options = ("--w", "15000", "--angle", "500", "--bg-color", "#12345", "--format", "gif")
    code, said = called(photo, *options)
    assert code == 2
    assert said.splitlines() == [
        "openrembg: 'w' must be at most 10000, got: 15000",
        "openrembg: 'angle' must be between -360 and 360 degrees, got: 500.0",
        "openrembg: Invalid format 'gif'. Allowed formats: PNG, JPEG, WEBP, BMP",
        "openrembg: Invalid color format '#12345'. "
        "Use hex format: #RGB, #RGBA, #RRGGBB, or #RRGGBBAA",
    ]
    assert results(tmp_path) == ["photo.jpg"]


def test_an_output_extension_that_is_no_format_ends_with_2(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    code, said = called(photo, "-o", tmp_path / "out.gif")
    assert (code, "Invalid format 'gif'" in said) == (2, True)


def test_a_folder_is_mirrored_and_a_bad_photo_does_not_end_the_run(
    openrembg: Run, tmp_path: Path
) -> None:
    for name in ("a.jpg", "a.png", "sub/b.webp", "sub/deep/[red]c.bmp"):
        draw_photo(tmp_path / "in" / name)
    (tmp_path / "in/bad.jpg").write_bytes(b"no photo")
    (tmp_path / "in/cut.png").write_bytes((tmp_path / "in/a.png").read_bytes()[:-200])
    ended = openrembg("remove", "in", "-o", "results.v2")
    assert ended.returncode == 1
    assert results(tmp_path / "results.v2") == [
        "a.jpg.webp",
        "a.png.webp",
        "sub/b.webp",
        "sub/deep/[red]c.webp",
    ]
    sentence = "File does not appear to be a valid image (invalid file signature)"
    assert ended.stderr.decode().splitlines() == [
        "4 cut out, 2 failed.",
        f"failed: in/bad.jpg: {sentence}",
        f"failed: in/cut.png: {sentence}",
    ]


def test_the_second_run_over_a_folder_skips_what_is_there(tmp_path: Path) -> None:
    draw_photo(tmp_path / "a.jpg")
    draw_photo(tmp_path / "b.jpg")
    assert called(tmp_path) == (0, "2 cut out.\n")
    before = (tmp_path / "a.cutout.webp").stat().st_mtime_ns
    code, said = called(tmp_path)
    assert (code, said) == (0, "0 cut out, 2 skipped, there already (--overwrite replaces them).\n")
    assert (tmp_path / "a.cutout.webp").stat().st_mtime_ns == before
    assert called(tmp_path, "--overwrite") == (0, "2 cut out.\n")
    assert (tmp_path / "a.cutout.webp").stat().st_mtime_ns > before
    assert results(tmp_path) == ["a.cutout.webp", "a.jpg", "b.cutout.webp", "b.jpg"]


@pytest.mark.parametrize("kind", ["same", "spelling", "symlink", "hard link"])
def test_a_source_is_never_overwritten(kind: str, tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "sub/photo.webp")
    before = photo.read_bytes()
    (tmp_path / "soft.webp").symlink_to(photo)
    os.link(photo, tmp_path / "hard.webp")
    output = {
        "same": photo,
        "spelling": tmp_path / "sub/../sub/photo.webp",
        "symlink": tmp_path / "soft.webp",
        "hard link": tmp_path / "hard.webp",
    }[kind]
    code, said = called(photo, "-o", output, "--overwrite")
    assert (code, "a photo is never overwritten" in said) == (2, True)
    assert photo.read_bytes() == before
    assert (tmp_path / "soft.webp").is_symlink()


def test_a_source_is_not_overwritten_through_standard_input(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.png")
    before = photo.read_bytes()
    with photo.open("rb") as stdin:
        ended = subprocess.run(
            [sys.executable, "-m", "openrembg", "remove", "-", "-o", photo, "--overwrite"],
            stdin=stdin,
            capture_output=True,
            env=environment(tmp_path),
            check=False,
        )
    assert ended.returncode == 2
    assert photo.read_bytes() == before


def test_a_file_where_a_folder_must_go_is_a_failure(tmp_path: Path) -> None:
    draw_photo(tmp_path / "in" / "sub" / "photo.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").write_bytes(b"mine")
    code, said = called(tmp_path / "in", "-o", tmp_path / "out")
    assert (code, "sub is a file, and no folder" in said) == (1, True)
    assert (tmp_path / "out" / "sub").read_bytes() == b"mine"


def test_an_output_file_that_exists_stays_without_overwrite(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    (tmp_path / "out.png").write_bytes(b"mine")
    code, said = called(photo, "-o", tmp_path / "out.png")
    assert (code, "is there already" in said) == (1, True)
    assert (tmp_path / "out.png").read_bytes() == b"mine"


def test_several_photos_cannot_go_into_one_file(tmp_path: Path) -> None:
    one, two = draw_photo(tmp_path / "one.jpg"), draw_photo(tmp_path / "two.jpg")
    (tmp_path / "out.png").write_bytes(b"mine")
    code, said = called(one, two, "-o", tmp_path / "out.png")
    assert (code, "is a file" in said) == (2, True)


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    os.mkfifo(tmp_path / "pipe.png")
    code, said = called(photo, "-o", tmp_path / "pipe.png", "--overwrite")
    assert (code, "not a regular file" in said) == (2, True)
    assert (tmp_path / "pipe.png").is_fifo()


def test_a_single_bad_photo_is_one_sentence_and_1(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    code, said = called(tmp_path / "bad.jpg")
    assert code == 1
    assert said.count("invalid file signature") == 1
    assert results(tmp_path) == ["bad.jpg"]


def test_missing_names_are_reported_and_the_others_still_done(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    code, said = called(photo, tmp_path / "gone.jpg", tmp_path / "x*.png")
    assert code == 1
    assert "gone.jpg: There is no such file" in said
    assert "No photo matches this pattern" in said
    assert (tmp_path / "photo.cutout.webp").is_file()


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    code, said = called(tmp_path)
    assert (code, "There are no photos here" in said) == (1, True)


def test_a_photo_without_a_subject_is_mentioned(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "white.png")
    code, said = called(tmp_path / "white.png")
    assert (code, "no subject was found" in said) == (0, True)


def test_of_many_photos_without_a_subject_only_the_first_are_named(tmp_path: Path) -> None:
    for number in range(23):
        Image.new("RGB", (30, 20), "grey").save(tmp_path / f"{number}.png")
    code, said = called(tmp_path)
    assert (code, said.count(".png: No subject was found.")) == (0, 20)
    assert said.endswith("No subject was found in 3 more.\n")


def test_quiet_says_only_what_failed(tmp_path: Path) -> None:
    draw_photo(tmp_path / "a.jpg")
    assert called(tmp_path, "--quiet") == (0, "")
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    code, said = called(tmp_path, "--quiet")
    assert (code, said.startswith("failed: "), said.count("\n")) == (1, True, 1)


def test_strange_names_print_on_one_safe_line(
    openrembg: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_photo(tmp_path / "photo.png")
    strange = (b"[red]new\nline'\"\x1b[31m.png", b"\xff\xfe.png", "[bold]ü\u202e.png".encode())
    for name in strange:
        shutil.copy(tmp_path / "photo.png", tmp_path / os.fsdecode(name))
    ended = openrembg("remove", *strange)
    assert (ended.returncode, ended.stderr) == (0, b"3 cut out.\n")
    (tmp_path / "photo.png").unlink()
    ended = openrembg("remove", strange[1], "--overwrite")
    assert ended.stderr == b"\\xff\\xfe.png -> \\xff\\xfe.cutout.webp\n"
    monkeypatch.chdir(tmp_path)
    for name in strange:
        _, said = called(os.fsdecode(name), "--overwrite")
        assert said.count("\n") == 1
        assert "\x1b" not in said
    assert len(results(tmp_path)) == 6


def test_standard_input_goes_to_standard_output(openrembg: Run, tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    ended = openrembg("remove", "-", "--format", "png", stdin=photo.read_bytes())
    assert (ended.returncode, ended.stderr) == (0, b"")
    with Image.open(io.BytesIO(ended.stdout)) as image:
        assert (image.format, image.size) == ("PNG", (160, 120))


def test_a_file_goes_to_standard_output(openrembg: Run, tmp_path: Path) -> None:
    draw_photo(tmp_path / "photo.jpg")
    ended = openrembg("remove", "photo.jpg", "-o", "-")
    with Image.open(io.BytesIO(ended.stdout)) as image:
        assert image.format == "WEBP"
    assert results(tmp_path) == ["photo.jpg"]


def test_standard_input_goes_into_a_file(openrembg: Run, tmp_path: Path) -> None:
    data = draw_photo(tmp_path / "photo.jpg").read_bytes()
    assert openrembg("remove", "-", "-o", "out.bmp", stdin=data).returncode == 0
    assert openrembg("remove", "-", "-o", "folder/", stdin=data).returncode == 0
    assert results(tmp_path) == ["folder/stdin.webp", "out.bmp", "photo.jpg"]


def test_nothing_on_standard_input_is_a_sentence(openrembg: Run) -> None:
    ended = openrembg("remove", "-")
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert ended.stderr.startswith(b"openrembg: standard input: File does not appear")


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.png", (600, 600))
    command = f"'{sys.executable}' -m openrembg remove '{photo}' -o - --format bmp | head -c 10"
    ended = subprocess.run(
        ["bash", "-c", command], capture_output=True, env=environment(tmp_path), check=True
    )
    assert ended.stderr == b""


@pytest.mark.parametrize(
    ("closing", "said"),
    [
        (">&-", b"openrembg: Standard output is closed.\n"),
        ("<&-", b"openrembg: There is no photo on standard input.\n"),
    ],
)
def test_a_closed_stream_is_a_sentence(closing: str, said: bytes, tmp_path: Path) -> None:
    target = "-" if closing == ">&-" else "out.webp"
    command = f"'{sys.executable}' -m openrembg remove - -o {target} {closing}"
    ended = subprocess.run(
        ["bash", "-c", command],
        input=b"",
        stderr=subprocess.PIPE,
        env=environment(tmp_path),
        cwd=tmp_path,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (2, said)


def test_a_full_disk_behind_standard_output_is_a_sentence(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.png", (600, 600))
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "openrembg", "remove", photo, "-o", "-", "--format", "bmp"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(tmp_path),
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (
        1,
        b"openrembg: standard output: No space left on device\n",
    )


def test_binary_data_is_not_written_to_a_terminal(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.png")
    with terminal() as (mine, theirs):
        ended = subprocess.run(
            [sys.executable, "-m", "openrembg", "remove", photo, "-o", "-"],
            stdout=theirs,
            stderr=subprocess.PIPE,
            env=environment(tmp_path),
            check=False,
        )
        os.write(theirs, b"end")
        assert os.read(mine, 100) == b"end"
    assert (ended.returncode, b"binary" in ended.stderr) == (2, True)


def test_a_folder_on_a_terminal_shows_progress_with_rate_and_time(tmp_path: Path) -> None:
    for number in range(4):
        draw_photo(tmp_path / f"{number}.jpg")
    with terminal() as (mine, theirs):
        process = subprocess.Popen(
            [sys.executable, "-m", "openrembg", "remove", tmp_path],
            stderr=theirs,
            env=environment(tmp_path) | {"TERM": "xterm", "COLUMNS": "100"},
        )
        assert process.wait(DEADLINE_S) == 0
        os.write(theirs, b"end")
        seen = b""
        while not seen.endswith(b"end"):
            seen += os.read(mine, 4096)
    assert b"4/4" in seen
    assert b"photos/s" in seen


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    mine, theirs = pty.openpty()
    try:
        yield mine, theirs
    finally:
        os.close(mine)
        os.close(theirs)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_whole_results_only(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    photo = draw_photo(tmp_path / "in/0000.png", (500, 500))
    for index in range(1, 800):
        os.link(photo, tmp_path / f"in/{index:04}.png")
    out = tmp_path / "out"
    with running(tmp_path, "in", "-o", "out", "--format", "png") as process:
        wait_until(lambda: out.is_dir() and len(results(out)) > 3)
        process.send_signal(number)
        assert process.wait(DEADLINE_S) == code
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
    made = results(out)
    assert 3 < len(made) < 800
    assert all(name.endswith(".png") and not name.startswith(".") for name in made)
    for name in made:
        with Image.open(out / name) as image:
            image.load()


def test_a_watched_folder_is_served_until_ctrl_c(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg", (400, 300)).read_bytes()
    (tmp_path / "in").mkdir()
    draw_photo(tmp_path / "in/there.jpg")
    with running(tmp_path, "in", "-o", "out", "--watch") as process:
        wait_until((tmp_path / "out/there.webp").is_file)
        with (tmp_path / "in/new.jpg").open("wb") as file:
            file.write(photo)
        wait_until((tmp_path / "out/new.webp").is_file)
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 0
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert "in/there.jpg -> out/there.webp" in said
    assert "in/new.jpg -> out/new.webp" in said
    assert "Traceback" not in said


def test_a_watched_photo_that_failed_half_copied_may_go_well_later(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg", (400, 300)).read_bytes()
    (tmp_path / "in").mkdir()
    (tmp_path / "in/slow.jpg").write_bytes(photo[: len(photo) // 2])
    with running(tmp_path, "in", "-o", "out", "--watch") as process:
        assert process.stderr is not None
        while b"failed: in/slow.jpg" not in process.stderr.readline():
            assert process.poll() is None
        (tmp_path / "in/slow.jpg").write_bytes(photo)
        wait_until((tmp_path / "out/slow.webp").is_file)
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 0


def test_only_folders_can_be_watched(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    assert called(photo, "--watch") == (2, "openrembg: --watch takes folders only.\n")


def test_an_unknown_model_is_answered_with_those_there_are(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    code, said = called(photo, "--model", "../../etc/passwd")
    assert code == 1
    assert "Installed: openrembg-v" in said


def test_a_model_of_the_operators_own_is_used(tmp_path: Path) -> None:
    from openrembg.matting.weights import card_text, find_weights, read_card

    shipped = find_weights()
    models = tmp_path / "models"
    models.mkdir()
    shutil.copy(shipped.path, models / "mine.onnx")
    text = card_text(shipped.card, shipped.card.digest, 1).replace(shipped.card.name, "mine")
    (models / "mine.json").write_text(text)
    assert read_card(models / "mine.json").name == "mine"
    photo = draw_photo(tmp_path / "photo.jpg")
    assert called(photo, "--model", "mine", "--models-dir", models)[0] == 0
    (models / "mine.onnx").write_bytes(b"rot")
    code, said = called(photo, "--model", "mine", "--models-dir", models, "--overwrite")
    assert (code, "do not have the checksum" in said) == (1, True)


def test_a_provider_that_is_not_there_is_an_error_and_not_a_fallback(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photo.jpg")
    code, said = called(photo, "--provider", "cuda")
    assert (code, "openrembg: " in said, results(tmp_path)) == (1, True, ["photo.jpg"])
