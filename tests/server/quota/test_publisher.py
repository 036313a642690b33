import threading
import time
from collections.abc import Iterator

import pytest
from django.db import OperationalError

from openrembg.server.quota import ledger, publisher
from openrembg.server.quota.cycle_scan import start_scanning
from openrembg.server.quota.publisher import Publisher
from openrembg.server.quota.redis_usage import publish, shared_usage
from openrembg.server.quota.refill import start_refilling
from people import person
from services import Service


def test_what_waits_is_written_once_and_in_its_order() -> None:
    written: list[int] = []
    may_go = threading.Event()
    began = threading.Event()

    def write(user_id: int) -> bool:
        began.set()
        may_go.wait()
        written.append(user_id)
        return True

    beside = Publisher(write)
    beside.add(1)
    began.wait()
    for user_id in (2, 3, 2, 2, 1):
        beside.add(user_id)
    may_go.set()
    beside.stop()
    assert written == [1, 2, 3, 1]


@pytest.mark.parametrize("fault", ["the database", "Redis"])
def test_what_could_not_be_written_is_tried_again(fault: str) -> None:
    written: list[int] = []
    all_written, is_away = threading.Event(), {1: 3}

    def write(user_id: int) -> bool:
        if is_away.get(user_id):
            is_away[user_id] -= 1
            if fault == "the database":
                raise OperationalError
            return False
        written.append(user_id)
        if len(written) == 3:
            all_written.set()
        return True

    beside = Publisher(write, again_after_s=0.01)
    for user_id in (1, 2, 3):
        beside.add(user_id)
    assert all_written.wait(10)
    beside.stop()
    assert written == [2, 3, 1]


def test_what_cannot_be_written_does_not_keep_it_from_ending() -> None:
    beside = Publisher(lambda _user_id: False, again_after_s=0)
    beside.add(1)
    beside.stop()
    assert "publish-usage" not in {thread.name for thread in threading.enumerate()}


def test_stopping_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "STOP_S", 0.1)
    may_go = threading.Event()
    beside = Publisher(lambda _user_id: may_go.wait())
    beside.add(1)
    began = time.monotonic()
    beside.stop()
    assert time.monotonic() - began < 5
    may_go.set()


def test_no_thread_outlives_its_stop(furnish: object, redis: Service) -> None:
    furnish(redis_url=f"redis://127.0.0.1:{redis.port}/0")  # type: ignore[operator]
    # A thread that uses Redis when Python ends may keep it from ending.
    stops = (start_scanning(turn_s=0.01), start_refilling(0.01), publisher.start(publish))
    time.sleep(0.1)
    for stop in stops:
        stop()
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"cycle-scan", "refill-redis", "publish-usage"}


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
