import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine

from openrembg.server.quota.local_storage import LocalStorage


def test_a_count_begins_at_nothing() -> None:
    storage = LocalStorage()
    assert storage.get("a") == 0
    assert storage.get_expiry("a") <= time.time()


def test_counts_are_apart_and_end_together_with_their_window() -> None:
    storage = LocalStorage()
    assert [storage.incr("a", 60), storage.incr("a", 60), storage.incr("b", 60)] == [1, 2, 1]
    assert 58 < storage.get_expiry("a") - time.time() <= 60
    storage.incr("short", 0)
    assert storage.get("short") == 0
    assert storage.incr("short", 60) == 1


def test_later_increments_do_not_prolong_the_window() -> None:
    storage = LocalStorage()
    storage.incr("a", 60)
    ends = storage.get_expiry("a")
    storage.incr("a", 60)
    assert storage.get_expiry("a") == pytest.approx(ends, abs=1)


def test_a_clock_that_jumps_neither_ends_nor_prolongs_a_window() -> None:
    storage = LocalStorage()
    storage.incr("a", 60)
    for days in (40, -40):
        with time_machine.travel(time.time() + days * 86400):
            assert storage.incr("a", 60, 0) == 1
            assert 55 < storage.get_expiry("a") - time.time() <= 60


def test_many_threads_each_see_their_own_sum() -> None:
    storage = LocalStorage()
    start = threading.Barrier(16)

    def count(_: int) -> list[int]:
        start.wait()
        return [storage.incr("a", 60) for _ in range(200)]

    with ThreadPoolExecutor(16) as pool:
        sums = [one for some in pool.map(count, range(16)) for one in some]
    assert sorted(sums) == list(range(1, 3201))


def test_ended_counts_are_forgotten() -> None:
    storage = LocalStorage(sweep_every_s=0)
    for number in range(100):
        storage.incr(f"old-{number}", 0)
    storage.incr("new", 60)
    assert storage.reset() == 1


def test_one_count_can_be_cleared() -> None:
    storage = LocalStorage()
    storage.incr("a", 60)
    storage.clear("a")
    assert storage.get("a") == 0
    assert storage.check()
