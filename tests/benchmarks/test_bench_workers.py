import sys
from pathlib import Path

import pytest
from benchmarks.errors import BenchmarkFailed
from benchmarks.workers import Worker

REPEATING = """
from benchmarks.child import answer
def cut(photo, job):
    print("libraries print to stdout when they like")
    return photo * job["times"], {"decode": 0.5}
answer({"provider": "none"}, cut)
"""


def worker(program: str) -> Worker:
    return Worker([sys.executable, "-c", program])


def test_worker_answers_with_the_measured_call_and_keeps_the_result(tmp_path: Path) -> None:
    photo, kept = tmp_path / "photo", tmp_path / "kept"
    photo.write_bytes(b"abc")

    with worker(REPEATING) as child:
        call = child.call(photo, times=2, keep=str(kept))
        facts = child.facts

    assert facts == {"provider": "none"}
    assert kept.read_bytes() == b"abcabc"
    assert call.output_bytes == 6
    assert call.parts == {"decode": 0.5}
    assert call.seconds > 0
    assert call.peak_bytes > 1_000_000


def test_worker_that_ends_is_a_failed_benchmark() -> None:
    with pytest.raises(BenchmarkFailed, match="has ended"):
        worker("raise SystemExit(3)")


def test_worker_that_ends_within_a_job_is_a_failed_benchmark(tmp_path: Path) -> None:
    photo = tmp_path / "photo"
    photo.write_bytes(b"abc")

    with (
        worker(REPEATING.replace("return", "raise SystemExit(1)\n    return")) as child,
        pytest.raises(BenchmarkFailed, match="has ended"),
    ):
        child.call(photo, times=2)
