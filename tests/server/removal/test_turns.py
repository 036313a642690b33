"""Callers of /rmbg take turns: whoever asks for much leaves room for the others."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from rmbg_client import send

from fakes.steady_matter import SteadyMatter
from openrembg.server.quota.models import LedgerEntry
from openrembg.server.service import Service
from people import person

pytestmark = pytest.mark.usefixtures("database")

Ask = Callable[[dict[str, str]], Future[Any]]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """A function that sends a request with the headers given, in a thread of its own."""

    def once(headers: dict[str, str]) -> Any:
        try:
            return send(Client(), headers=headers)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        yield lambda headers: pool.submit(once, headers)


def waits_for(house: Service, computing: int, waiting: int) -> None:
    """Return when that many compute and wait."""
    pause = threading.Event()
    while (house.slots.load().computing, house.slots.load().waiting) != (computing, waiting):
        pause.wait(0.005)


def test_into_a_full_queue_another_user_comes_in_place_of_the_fullest_ones_last(
    furnish: Any, ask: Ask
) -> None:
    matter = SteadyMatter()
    matter.may_end.clear()
    house = furnish(matter, workers=1, queue=2)
    ada, bob = person(credits_=9), person("bob@example.com", credits_=9)
    first = ask(ada.with_key)
    waits_for(house, 1, 0)
    second = ask(ada.with_key)
    waits_for(house, 1, 1)
    third = ask(ada.with_token)
    waits_for(house, 1, 2)
    bobs = ask(bob.with_key)
    pushed_out = third.result()
    anonymous = ask({})
    assert second.result().status_code == 503, "ada's last again: now for somebody without account"
    matter.may_end.set()
    assert [one.result().status_code for one in (first, bobs, anonymous)] == [200] * 3
    assert pushed_out.status_code == 503
    assert pushed_out.headers["Retry-After"] == "5"
    assert pushed_out.headers["X-Credits-Charged"] == "0"
    charged = LedgerEntry.objects.filter(event="charge").values_list("user_id", flat=True)
    assert sorted(charged) == sorted([ada.user.pk, bob.user.pk])
