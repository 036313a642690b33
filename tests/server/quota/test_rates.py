import time

import pytest

from openrembg.server.errors import DailyLimit, TooFast
from openrembg.server.quota.rates import PLENTY, Rates
from openrembg.server.quota.storages import Storages
from openrembg.server.quota.visits import AnonymousVisit

HOME = "192.0.2.1/32"


def visits(per_minute: int = -1, per_day: int = -1) -> AnonymousVisit:
    return AnonymousVisit(Rates(Storages(), per_minute, per_day), HOME)


def spend(visit: AnonymousVisit) -> None:
    """Take a cut-out of the day and keep it."""
    with visit.hold():
        pass


def test_the_minute_counts_every_request() -> None:
    visit = visits(per_minute=2)
    visit.count_request()
    visit.count_request()
    with pytest.raises(TooFast) as caught:
        visit.count_request()
    assert 1 <= int(caught.value.headers["Retry-After"]) <= 60


def test_looking_at_the_day_takes_nothing() -> None:
    visit = visits(per_day=1)
    for _ in range(5):
        visit.check_left()
    spend(visit)
    with pytest.raises(DailyLimit):
        visit.check_left()


def test_a_released_cut_out_can_be_taken_again() -> None:
    rates = Rates(Storages(), -1, 1)
    first, second = AnonymousVisit(rates, HOME), AnonymousVisit(rates, HOME)
    with first.hold() as held:
        with pytest.raises(DailyLimit):
            spend(second)
        held.release()
        held.release()
        spend(second)
    with pytest.raises(DailyLimit):
        spend(AnonymousVisit(rates, HOME))


def test_whatever_the_work_raises_gives_the_cut_out_back() -> None:
    visit = visits(per_day=1)
    with pytest.raises(KeyboardInterrupt), visit.hold():
        raise KeyboardInterrupt
    assert visit.standings()[1].remaining == 1
    visit.check_left()


def test_what_is_kept_stays_taken() -> None:
    visit = visits(per_day=2)
    with visit.hold():
        pass
    assert visit.standings()[1].remaining == 1


def test_blocks_do_not_share_limits() -> None:
    rates = Rates(Storages(), 1, 1)
    for block in (HOME, "192.0.2.2/32"):
        visit = AnonymousVisit(rates, block)
        visit.count_request()
        spend(visit)


def test_the_windows_tell_limit_rest_and_end() -> None:
    visit = visits(per_minute=5, per_day=20)
    visit.count_request()
    spend(visit)
    minute, day = visit.standings()
    assert (minute.policy.limit, minute.remaining) == (5, 4)
    assert (day.policy.limit, day.remaining) == (20, 19)
    assert time.time() < minute.resets_at <= time.time() + 60
    assert time.time() < day.resets_at <= time.time() + 86400


def test_no_limit_is_a_large_number() -> None:
    visit = visits()
    visit.count_request()
    visit.check_left()
    with visit.hold() as held:
        held.release()
    assert [standing.remaining for standing in visit.standings()] == [PLENTY, PLENTY]


def test_a_refused_request_does_not_prolong_the_minute() -> None:
    visit = visits(per_minute=1)
    visit.count_request()
    ends = visit.standings()[0].resets_at
    with pytest.raises(TooFast):
        visit.count_request()
    assert visit.standings()[0].resets_at == pytest.approx(ends, abs=1)
