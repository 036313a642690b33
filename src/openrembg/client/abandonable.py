"""Work that may keep us waiting for as long as it likes, in a thread that nobody waits for."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def abandonable(work: Callable[[], T]) -> T:
    """Return what `work` returns, from a daemon thread of its own.

    When the waiting is cancelled the work goes on, its result is thrown away, and the program may
    end all the same; threads of an executor would hold it up.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if result.done():
            return
        if error is None:
            result.set_result(value)  # type: ignore[arg-type]
        elif isinstance(error, StopIteration):  # which no future takes
            result.set_exception(RuntimeError("StopIteration"))
        else:
            result.set_exception(error)

    def run() -> None:
        value, fault = None, None
        try:
            value = work()
        except BaseException as error:
            fault = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, value, fault)

    threading.Thread(target=run, name="openrembg-abandonable", daemon=True).start()
    return await result
