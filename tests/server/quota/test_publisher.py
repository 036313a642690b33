import threading
import time
from collections.abc import Iterator

import pytest
from django.db import OperationalError

from openrembg.server.quota import ledger, publisher
from openrembg.server.quota.cycle_scan import start_scanning
from openrembg.server.quota.publisher import Publisher
from openrembg.server.quota.redis_usage import publish, shared_usage
from people import person
from services import Service


def test_what_waits_is_written_once_and_in_its_order() -> None:
    written: list[int] = []
    may_go = threading.Event()
    began = threading.Event()

    def write(user_id: int) -> None:
        began.set()
        may_go.wait()
        written.append(user_id)

    beside = Publisher(write)
    beside.add(1)
    began.wait()
    for user_id in (2, 3, 2, 2, 1):
        beside.add(user_id)
    may_go.set()
    beside.stop()
    assert written == [1, 2, 3, 1]


def test_a_database_that_is_away_stops_it_not() -> None:
    written: list[int] = []

    def write(user_id: int) -> None:
        if user_id == 1:
            raise OperationalError
        written.append(user_id)

    beside = Publisher(write)
    for user_id in (1, 2):
        beside.add(user_id)
    beside.stop()
    assert written == [2]


def test_stopping_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "STOP_S", 0.1)
    may_go = threading.Event()
    beside = Publisher(lambda _user_id: bool(may_go.wait()) and None)
    beside.add(1)
    began = time.monotonic()
    beside.stop()
    assert time.monotonic() - began < 5
    may_go.set()


def test_no_thread_outlives_its_stop(furnish: object, redis: Service) -> None:
    furnish(redis_url=f"redis://127.0.0.1:{redis.port}/0")  # type: ignore[operator]
    # A thread that uses Redis when Python ends may keep it from ending.
    stops = (start_scanning(turn_s=0.01), publisher.start(publish))
    time.sleep(0.1)
    for stop in stops:
        stop()
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"cycle-scan", "publish-usage"}


@pytest.fixture
def publishing() -> Iterator[None]:
    """A publisher as a server has one."""
    stop = publisher.start(publish)
    yield
    stop()


@pytest.mark.usefixtures("database", "publishing")
def test_a_server_publishes_beside_its_requests(furnish: object, redis: Service) -> None:
    furnish(redis_url=f"redis://127.0.0.1:{redis.port}/0")  # type: ignore[operator]
    ada = person()
    ledger.top_up(ada.user.pk, 7)
    shared = shared_usage()
    assert shared is not None
    deadline = time.monotonic() + 20
    while shared._client.get(f"user:{ada.user.pk}:prepaid_credits") != b"7":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert publisher.running() is not None
