import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from openrembg.server.errors import Busy, ClientGone
from openrembg.server.inference.slots import Load, Slots


def slots(**changes: Any) -> Slots:
    plain: dict[str, Any] = {
        "workers": 2,
        "max_pixels": 100,
        "max_waiting": 10,
        "timeout_s": 30.0,
    }
    return Slots(**{**plain, **changes})


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    waiting = threading.Event()
    while not condition():
        waiting.wait(0.005)


def test_a_free_slot_is_given_at_once() -> None:
    house = slots()
    with house.admit(10, "ada"):
        assert house.load() == Load(computing=1, waiting=0, pixels_in_flight=10)
    assert house.load() == Load(computing=0, waiting=0, pixels_in_flight=0)


def test_a_slot_is_free_again_after_an_error() -> None:
    house = slots(workers=1, max_waiting=0)
    with pytest.raises(ZeroDivisionError), house.admit(10, "ada"):
        raise ZeroDivisionError
    with house.admit(10, "ada"):
        pass


def test_when_workers_and_queue_are_full_the_next_is_turned_away() -> None:
    house = slots(workers=2, max_waiting=0)
    with ExitStack() as stack:
        stack.enter_context(house.admit(10, "ada"))
        stack.enter_context(house.admit(10, "ada"))
        with pytest.raises(Busy), house.admit(10, "ada"):
            pass
        assert house.load() == Load(computing=2, waiting=0, pixels_in_flight=20)


def test_a_wait_that_is_too_long_ends_as_busy() -> None:
    house = slots(workers=1, timeout_s=0.01)
    with house.admit(10, "ada"):
        with pytest.raises(Busy), house.admit(10, "ada"):
            pass
        assert house.load().waiting == 0


def test_a_client_that_left_the_queue_is_forgotten() -> None:
    house = slots(workers=1)
    with house.admit(10, "ada"):
        with pytest.raises(ClientGone), house.admit(10, "ada", lambda: True):
            pass
        assert house.load().waiting == 0


def test_the_pixel_budget_holds_others_back() -> None:
    house = slots(workers=3, max_pixels=100, timeout_s=0.01)
    with house.admit(60, "ada"):
        with pytest.raises(Busy), house.admit(50, "ada"):
            pass
        with house.admit(40, "ada"):
            assert house.load().pixels_in_flight == 100


def test_a_picture_over_the_whole_budget_runs_alone() -> None:
    house = slots(max_pixels=100, timeout_s=0.01)
    with house.admit(1000, "ada"), pytest.raises(Busy), house.admit(1, "ada"):
        pass
    with house.admit(1, "ada"), pytest.raises(Busy), house.admit(1000, "ada"):
        pass


class Crowd:
    """Callers who hold their slots until the test ends them. A name's first letter is who asks."""

    def __init__(self, house: Slots, pool: ThreadPoolExecutor) -> None:
        self._house, self._pool = house, pool
        self._ends: dict[str, threading.Event] = {}
        self._jobs: dict[str, Future[None]] = {}
        self.admitted: list[str] = []

    def ask(self, *names: str, pixels: int = 1) -> None:
        """Ask for slots, one after the other: each has one, waits, or is turned away by then."""
        for name in names:
            settled = threading.Event()
            self._ends[name] = threading.Event()
            self._jobs[name] = self._pool.submit(self._compute, name, pixels, settled)
            self._jobs[name].add_done_callback(lambda _, settled=settled: settled.set())
            settled.wait()

    def end(self, *names: str) -> None:
        """Let some be ready, one after the other, each as soon as it computes."""
        for name in names:
            eventually(lambda name=name: name in self.admitted)
            self._ends[name].set()
            self._jobs[name].result()

    def end_all(self) -> list[str]:
        """End those who have a place, one after the other; return in which order they came."""
        ended = 0
        while self._house.load() != Load(0, 0, 0):
            eventually(lambda ended=ended: len(self.admitted) > ended)
            self._ends[self.admitted[ended]].set()
            self._jobs[self.admitted[ended]].result()
            ended += 1
        return self.admitted

    def is_busy(self, name: str) -> bool:
        """Return whether one that has no place any more was told that the server is busy."""
        return isinstance(self._jobs[name].exception(timeout=20), Busy)

    def _compute(self, name: str, pixels: int, settled: threading.Event) -> None:
        with self._house.admit(pixels, name[0], before_waiting=settled.set):
            self.admitted.append(name)
            settled.set()
            self._ends[name].wait()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for a crowd."""
    with ThreadPoolExecutor(20) as threads:
        yield threads


def test_one_callers_own_are_in_order_so_that_a_giant_gets_its_turn(
    pool: ThreadPoolExecutor,
) -> None:
    crowd = Crowd(slots(workers=2, max_pixels=100), pool)
    crowd.ask("small", pixels=60)
    crowd.ask("some giant", pixels=500)
    crowd.ask("still small")
    assert crowd.admitted == ["small"], "the last would fit, but it waits behind the giant"
    assert crowd.end_all() == ["small", "some giant", "still small"]


def test_a_giant_whose_turn_it_is_holds_up_the_other_callers(pool: ThreadPoolExecutor) -> None:
    crowd = Crowd(slots(workers=2, max_pixels=100), pool)
    crowd.ask("c1", pixels=60)
    crowd.ask("a1", pixels=500)
    crowd.ask("b1")
    assert crowd.admitted == ["c1"]
    assert crowd.end_all() == ["c1", "a1", "b1"]


def test_callers_take_turns_however_many_each_asks_for(pool: ThreadPoolExecutor) -> None:
    crowd = Crowd(slots(workers=1), pool)
    crowd.ask("a1", "a2", "a3", "a4", "b1", "b2", "c1")
    assert crowd.end_all() == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]


def test_who_computes_nothing_comes_before_who_computes(pool: ThreadPoolExecutor) -> None:
    crowd = Crowd(slots(workers=2), pool)
    crowd.ask("a1", "a2", "a3", "a4", "b1", "b2")
    crowd.end("a1")
    eventually(lambda: len(crowd.admitted) == 3)
    assert crowd.admitted[-1] == "b1"
    crowd.end_all()


def test_one_caller_alone_may_fill_the_queue(pool: ThreadPoolExecutor) -> None:
    crowd = Crowd(slots(workers=1, max_waiting=3), pool)
    crowd.ask("a1", "a2", "a3", "a4", "a5")
    assert crowd.is_busy("a5")
    assert crowd.end_all() == ["a1", "a2", "a3", "a4"]


def test_into_a_full_queue_others_come_in_place_of_the_fullest_callers_last(
    pool: ThreadPoolExecutor,
) -> None:
    crowd = Crowd(slots(workers=1, max_waiting=4), pool)
    crowd.ask("a1", "a2", "a3", "a4", "a5", "b1", "b2", "b3", "c1")
    # a 3 and b 2 places, then c comes: each time the last of those who have the most.
    assert [crowd.is_busy(name) for name in ("a5", "a4", "b3", "a3")] == [True] * 4
    assert crowd.end_all() == ["a1", "a2", "b1", "c1", "b2"]


def test_a_full_queue_stays_as_it_is_where_all_have_the_same(pool: ThreadPoolExecutor) -> None:
    crowd = Crowd(slots(workers=1, max_waiting=2), pool)
    crowd.ask("a1", "b1", "c1", "d1")
    assert crowd.is_busy("d1")
    assert crowd.end_all() == ["a1", "b1", "c1"]


def test_a_hundred_at_once_never_break_the_limits() -> None:
    house = slots(workers=3, max_pixels=100, max_waiting=100)
    seen: list[Load] = []

    def work(number: int) -> None:
        with house.admit(10 + number % 50, "ada"):
            seen.append(house.load())

    with ThreadPoolExecutor(100) as pool:
        list(pool.map(work, range(100)))
    assert len(seen) == 100
    assert max(load.computing for load in seen) <= 3
    assert max(load.pixels_in_flight for load in seen) <= 100
    assert house.load() == Load(0, 0, 0)


def test_a_hundred_who_push_each_other_out_leave_nothing_behind() -> None:
    house = slots(workers=3, max_pixels=100, max_waiting=5)
    seen: list[Load] = []

    def work(number: int) -> bool:
        try:
            with house.admit(10 + number % 50, number % 7 % 3):
                seen.append(house.load())
                time.sleep(0.001)
        except Busy:
            return False
        return True

    with ThreadPoolExecutor(100) as pool:
        served = sum(pool.map(work, range(300)))
    assert served == len(seen) > 0
    assert max(load.waiting for load in seen) <= 5
    assert house.load() == Load(0, 0, 0)
