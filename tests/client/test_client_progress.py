"""What callbacks are told, and what they may do."""

import asyncio
import threading
from itertools import pairwise
from typing import Any

import pytest

from odd_server import WEBP, answers, odd_server
from openrembg.client import AsyncClient, Client, ConnectionFailed, InputError, Progress
from openrembg.client.progress import Meter

MIB = 1 << 20


def test_an_upload_is_told_in_many_steps_up_to_its_end(ask: Any) -> None:
    up: list[Progress] = []
    with odd_server(answers(WEBP)) as odd:
        ask("remove_background", bytes(10 * MIB), base_url=odd.url, on_upload=up.append)
    total = odd.requests[0].size
    assert {step.total for step in up} == {total}
    loaded = [step.loaded for step in up]
    assert loaded == sorted(loaded)
    assert (loaded[0], loaded[-1], up[-1].fraction) == (0, total, 1.0)
    assert len(up) >= 10 * MIB / 65536
    assert max(b - a for a, b in pairwise(loaded)) <= 65536


def test_a_download_is_told_in_steps_up_to_its_end(ask: Any) -> None:
    down: list[Progress] = []
    with odd_server(answers(WEBP + bytes(3 * MIB - len(WEBP)))) as odd:
        ask("remove_background", b"photo", base_url=odd.url, on_download=down.append)
    assert {step.total for step in down} == {3 * MIB}
    assert (down[0].loaded, down[-1].loaded, len(down) > 5) == (0, 3 * MIB, True)


def test_each_attempt_begins_anew(ask: Any) -> None:
    up: list[int] = []
    busy = answers({"error": "Busy"}, 503, {"Retry-After": "0"})
    with odd_server(busy, answers(WEBP)) as odd:
        named = {"on_upload": lambda step: up.append(step.loaded)}
        ask("remove_background", bytes(MIB), base_url=odd.url, **named)
    assert up.count(0) == 2
    assert up.count(odd.requests[0].size) == 2


@pytest.mark.parametrize("direction", ["on_upload", "on_download"])
@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), ConnectionFailed("mine too")])
def test_what_a_callback_raises_ends_the_call(ask: Any, direction: str, error: Exception) -> None:
    def raises(_: Progress) -> None:
        raise error

    with odd_server(answers(WEBP)) as odd, pytest.raises(type(error)) as caught:
        ask("remove_background", b"photo", base_url=odd.url, **{direction: raises})
    assert caught.value is error
    assert len(odd.requests) == (0 if direction == "on_upload" else 1)


def test_callbacks_of_the_blocking_client_run_in_the_callers_thread() -> None:
    seen: list[int] = []
    with odd_server(answers(WEBP)) as odd, Client(base_url=odd.url) as client:
        client.remove_background(b"photo", on_upload=lambda _: seen.append(threading.get_ident()))
    assert set(seen) == {threading.get_ident()}


def test_a_callback_may_make_a_call_of_its_own() -> None:
    with odd_server(answers(WEBP)) as odd, Client(base_url=odd.url) as client:
        inner: list[bytes] = []

        def again(step: Progress) -> None:
            if step.loaded == 0:
                inner.append(client.remove_background(b"other").data)

        client.remove_background(b"photo", on_upload=again)
    assert inner == [WEBP]


def test_a_callback_may_close_the_client() -> None:
    with (
        odd_server(answers(WEBP)) as odd,
        Client(base_url=odd.url) as client,
        pytest.raises(ConnectionFailed, match="closed"),
    ):
        client.remove_background(b"photo", on_upload=lambda _: client.close())


def test_what_is_no_function_is_refused(ask: Any) -> None:
    for direction in ("on_upload", "on_download"):
        with pytest.raises(InputError, match="must be a function, not int"):
            ask("remove_background", b"photo", **{direction: 7})


def test_rate_and_time_left_are_none_until_there_is_something_to_measure() -> None:
    now = [0.0]
    meter = Meter(1000, lambda: now[0])
    assert meter.add(0) == Progress(0, 1000, 0.0, None, None)
    now[0] = 0.05
    assert meter.add(100) == Progress(100, 1000, 0.1, None, None)
    now[0] = 2.0
    assert meter.add(300) == Progress(400, 1000, 0.4, 200.0, 3.0)
    now[0] = 5.0
    assert meter.add(600) == Progress(1000, 1000, 1.0, 200.0, 0.0)


def test_without_a_length_only_rate_and_bytes_are_known() -> None:
    now = [0.0]
    meter = Meter(None, lambda: now[0])
    now[0] = 1.0
    assert meter.add(10) == Progress(10, None, None, 10.0, None)


def test_what_a_callback_makes_to_be_awaited_is_awaited() -> None:
    seen: list[int] = []

    async def told(step: Progress) -> None:
        await asyncio.sleep(0)
        seen.append(step.loaded)
        if step.loaded == step.total:
            raise KeyError("mine")

    async def called(url: str) -> None:
        async with AsyncClient(base_url=url) as client:
            await client.remove_background(b"photo", on_upload=told)

    with odd_server(answers(WEBP)) as odd, pytest.raises(KeyError, match="mine"):
        asyncio.run(called(odd.url))
    assert seen[0] == 0


def test_the_blocking_client_refuses_what_it_cannot_await() -> None:
    async def told(step: Progress) -> None: ...

    class Told:
        async def __call__(self, step: Progress) -> None: ...

    with odd_server(answers(WEBP)) as odd, Client(base_url=odd.url) as client:
        for callback in (told, Told(), lambda step: told(step)):
            with pytest.raises(InputError, match="must be a plain function"):
                client.remove_background(b"photo", on_upload=callback)
    assert odd.requests == []
