"""What files, folders and patterns on the command line mean."""

import os
from pathlib import Path

import pytest

from openrembg.cli.inputs import Input, find_inputs, names_one_file


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder of photos with what does not belong among them, and go there."""
    for name in (
        "in/b.jpg",
        "in/a.PNG",
        "in/sub/c.webp",
        "in/sub/deep/d.bmp",
        "in/notes.txt",
        "in/.hidden.jpg",
        "in/.git/e.jpg",
        "in/b.cutout.webp",
        "in/b.mask.png",
        "in/.openrembg-0123.part",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paths(*arguments: str, recursive: bool = True, leave_out: Path | None = None) -> list[str]:
    found = find_inputs(arguments, recursive=recursive, leave_out=leave_out)
    assert found.failures == ()
    return [str(item.path) for item in found.inputs]


def test_a_folder_gives_its_photos_in_order_without_earlier_results(tree: Path) -> None:
    assert paths("in") == ["in/a.PNG", "in/b.jpg", "in/sub/c.webp", "in/sub/deep/d.bmp"]


def test_a_folders_inputs_know_their_sub_folder(tree: Path) -> None:
    folders = {item.path.name: item.folder for item in find_inputs(["in"]).inputs}
    assert folders["a.PNG"] == Path()
    assert folders["d.bmp"] == Path("sub/deep")


def test_sub_folders_can_be_left_alone(tree: Path) -> None:
    assert paths("in", recursive=False) == ["in/a.PNG", "in/b.jpg"]


def test_the_output_folder_inside_the_input_folder_is_no_input(tree: Path) -> None:
    assert paths("in", leave_out=Path("in/sub")) == ["in/a.PNG", "in/b.jpg"]
    assert paths("in/**/*.*p", leave_out=Path("in/sub/deep")) == ["in/sub/c.webp"]


def test_a_pattern_over_the_output_folder_itself_still_matches(tree: Path) -> None:
    assert paths("in/*.jpg", leave_out=Path("in")) == ["in/b.jpg"]


def test_a_quoted_pattern_matches_photos_only(tree: Path) -> None:
    assert paths("in/*") == ["in/a.PNG", "in/b.jpg"]
    assert paths("in/**/*.webp") == ["in/sub/c.webp"]


def test_a_file_that_looks_like_a_pattern_is_that_file(tree: Path) -> None:
    Path("[red]*.jpg").write_bytes(b"x")
    assert paths("[red]*.jpg") == ["[red]*.jpg"]
    assert names_one_file("[red]*.jpg")


def test_a_named_file_is_taken_whatever_its_name(tree: Path) -> None:
    assert paths("in/notes.txt") == ["in/notes.txt"]
    assert paths("in/b.cutout.webp") == ["in/b.cutout.webp"]


def test_earlier_results_among_several_names_are_left_out_and_counted(tree: Path) -> None:
    found = find_inputs(["in/b.jpg", "in/b.cutout.webp", "in/b.mask.png"])
    assert [str(item.path) for item in found.inputs] == ["in/b.jpg"]
    assert found.left_out == 2


def test_a_photo_that_is_named_twice_counts_once(tree: Path) -> None:
    Path("link.jpg").symlink_to("in/b.jpg")
    assert paths("in/b.jpg", "in/../in/b.jpg", "link.jpg", "in/*.jpg") == ["in/b.jpg"]


def test_a_missing_file_and_an_empty_pattern_are_failures(tree: Path) -> None:
    found = find_inputs(["nothing.jpg", "none*.jpg", "in/b.jpg"])
    assert found.inputs == (Input(Path("in/b.jpg")),)
    assert [(item.name, item.reason) for item in found.failures] == [
        ("nothing.jpg", "There is no such file"),
        ("none*.jpg", "No photo matches this pattern"),
    ]


def test_a_link_in_a_circle_does_not_hang_the_walk(tree: Path) -> None:
    Path("in/sub/up").symlink_to(tree / "in")
    assert len(paths("in")) == 4


def test_names_that_are_not_utf_8_are_found(tree: Path) -> None:
    (tree / os.fsdecode(b"in/\xff\xfe.png")).write_bytes(b"x")
    assert os.fsdecode(b"in/\xff\xfe.png") in paths("in")


@pytest.mark.parametrize(
    ("argument", "single"), [("in", False), ("in/*.jpg", False), ("in/b.jpg", True), ("x", True)]
)
def test_only_a_plain_name_can_mean_one_file(argument: str, single: bool, tree: Path) -> None:
    assert names_one_file(argument) is single
