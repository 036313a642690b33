import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from django.db import connection

from openrembg.server.errors import DailyLimit, TooFast
from openrembg.server.quota.database_storage import DatabaseStorage, forget_ended
from openrembg.server.quota.models import RateCount
from openrembg.server.quota.rates import Rates
from openrembg.server.quota.storages import Storages
from openrembg.server.quota.visits import AnonymousVisit
from openrembg.server.service import build
from openrembg.server.settings import Settings

pytestmark = pytest.mark.usefixtures("database")


def test_a_count_begins_at_nothing() -> None:
    storage = DatabaseStorage()
    assert storage.get("a") == 0
    assert storage.get_expiry("a") <= time.time()
    assert storage.check()


def test_counts_are_apart_and_end_together_with_their_window() -> None:
    storage = DatabaseStorage()
    assert [storage.incr("a", 60), storage.incr("a", 60), storage.incr("b", 60)] == [1, 2, 1]
    ends = storage.get_expiry("a")
    assert 55 < ends - time.time() <= 60
    storage.incr("a", 600)
    assert storage.get_expiry("a") == ends
    storage.incr("short", 0)
    assert storage.get("short") == 0
    assert storage.incr("short", 60) == 1


def test_a_window_begins_anew_when_all_was_given_back() -> None:
    storage = DatabaseStorage()
    storage.incr("a", 60)
    storage.incr("a", 60, -1)
    storage.incr("a", 600)
    assert storage.get_expiry("a") - time.time() > 500


def test_processes_that_count_at_once_each_see_their_own_sum() -> None:
    start = threading.Barrier(8)

    def count(_number: int) -> list[int]:
        start.wait()
        sums = [DatabaseStorage().incr("a", 60) for _ in range(25)]
        connection.close()
        return sums

    with ThreadPoolExecutor(8) as pool:
        sums = [one for some in pool.map(count, range(8)) for one in some]
    assert sorted(sums) == list(range(1, 201))


def test_limits_through_the_database_give_out_exactly_what_there_is() -> None:
    houses = [Rates(Storages(DatabaseStorage()), -1, 7) for _ in range(4)]
    start = threading.Barrier(4)

    def ask(rates: Rates) -> int:
        start.wait()
        won = 0
        for _ in range(5):
            try:
                AnonymousVisit(rates, "192.0.2.1/32").reserve()
                won += 1
            except DailyLimit:
                continue
        connection.close()
        return won

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(ask, houses)) == 7


def test_ended_counts_are_forgotten() -> None:
    storage = DatabaseStorage()
    storage.incr("old", 0)
    storage.incr("new", 60)
    assert forget_ended(time.time()) == 1
    assert list(RateCount.objects.values_list("key", flat=True)) == ["new"]
    storage.clear("new")
    assert storage.reset() == 0


def test_a_window_that_began_before_the_clock_was_put_back_is_over() -> None:
    rates = Rates(Storages(DatabaseStorage()), 1, 1)
    with time_machine.travel(time.time() + 3600):
        visit = AnonymousVisit(rates, "192.0.2.1/32")
        visit.count_request()
        visit.reserve()
    later = AnonymousVisit(rates, "192.0.2.1/32")
    later.count_request()
    later.check_left()
    later.reserve()
    with pytest.raises(TooFast):
        later.count_request()
    with pytest.raises(DailyLimit):
        later.check_left()
    assert all(standing.resets_in_s <= standing.policy.window_s for standing in later.standings())


def test_counts_of_a_clock_far_ahead_are_forgotten() -> None:
    with time_machine.travel(time.time() + 40 * 86400):
        DatabaseStorage().incr("ahead", 60)
    assert forget_ended(time.time()) == 1


def test_the_settings_choose_the_store() -> None:
    rates = build(Settings(limits="database")).rates
    AnonymousVisit(rates, "192.0.2.1/32").count_request()
    assert RateCount.objects.get().key == "minute:192.0.2.1/32"
