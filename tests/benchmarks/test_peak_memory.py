import os
import subprocess
import sys
from pathlib import Path

from benchmarks.memory import available_bytes, family, peak_bytes, total_bytes, watched

HOLD_100_MB = "import sys; block = b'x' * 100_000_000; print('held', flush=True); sys.stdin.read()"


def test_sizes_are_read_in_bytes(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  2048 kB\nMemAvailable:  1024 kB\n")
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "status").write_text("Name:\tx\nVmHWM:\t   12 kB\nVmRSS:\t 5 kB\n")

    assert total_bytes(tmp_path) == 2048 * 1024
    assert available_bytes(tmp_path) == 1024 * 1024
    assert peak_bytes(7, tmp_path) == 12 * 1024


def test_process_that_has_ended_has_no_peak(tmp_path: Path) -> None:
    assert peak_bytes(7, tmp_path) == 0


def test_family_has_grandchildren_and_no_strangers(tmp_path: Path) -> None:
    for pid, name, parent in ((10, "a", 1), (11, "b) S (", 10), (12, "c", 11), (13, "d", 1)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} ({name}) S {parent} 0 0")

    assert family(10, tmp_path) == {10, 11, 12}


def test_peak_of_a_tree_counts_what_a_child_holds() -> None:
    with watched(os.getpid()) as (before, _):
        pass
    with (
        watched(os.getpid()) as (peak, _),
        subprocess.Popen(
            [sys.executable, "-c", HOLD_100_MB], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child,
    ):
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        peak.look()
        child.communicate()

    assert peak.bytes > before.bytes + 100_000_000


def test_machine_below_the_floor_raises_the_alarm() -> None:
    with watched(os.getpid(), floor_bytes=total_bytes() * 2) as (_, short):
        assert short.wait(10)
