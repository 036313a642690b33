import os
import tempfile

import pytest
from benchmarks.holdings import Holdings, holdings
from benchmarks.load import Load
from benchmarks.processes import processes_table
from benchmarks.rates import Stream
from benchmarks.slow import Waits, p95, slow_table
from benchmarks.slow_clients import kinds
from benchmarks.soak import Soak, mixture, slope, soak_table


def cells(table: str, line: int) -> list[str]:
    return [cell.strip() for cell in table.splitlines()[line + 2].split("|")][1:-1]


def held(megabytes: float, threads: int = 80, descriptors: int = 160) -> Holdings:
    return Holdings(int(megabytes * 1e6), threads, descriptors, 3, 0)


def test_slope_is_that_of_the_nearest_line() -> None:
    assert slope([(1000, 10.0), (2000, 11.0), (3000, 13.0), (4000, 14.0)]) == pytest.approx(0.0014)


def test_memory_that_grows_and_threads_that_pile_up_miss_their_goals() -> None:
    looks = tuple((1000 * n, held(300 + 2 * n, 80 + n, 160 + n)) for n in range(1, 9))
    text = soak_table(Soak(8000, 80.0, looks))

    assert cells(text, 0)[4:] == ["2.00 MB", "1 MB missed"]
    assert cells(text, 1)[4:] == ["+6 since", "0 more missed"]
    assert cells(text, 2)[4:] == ["+6 since", "8 more met"]


def test_mixture_holds_every_kind_of_answer() -> None:
    asked = [request for _, request in zip(range(60), mixture("a key"), strict=False)]

    assert {request.status for request in asked} == {200, 400, 401, 404}
    assert sum("Idempotency-Key" in request.headers for request in asked) >= 6


def test_open_files_without_a_name_are_seen() -> None:
    with tempfile.TemporaryFile() as file:
        before = holdings(os.getpid())
        file.write(b"x" * 1_000_000)
        file.flush()
        after = holdings(os.getpid())

    assert after.unnamed_bytes - before.unnamed_bytes == 1_000_000
    assert after.threads >= 1
    assert after.resident_bytes > 1_000_000


def test_ratio_is_the_median_of_the_rounds() -> None:
    calm, busy = (0.1,) * 20, (0.11,) * 20
    waits = Waits("cut-out", (calm, calm, calm), (busy, calm, (9.0,) * 20))

    assert p95(calm) == pytest.approx(0.1)
    assert cells(slow_table((waits,)), 0)[4:] == ["1.10 ×", "1.2 × met"]


def test_half_of_the_slow_send_heads_and_a_third_bodies() -> None:
    found = kinds(600)

    assert [found.count(kind) for kind in ("head", "body", "answer")] == [300, 200, 100]


def test_processes_stand_side_by_side() -> None:
    load = Load(seconds=2.0, latencies=[0.5] * 10)
    streams = (
        Stream("1", "png", 16, (load,), 10**9),
        Stream("2", "png", 16, (load, load), 2 * 10**9),
    )
    text = processes_table(streams)

    assert cells(text, 1) == ["PNG", "2", "5.0 (5.0–5.0)", "500", "2.00", "0", "0"]
