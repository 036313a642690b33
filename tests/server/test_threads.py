import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from houses import wait_until
from openrembg.server.threads import MOST_WAITING, TooManyWaiting, Workers

PATIENCE_S = 20.0


class Task:
    """Something for a thread to do, as waitress has it."""

    def __init__(self, workers: Workers, *, waits: bool) -> None:
        self._workers = workers
        self._waits = waits
        self.began, self.may_end = threading.Event(), threading.Event()

    def service(self) -> None:
        """Work or wait until told to end."""
        with ExitStack() as stack:
            if self._waits:
                stack.enter_context(self._workers.waiting())
            self.began.set()
            self.may_end.wait(PATIENCE_S)

    def cancel(self) -> None:
        """Do nothing: it never began."""


@pytest.fixture
def ended() -> list[str]:
    """The threads that have ended, by name."""
    return []


@pytest.fixture
def workers(ended: list[str]) -> Iterator[Workers]:
    """One worker thread."""
    pool = Workers(lambda: ended.append(threading.current_thread().name))
    pool.set_thread_count(1)
    yield pool
    pool.shutdown(timeout=PATIENCE_S)


def begun(workers: Workers, *, waits: bool) -> Task:
    """Return a task that a thread has taken up."""
    task = Task(workers, waits=waits)
    workers.add_task(task)
    assert task.began.wait(PATIENCE_S)
    return task


def test_a_thread_that_waits_leaves_its_place_to_another(workers: Workers) -> None:
    tasks = [begun(workers, waits=True), begun(workers, waits=True), begun(workers, waits=False)]
    late = Task(workers, waits=False)
    workers.add_task(late)
    assert not late.began.wait(0.1), "only one may work"
    for task in (*tasks, late):
        task.may_end.set()
    assert late.began.wait(PATIENCE_S)


def test_a_place_is_given_back_and_its_thread_ends(workers: Workers, ended: list[str]) -> None:
    task = begun(workers, waits=True)
    begun(workers, waits=False).may_end.set()
    task.may_end.set()
    wait_until(lambda: ended != [], PATIENCE_S)
    assert len(ended) == 1
    begun(workers, waits=False).may_end.set()


def test_no_more_wait_than_there_is_room_for(workers: Workers) -> None:
    workers.set_thread_count(0)
    with ExitStack() as stack:
        for _ in range(MOST_WAITING):
            stack.enter_context(workers.waiting())
        with pytest.raises(TooManyWaiting):
            stack.enter_context(workers.waiting())
    with workers.waiting():
        pass


def test_who_waits_while_the_server_stops_starts_no_thread(workers: Workers) -> None:
    task = begun(workers, waits=True)
    stopping = threading.Thread(target=lambda: workers.shutdown(timeout=PATIENCE_S))
    stopping.start()
    with suppress(TooManyWaiting), workers.waiting():
        task.may_end.set()
    stopping.join(PATIENCE_S)
    assert workers.threads == set()


def test_one_request_after_the_other_is_served_by_few_threads() -> None:
    served: list[str] = []
    pool = Workers(lambda: None)
    pool.set_thread_count(20)
    wait_until(lambda: pool.active_count == 0, PATIENCE_S)
    for number in range(50):
        pool.add_task(Note(served))
        wait_until(lambda so_far=number: len(served) > so_far and not pool.active_count, PATIENCE_S)
    pool.shutdown(timeout=PATIENCE_S)
    assert len(set(served)) == 1


class Note:
    """A task that notes which thread did it."""

    def __init__(self, served: list[str]) -> None:
        self._served = served

    def service(self) -> None:
        """Note it."""
        self._served.append(threading.current_thread().name)
