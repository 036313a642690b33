import os
from pathlib import Path

import pytest

from openrembg.server.listening import ServeError
from openrembg.server.processes.counts import FILE_BYTES, can_count, counts_of

ADDRESS = "127.0.0.1:1"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_server_has_whole_files_to_count_in_and_leaves_none_behind(tmp_path: Path) -> None:
    with counts_of(tmp_path, ADDRESS, 1) as counts:
        assert names(counts.folder) == ["counter_0.db", "histogram_0.db"]
        assert (counts.folder / "counter_0.db").stat().st_blocks * 512 >= FILE_BYTES, "no holes"
    assert names(tmp_path / "counts") == []


def test_a_server_that_ends_leaves_alone_what_the_next_one_at_its_address_counts(
    tmp_path: Path,
) -> None:
    draining = counts_of(tmp_path, ADDRESS, 1)
    old = draining.__enter__()
    with counts_of(tmp_path, ADDRESS, 1) as new:
        assert names(old.folder) == names(new.folder), "nor does the next one's start"
        draining.__exit__(None, None, None)
        assert names(new.folder) == ["counter_0.db", "histogram_0.db"]
        assert not old.folder.exists()


def test_what_a_killed_server_counted_is_deleted_by_the_next_one(tmp_path: Path) -> None:
    left = tmp_path / "counts" / f"{ADDRESS}-00c0ffee"
    left.mkdir(parents=True)
    (left / "counter_9.db").write_bytes(b"old")
    left.with_name(f"{left.name}.lock").touch()
    with counts_of(tmp_path, "[::1]:2", 1) as counts:
        assert names(tmp_path / "counts") == [counts.folder.name, f"{counts.folder.name}.lock"]


def test_the_folder_of_a_killed_supervisor_stays_while_a_process_of_its_server_does(
    tmp_path: Path,
) -> None:
    supervisor = counts_of(tmp_path, ADDRESS, 1)
    counts = supervisor.__enter__()
    inherited = os.dup(counts.lock)
    os.close(counts.lock)
    with counts_of(tmp_path, ADDRESS, 1):
        assert counts.folder.exists()
    os.close(inherited)
    with counts_of(tmp_path, ADDRESS, 1):
        assert not counts.folder.exists()
    with pytest.raises(OSError, match="descriptor"):
        supervisor.__exit__(None, None, None)


def test_a_process_makes_a_deleted_folder_anew_and_counts_on_in_one_that_is_there(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "counts" / "gone"
    assert can_count(folder, 3)
    assert names(folder) == ["counter_3.db", "histogram_3.db"]
    (folder / "counter_3.db").write_bytes(b"7" * FILE_BYTES)
    assert can_count(folder, 3)
    assert (folder / "counter_3.db").read_bytes()[:2] == b"77"


def test_a_process_does_without_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "counts").touch()
    assert not can_count(tmp_path / "counts" / "a:1", 0)


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "counts").touch()
    with pytest.raises(ServeError, match="for metrics"), counts_of(tmp_path, "a:1", 1):
        pass
