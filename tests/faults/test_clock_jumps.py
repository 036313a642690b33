"""The server's clock is put forward and back: nothing hangs, no limit lasts longer than it may."""

import datetime as dt
import http.client
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import pytest
from faked_clock import FakedClock, faked_clock
from mixed_load import PHOTO, assert_the_books_agree, mixed_load

from forms import FORM, form, photo
from houses import House, house, usage
from services import HOST, Service

pytestmark = pytest.mark.wire

HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S
PICTURES: Final = 6
# Over a month's end in either direction, whatever the day is.
JUMPS_S: Final = (HOUR_S, -HOUR_S, 40 * DAY_S, -40 * DAY_S, 0)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> FakedClock:
    return faked_clock(tmp_path_factory.mktemp("clock") / "python")


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, clock: FakedClock
) -> Iterator[tuple[House, Service]]:
    """A house with a server that lives by the clock and counts by it in the database."""
    with house(tmp_path_factory.mktemp("clock-jumps")) as home:
        limits = {"OPENREMBG_ANONYMOUS_PER_MINUTE": "3", "OPENREMBG_ANONYMOUS_PER_DAY": "2"}
        yield home, home.start(**clock.environment, **limits, OPENREMBG_LIMITS="database")


def test_jumps_neither_break_a_request_nor_charge_it_twice(
    home: tuple[House, Service], clock: FakedClock
) -> None:
    house_, server = home
    clock.jump(server, 0)
    key = house_.member(10_000)
    kept = http.client.HTTPConnection(HOST, server.port, timeout=30)
    with closing(kept), mixed_load([server], key) as load:
        for off_by_s in JUMPS_S:
            clock.jump(server, off_by_s)
            load.wait_for(PICTURES)
            # The connection was open, and idle, all the time.
            assert asked(kept) == 200
    assert not load.unexpected()
    # The charges lie in the months that the clock told of.
    assert_the_books_agree(house_, server, load, may_be_free=load.most_charged())
    assert charged(server, key) == load.most_charged()


def test_no_limit_lasts_longer_than_its_window(
    home: tuple[House, Service], clock: FakedClock
) -> None:
    _, server = home
    for off_by_s in (40 * DAY_S, 0):
        clock.jump(server, off_by_s)
        waits = [refused_for_s(server) for _ in range(4)]
        # What the other time has used up is forgotten, and this time's is counted.
        assert waits[:3] == [0, 0, 0]
        assert 1 <= waits[3] <= 60


def asked(connection: http.client.HTTPConnection) -> int:
    """Ask over a connection that is kept, and return the status."""
    connection.request("GET", "/health")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def refused_for_s(server: Service) -> int:
    """Ask as a stranger; return for how long the next one is refused, 0 when it is not."""
    body = form(photo(PHOTO, "a.jpg"))
    with closing(http.client.HTTPConnection(HOST, server.port, timeout=30)) as connection:
        connection.request("POST", "/rmbg", body, {"Content-Type": FORM})
        answer = connection.getresponse()
        answer.read()
        return int(answer.headers.get("Retry-After", "0"))


def charged(server: Service, key: str) -> int:
    """Return the credits that were used in all months that the clock can have told of."""
    now = dt.datetime.now(dt.UTC)
    moments = [now + dt.timedelta(seconds=off_by_s) for off_by_s in JUMPS_S]
    months = {(moment.year, moment.month) for moment in moments}
    return sum(usage(server, key, f"?year={y}&month={m}")["api_usage"] for y, m in months)
