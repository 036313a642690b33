"""When a file of a watched folder counts as written."""

from pathlib import Path

from openrembg.cli.watch import Watch


def test_a_file_is_ready_at_the_second_look_and_only_once(tmp_path: Path) -> None:
    photo, watch = tmp_path / "a.jpg", Watch()
    photo.write_bytes(b"whole")
    assert watch.ready([photo]) == frozenset()
    assert watch.ready([photo]) == {photo}
    assert watch.ready([photo]) == frozenset()


def test_a_growing_file_is_not_ready(tmp_path: Path) -> None:
    photo, watch = tmp_path / "a.jpg", Watch()
    for length in range(1, 5):
        photo.write_bytes(b"x" * length)
        assert watch.ready([photo]) == frozenset()
    assert watch.ready([photo]) == {photo}


def test_an_empty_file_is_never_ready(tmp_path: Path) -> None:
    photo, watch = tmp_path / "a.jpg", Watch()
    photo.touch()
    assert watch.ready([photo]) == watch.ready([photo]) == frozenset()


def test_a_file_that_changes_later_gets_ready_again(tmp_path: Path) -> None:
    photo, watch = tmp_path / "a.jpg", Watch()
    photo.write_bytes(b"half")
    watch.ready([photo])
    assert watch.ready([photo]) == {photo}
    photo.write_bytes(b"half and half")
    assert watch.ready([photo]) == frozenset()
    assert watch.ready([photo]) == {photo}


def test_a_file_that_vanishes_between_two_looks_is_no_trouble(tmp_path: Path) -> None:
    photo, watch = tmp_path / "a.jpg", Watch()
    photo.write_bytes(b"x")
    watch.ready([photo])
    photo.unlink()
    assert watch.ready([photo]) == frozenset()
