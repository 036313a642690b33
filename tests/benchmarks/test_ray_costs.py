from benchmarks.__main__ import arguments
from benchmarks.ray_costs import RayCosts, Replicas, Turns, ray_costs_table
from benchmarks.series import Series


def series(*values: float) -> Series:
    return Series(values)


def test_what_needs_ray_runs_only_when_it_is_asked_for() -> None:
    assert not arguments(["--quick"]).ray
    assert arguments(["--ray"]).ray


def test_costs_are_told_by_file_and_by_replicas() -> None:
    turns = Turns(1_000_000, series(10, 12), series(14, 15), series(4, 3), series(2, 3))
    one = Replicas(1, series(20), ("503 ",), 9.0, 100_000_000, 200_000_000, 755_000_000)

    text = ray_costs_table(RayCosts((turns,), series(30), (one,)))

    assert "| 1.0 MB " in text
    assert "3.5 (3.0–4.0)" in text
    assert "1 failed" in text
    assert " 755 |" in text
