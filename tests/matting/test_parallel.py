"""Work on all cores: everything is done once, failures arrive, quotas are read."""

import threading
from pathlib import Path

import pytest

from openrembg.matting import parallel


def test_every_piece_is_done_once() -> None:
    done: list[int] = []
    parallel.run_all(done.append, 500)
    assert sorted(done) == list(range(500))


def test_a_failure_in_any_piece_is_raised() -> None:
    def work(index: int) -> None:
        if index == 7:
            raise LookupError("seven")

    with pytest.raises(LookupError, match="seven"):
        parallel.run_all(work, 50)


def test_nested_and_crowded_use_does_not_deadlock() -> None:
    done: list[int] = []

    def outer(_: int) -> None:
        parallel.run_all(done.append, 20)

    threads = [threading.Thread(target=parallel.run_all, args=(outer, 10)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(done) == 8 * 10 * 20


def test_a_started_task_gives_its_result_or_its_error() -> None:
    assert parallel.start(lambda: 5)() == 5

    def fail() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        parallel.start(fail)()


def test_stripes_cover_all_rows_once() -> None:
    for height in (1, 2, 999, 10_000):
        for row_bytes in (1, 4_000, 4_000_000):
            rows = [
                row for part in parallel.stripes(height, row_bytes) for row in range(height)[part]
            ]
            assert rows == list(range(height))


@pytest.mark.parametrize(
    ("text", "cores"), [("max 100000", None), ("150000 100000", 1.5), ("50000 100000", 0.5)]
)
def test_a_containers_quota_is_read(tmp_path: Path, text: str, cores: float | None) -> None:
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert parallel.cgroup_quota(tmp_path) == cores


def test_an_old_style_quota_is_read(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("200000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert parallel.cgroup_quota(tmp_path) == 2.0


def test_at_least_one_core_is_available() -> None:
    assert parallel.available_cores() >= 1
