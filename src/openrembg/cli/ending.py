"""How Ctrl-C and SIGTERM end a run: the first one tidily; more of them change nothing."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

from openrembg.cli.terminal import INTERRUPTED, TERMINATED, Terminated

# Who asks again after so long has waited in vain for the tidy end.
PATIENCE_S: Final = 5.0
_BOTH: Final = (signal.SIGINT, signal.SIGTERM)

T = TypeVar("T")


class _Signals:
    """The signal that ends the run, and what is done when it comes."""

    def __init__(self) -> None:
        self.first: KeyboardInterrupt | None = None
        self.act: Callable[[], None] | None = None
        self._since_s = 0.0

    def come(self, number: int, _: object) -> None:
        """Begin the end. Raises the signal where nobody has said what else to do."""
        if self.first is not None:
            if time.monotonic() - self._since_s > PATIENCE_S:
                os._exit(TERMINATED if number == signal.SIGTERM else INTERRUPTED)
            return
        self.first = Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
        self._since_s = time.monotonic()
        if self.act is None:
            raise self.first
        self.act()


_signals = _Signals()


@contextmanager
def tidy_end() -> Iterator[None]:
    """Let one Ctrl-C raise KeyboardInterrupt, or one SIGTERM Terminated, and ignore all others.

    After such an end they stay ignored: the program is on its way out.
    """
    global _signals
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _signals = ours = _Signals()
    before = {number: signal.signal(number, ours.come) for number in _BOTH}
    try:
        yield
    finally:
        for number, handler in before.items():
            # The interpreter's own end lets no handler but this one be.
            signal.signal(number, signal.SIG_IGN if ours.first else handler)


@contextmanager
def held(act: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Do `act` instead when the signal comes within the block, and raise it after the block."""
    signals, before, came = _signals, _signals.act, _signals.first
    signals.act = act
    try:
        yield
    finally:
        signals.act = before
    if signals.first is not came and signals.first is not None:
        raise signals.first


@contextmanager
def released() -> Iterator[None]:
    """Let the signal raise at once within the block, though the block around it is `held`."""
    signals, before, came = _signals, _signals.act, _signals.first
    if came is not None:
        raise came
    signals.act = None
    try:
        yield
    finally:
        signals.act = before


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do some work in an event loop; a signal cancels it, and is raised when all is tidied up."""
    call = _Call()
    with held(call.cancel), suppress(asyncio.CancelledError):
        return asyncio.run(call.of(work))
    raise KeyboardInterrupt  # asyncio's own way to say it, in a thread or without `tidy_end`


class _Call:
    """Work that can be cancelled before, while and after it runs."""

    def __init__(self) -> None:
        self._cancelled = False
        self._here: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None] | None = None

    def cancel(self) -> None:
        """Cancel it, from a signal's handler."""
        self._cancelled = True
        if self._here is not None:
            loop, task = self._here
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(task.cancel if task else lambda: None)

    async def of(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do the work, unless it was cancelled before. Raises asyncio.CancelledError."""
        self._here = asyncio.get_running_loop(), asyncio.current_task()
        if self._cancelled:
            raise asyncio.CancelledError
        return await work()
