"""Names of results, and writing that is whole or not at all."""

import os
import threading
from pathlib import Path

import pytest

from openrembg.cli.inputs import Input
from openrembg.cli.outputs import is_source, plan, write


def photos(folder: Path, *names: str) -> list[Input]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"photo")
    return [Input(folder / name, Path(name).parent) for name in names]


def targets(inputs: list[Input], output: Path | None, root: Path, **how: bool) -> list[str]:
    return [str(job.target.relative_to(root)) for job in plan(inputs, output, "webp", **how)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_result_lies_beside_its_source_under_another_name(tmp_path: Path) -> None:
    inputs = photos(tmp_path, "a.webp", "sub/b.jpg")
    assert targets(inputs, None, tmp_path) == ["a.cutout.webp", "sub/b.cutout.webp"]
    assert targets(inputs, None, tmp_path, mask=True) == ["a.mask.webp", "sub/b.mask.webp"]


def test_jpeg_results_end_in_jpg(tmp_path: Path) -> None:
    (job,) = plan(photos(tmp_path, "a.png"), None, "jpeg")
    assert job.target.name == "a.cutout.jpg"


def test_an_output_folder_mirrors_sub_folders(tmp_path: Path) -> None:
    inputs = photos(tmp_path / "in", "a.jpg", "sub/deep/b.jpg")
    assert targets(inputs, tmp_path / "out", tmp_path) == ["out/a.webp", "out/sub/deep/b.webp"]


def test_an_output_folder_that_is_the_sources_own_keeps_the_mark(tmp_path: Path) -> None:
    inputs = photos(tmp_path / "in", "a.webp")
    assert targets(inputs, tmp_path / "in/../in", tmp_path / "in/../in") == ["a.cutout.webp"]


def test_photos_that_differ_in_their_extension_do_not_share_a_result(tmp_path: Path) -> None:
    inputs = photos(tmp_path, "a.jpg", "a.png", "A.bmp", "b.jpg")
    assert targets(inputs, None, tmp_path) == [
        "a.jpg.cutout.webp",
        "a.png.cutout.webp",
        "A.bmp.cutout.webp",
        "b.cutout.webp",
    ]


def test_photos_of_one_name_from_two_folders_are_numbered(tmp_path: Path) -> None:
    one, two = photos(tmp_path / "one", "a.jpg"), photos(tmp_path / "two", "a.jpg")
    made = targets([*one, *two], tmp_path / "out", tmp_path)
    assert made == ["out/a.jpg.webp", "out/a.jpg-2.webp"]


def test_a_target_is_never_a_source(tmp_path: Path) -> None:
    inputs = [*photos(tmp_path / "in", "a.jpg"), *photos(tmp_path / "out", "a.webp")]
    made = targets(inputs, tmp_path / "out", tmp_path)
    assert made == ["out/a-2.webp", "out/a.cutout.webp"]


def test_a_target_that_links_to_a_source_is_avoided(tmp_path: Path) -> None:
    inputs = photos(tmp_path, "a.jpg")
    (tmp_path / "a.cutout.webp").symlink_to(tmp_path / "a.jpg")
    os.link(tmp_path / "a.jpg", tmp_path / "a.cutout-2.webp")
    assert targets(inputs, None, tmp_path) == ["a.cutout-3.webp"]


@pytest.mark.parametrize("kind", ["same", "spelling", "symlink", "hard link"])
def test_a_source_is_known_under_every_name(kind: str, tmp_path: Path) -> None:
    (source,) = [item.path for item in photos(tmp_path, "sub/a.jpg")]
    (tmp_path / "symlink").symlink_to(source)
    os.link(source, tmp_path / "hard")
    name = {
        "same": source,
        "spelling": tmp_path / "sub/../sub/a.jpg",
        "symlink": tmp_path / "symlink",
        "hard link": tmp_path / "hard",
    }[kind]
    assert is_source(name, [source])
    assert not is_source(tmp_path / "other.jpg", [source])


def test_writing_makes_folders_and_leaves_no_draft(tmp_path: Path) -> None:
    target = tmp_path / "new/folder/a.webp"
    assert write(target, b"whole", overwrite=False)
    assert target.read_bytes() == b"whole"
    assert names(target.parent) == ["a.webp"]


def test_an_existing_result_stays_unless_overwriting_is_asked_for(tmp_path: Path) -> None:
    target = tmp_path / "a.webp"
    target.write_bytes(b"old")
    assert not write(target, b"new", overwrite=False)
    assert target.read_bytes() == b"old"
    assert write(target, b"new", overwrite=True)
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["a.webp"]


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "a.webp", b"x", overwrite=False)
    finally:
        os.umask(before)
    assert (tmp_path / "a.webp").stat().st_mode & 0o777 == 0o640


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long"):
        write(tmp_path / ("a" * 300), b"x", overwrite=True)
    assert names(tmp_path) == []


def test_of_many_writers_exactly_one_gets_the_name(tmp_path: Path) -> None:
    target, results = tmp_path / "a.webp", []

    def attempt(number: int) -> None:
        if write(target, bytes([number]) * 1000, overwrite=False):
            results.append(number)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 1
    assert target.read_bytes() == bytes(results) * 1000
