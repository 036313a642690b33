"""Redis is real here; the tests kill it."""

import logging
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from openrembg.server.errors import DailyLimit
from openrembg.server.quota.local_storage import LocalStorage
from openrembg.server.quota.rates import Rates
from openrembg.server.quota.storages import Storages, storages_for
from openrembg.server.quota.visits import AnonymousVisit
from services import Service

HOME = "192.0.2.1/32"


def spend(rates: Rates) -> None:
    """Take a cut-out of the day and keep it."""
    AnonymousVisit(rates, HOME).reserve()


def address(redis: Service) -> str:
    return f"redis://127.0.0.1:{redis.port}/0"


def test_two_servers_share_their_limits_through_redis(redis: Service) -> None:
    here = Rates(storages_for(address(redis)), 5, 2)
    there = Rates(storages_for(address(redis)), 5, 2)
    spend(here)
    spend(there)
    with pytest.raises(DailyLimit):
        AnonymousVisit(here, HOME).check_left()
    with pytest.raises(DailyLimit):
        spend(there)


def test_redis_gives_out_exactly_what_is_left(redis: Service) -> None:
    rates = Rates(storages_for(address(redis), timeout_s=10), -1, 13)
    start = threading.Barrier(20)

    def ask(_: int) -> int:
        start.wait()
        won = 0
        for _ in range(5):
            try:
                spend(rates)
                won += 1
            except DailyLimit:
                continue
        return won

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(ask, range(20))) == 13


def test_a_released_cut_out_is_given_back_in_redis(redis: Service) -> None:
    visit = AnonymousVisit(Rates(storages_for(address(redis)), -1, 1), HOME)
    visit.reserve()
    visit.release()
    spend(Rates(storages_for(address(redis)), -1, 1))


def test_the_window_ends_when_redis_says(redis: Service) -> None:
    visit = AnonymousVisit(Rates(storages_for(address(redis)), 5, 20), HOME)
    visit.count_request()
    assert 58 <= visit.standings()[0].resets_in_s <= 60


def test_a_window_is_over_when_the_clock_of_redis_was_put_back(redis: Service) -> None:
    rates = Rates(storages_for(address(redis)), 1, 1)
    AnonymousVisit(rates, HOME).count_request()
    spend(rates)
    with Redis(port=redis.port) as client:
        for name in client.scan_iter():
            client.expire(name, 40 * 86400)
    AnonymousVisit(rates, HOME).check_left()
    AnonymousVisit(rates, HOME).count_request()
    spend(rates)
    with pytest.raises(DailyLimit):
        spend(rates)


def test_without_redis_limits_are_local_and_the_outage_is_logged_once(
    redis: Service, caplog: pytest.LogCaptureFixture
) -> None:
    rates = Rates(storages_for(address(redis)), -1, 2)
    spend(rates)
    redis.process.kill()
    redis.process.wait()
    with caplog.at_level(logging.WARNING, "openrembg.outages"):
        spend(rates)
        spend(rates)
        with pytest.raises(DailyLimit):
            spend(rates)
    assert [record.getMessage() for record in caplog.records] == [
        "Redis does not answer; request limits count for this server alone"
    ]
    assert str(redis.port) not in caplog.text


def test_a_reservation_made_in_redis_is_not_given_back_elsewhere(redis: Service) -> None:
    rates = Rates(storages_for(address(redis)), -1, 2)
    visit = AnonymousVisit(rates, HOME)
    visit.reserve()
    redis.process.kill()
    redis.process.wait()
    visit.release()
    later = AnonymousVisit(rates, HOME)
    later.check_left()
    assert later.standings()[1].remaining == 2


def test_a_redis_that_hangs_costs_its_timeout_once(
    redis: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = storages_for(address(redis), timeout_s=0.05)
    shared.call(lambda storage: storage.get("a"))
    redis.process.send_signal(signal.SIGSTOP)
    try:
        used = [shared.call(lambda storage: storage.incr("a", 60)) for _ in range(3)]
    finally:
        redis.process.send_signal(signal.SIGCONT)
    assert [number for number, _ in used] == [1, 2, 3]
    assert all(isinstance(storage, LocalStorage) for _, storage in used)


def test_redis_is_used_again_when_it_is_back(
    redis: Service, caplog: pytest.LogCaptureFixture
) -> None:
    shared = storages_for(address(redis), timeout_s=0.5, try_again_after_s=0)
    redis.process.send_signal(signal.SIGSTOP)
    shared.call(lambda storage: storage.incr("a", 60))
    redis.process.send_signal(signal.SIGCONT)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "openrembg.outages"):
        _, storage = shared.call(lambda storage: storage.incr("a", 60))
        shared.call(lambda storage: storage.incr("a", 60))
    assert not isinstance(storage, LocalStorage)
    assert [record.getMessage() for record in caplog.records] == [
        "Redis answers again; request limits are shared again"
    ]


def test_an_address_that_nobody_listens_on_is_an_outage_too() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = storages_for(f"redis://:secret@127.0.0.1:{probe.getsockname()[1]}/0")
        number, _ = nobody.call(lambda storage: storage.incr("a", 60))
    assert number == 1


def test_an_error_of_ours_is_no_outage() -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Storages().call(fail)
