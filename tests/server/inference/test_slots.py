import threading
from collections.abc import Callable
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
    with house.admit(10):
        assert house.load() == Load(computing=1, waiting=0, pixels_in_flight=10)
    assert house.load() == Load(computing=0, waiting=0, pixels_in_flight=0)


def test_a_slot_is_free_again_after_an_error() -> None:
    house = slots(workers=1, max_waiting=0)
    with pytest.raises(ZeroDivisionError), house.admit(10):
        raise ZeroDivisionError
    with house.admit(10):
        pass


def test_when_workers_and_queue_are_full_the_next_is_turned_away() -> None:
    house = slots(workers=2, max_waiting=0)
    with ExitStack() as stack:
        stack.enter_context(house.admit(10))
        stack.enter_context(house.admit(10))
        with pytest.raises(Busy), house.admit(10):
            pass
        assert house.load() == Load(computing=2, waiting=0, pixels_in_flight=20)


def test_a_wait_that_is_too_long_ends_as_busy() -> None:
    house = slots(workers=1, timeout_s=0.01)
    with house.admit(10):
        with pytest.raises(Busy), house.admit(10):
            pass
        assert house.load().waiting == 0


def test_a_client_that_left_the_queue_is_forgotten() -> None:
    house = slots(workers=1)
    with house.admit(10):
        with pytest.raises(ClientGone), house.admit(10, lambda: True):
            pass
        assert house.load().waiting == 0


def test_the_pixel_budget_holds_others_back() -> None:
    house = slots(workers=3, max_pixels=100, timeout_s=0.01)
    with house.admit(60):
        with pytest.raises(Busy), house.admit(50):
            pass
        with house.admit(40):
            assert house.load().pixels_in_flight == 100


def test_a_picture_over_the_whole_budget_runs_alone() -> None:
    house = slots(max_pixels=100, timeout_s=0.01)
    with house.admit(1000), pytest.raises(Busy), house.admit(1):
        pass
    with house.admit(1), pytest.raises(Busy), house.admit(1000):
        pass


def test_the_queue_is_in_order_so_that_a_giant_gets_its_turn() -> None:
    house = slots(workers=2, max_pixels=100)
    order: list[str] = []
    may_end = threading.Event()

    def work(name: str, pixels: int) -> None:
        with house.admit(pixels):
            order.append(name)
            may_end.wait()

    with ThreadPoolExecutor(4) as pool:
        jobs: list[Future[None]] = []
        for number, (name, pixels) in enumerate([("small", 60), ("giant", 500), ("tiny", 1)]):
            jobs.append(pool.submit(work, name, pixels))
            eventually(lambda number=number: house.load().waiting + house.load().computing > number)
        assert order == ["small"], "the tiny one would fit, but it waits behind the giant"
        may_end.set()
        for job in jobs:
            job.result()
    assert order == ["small", "giant", "tiny"]


def test_a_hundred_at_once_never_break_the_limits() -> None:
    house = slots(workers=3, max_pixels=100, max_waiting=100)
    seen: list[Load] = []

    def work(number: int) -> None:
        with house.admit(10 + number % 50):
            seen.append(house.load())

    with ThreadPoolExecutor(100) as pool:
        list(pool.map(work, range(100)))
    assert len(seen) == 100
    assert max(load.computing for load in seen) <= 3
    assert max(load.pixels_in_flight for load in seen) <= 100
    assert house.load() == Load(0, 0, 0)
