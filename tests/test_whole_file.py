"""A file that is written whole or not at all."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openrembg.whole_file import whole_file

DEADLINE_S = 60


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(target: Path, data: bytes = b"new", *, overwrite: bool = True) -> None:
    with whole_file(target, overwrite=overwrite) as file:
        file.write(data)


def test_the_name_appears_at_the_end_and_the_draft_is_hidden(tmp_path: Path) -> None:
    target = tmp_path / "a.webp"
    with whole_file(target, overwrite=False) as file:
        file.write(b"half")
        assert not target.exists()
        assert [name[0] for name in names(tmp_path)] == ["."]
        file.write(b" and half")
    assert target.read_bytes() == b"half and half"
    assert names(tmp_path) == ["a.webp"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_error_in_the_middle_leaves_what_was_there(
    error: type[BaseException], tmp_path: Path
) -> None:
    target = tmp_path / "a.webp"
    target.write_bytes(b"old")

    def interrupted() -> None:
        with whole_file(target, overwrite=True) as file:
            file.write(b"new")
            raise error

    with pytest.raises(error):
        interrupted()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.webp"]


def test_a_taken_name_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "a.webp").write_bytes(b"old")
    (tmp_path / "nowhere.webp").symlink_to(tmp_path / "gone")
    (tmp_path / "folder").mkdir()
    for name in ("a.webp", "nowhere.webp", "folder"):
        with (
            pytest.raises(FileExistsError, match=name),
            whole_file(tmp_path / name, overwrite=False),
        ):
            pytest.fail("the block ran")
    assert names(tmp_path) == ["a.webp", "folder", "nowhere.webp"]


def test_a_name_that_somebody_takes_meanwhile_stays_theirs(tmp_path: Path) -> None:
    target = tmp_path / "a.webp"

    def late() -> None:
        with whole_file(target, overwrite=False) as file:
            file.write(b"new")
            target.write_bytes(b"theirs")

    with pytest.raises(FileExistsError):
        late()
    assert target.read_bytes() == b"theirs"
    assert names(tmp_path) == ["a.webp"]


def test_an_existing_file_is_replaced_when_that_is_asked_for(tmp_path: Path) -> None:
    target = tmp_path / "a.webp"
    target.write_bytes(b"old")
    fill(target)
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["a.webp"]


def test_a_folder_a_pipe_and_a_device_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to(os.devnull)
    for name, message in (("folder", "Is a directory"), ("pipe", "regular"), ("null", "regular")):
        with pytest.raises(OSError, match=message):
            fill(tmp_path / name)
    assert names(tmp_path) == ["folder", "null", "pipe"]
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("a\0b", errno.EINVAL),
        ("a" * 300, errno.ENAMETOOLONG),
        ("gone/a.webp", errno.ENOENT),
        ("file/a.webp", errno.ENOTDIR),
        (".", errno.EISDIR),
    ],
)
def test_a_name_that_cannot_be_is_an_error_before_the_work(
    name: str, number: int, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with (
        pytest.raises(OSError, match=r"\[Errno") as caught,
        whole_file(tmp_path / name, overwrite=True),
    ):
        pytest.fail("the block ran")
    assert caught.value.errno == number
    assert caught.value.filename in (None, str(tmp_path / name))
    assert names(tmp_path) == ["file"]


def test_ctrl_c_in_another_process_leaves_no_draft(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from openrembg.whole_file import whole_file\n"
        "with whole_file(Path(sys.argv[1]), overwrite=True) as file:\n"
        "    file.write(b'half'); print(flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, tmp_path / "a.webp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert len(names(tmp_path)) == 1
        process.send_signal(signal.SIGINT)
        process.wait(DEADLINE_S)
    assert names(tmp_path) == []
