"""An event loop in a thread of its own, for callers who have none.

Ctrl-C may come between any two steps of the thread that calls. So what must not get lost is a flag
that stays set, not a message; whoever waits for a flag looks again after POLL_S; and the loop is
told of a call's end before, while and after it begins.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

from openrembg.client.errors import ConnectionFailed

END_S: Final = 10.0
POLL_S: Final = 0.05
ENDED: Final = "The client was closed."
NO_THREAD: Final = "The client cannot begin: the system gives it no more files or threads."

T = TypeVar("T")

# Runs something in the thread that called, and waits for it.
Relay = Callable[[Callable[[], object]], Awaitable[None]]
Work = Callable[[Relay], Coroutine[Any, Any, T]]


class LoopThread:
    """Runs calls side by side; each blocks the thread that made it. finish: runs at the end.

    The thread is a daemon: a program that forgets to close it ends all the same.
    """

    def __init__(self, finish: Callable[[], Awaitable[None]]) -> None:
        self._finish = finish
        self._calls: set[asyncio.Task[Any]] = set()
        # Reentrant: the garbage collector may close one client while another is being called.
        self._lock = threading.RLock()
        self._closing = False
        self._ended = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="openrembg-client", daemon=True)

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more calls."""
        return self._closing

    def start(self) -> None:
        """Start the thread if it does not run yet. Interrupted, it is closed.

        Raises ConnectionFailed when the system gives no thread.
        """
        if self._loop is not None:
            return
        try:
            self._thread.start()
            while not self._began_or_ended:
                _heard(self._news)
        except BaseException as error:
            self.close()
            if isinstance(error, RuntimeError):
                raise ConnectionFailed(NO_THREAD, reached=False) from error
            raise
        if self._loop is None:
            self._closing = True
            raise ConnectionFailed(NO_THREAD, reached=False)

    def call(self, work: Work[T]) -> T:
        """Run `work` in the loop and return what it returns.

        What it relays runs here meanwhile. An exception in that, and Ctrl-C, ends the work first.
        Raises ConnectionFailed when the loop is closed.
        """
        call = _Call(work)
        try:
            self._hand_over(call)
            return call.wait()
        except BaseException:
            _persist(lambda: call.has_ended, lambda: self._end(call))
            raise

    def close(self) -> None:
        """End all calls and the thread."""
        self._closing = True
        if threading.current_thread() is self._thread:
            self._wake()
            return
        interruption = _persist(lambda: not self._thread.is_alive(), self._wake_and_wait)
        if interruption is not None:
            raise interruption

    @property
    def _began_or_ended(self) -> bool:
        return self._loop is not None or self._ended

    def _hand_over(self, call: "_Call[Any]") -> None:
        with self._lock:
            if self._closing or self._loop is None:
                call.has_ended = True
                raise ConnectionFailed(ENDED, may_pass=False)
            self._loop.call_soon_threadsafe(self._begin, call, self._loop)

    def _end(self, call: "_Call[Any]") -> None:
        """Tell the loop that a call ends, and wait for it a little."""
        call.is_unwanted = True
        try:
            assert self._loop is not None  # noqa: S101 (a call was handed over, or was about to)
            self._loop.call_soon_threadsafe(call.end)
        except RuntimeError:  # The loop is closed, and has ended all calls before.
            call.has_ended = True
        call.rest()

    def _wake(self) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # closed already
                self._loop.call_soon_threadsafe(self._stop.set)

    def _wake_and_wait(self) -> None:
        # Under the lock no call is handed over behind the end.
        with self._lock:
            self._wake()
        self._thread.join(POLL_S)

    def _run(self) -> None:
        try:
            with suppress(OSError):  # no descriptor is left for a loop
                asyncio.run(self._serve())
        finally:
            self._ended = True
            self._news.put(None)

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._news.put(None)
        if not self._closing:  # Whoever closes it later sees the loop.
            await self._stop.wait()
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await self._finish()

    def _begin(self, call: "_Call[Any]", loop: asyncio.AbstractEventLoop) -> None:
        task = call.begin(loop)
        if task is not None:
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)


class _Call(Generic[T]):
    """One call: its task in the loop, and the steps that the caller's thread does for it.

    is_unwanted: set by the caller. has_ended: set when nothing of it runs any more.
    """

    def __init__(self, work: Work[T]) -> None:
        self.is_unwanted = False
        self.has_ended = False
        self._work = work
        self._task: asyncio.Task[T] | None = None
        self._steps: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def begin(self, loop: asyncio.AbstractEventLoop) -> "asyncio.Task[T] | None":
        """Begin the work if it is still wanted. In the loop."""
        if self.is_unwanted:
            self.has_ended = True
            return None
        self._task = loop.create_task(self._run())
        self._task.add_done_callback(self._note_end)
        return self._task

    def end(self) -> None:
        """End the work, which may not even have begun. In the loop."""
        if self._task is None:
            self.has_ended = True
        elif not self._task.done():
            self._task.cancel()

    def wait(self) -> T:
        """Do the steps until the work has ended, and return what it returns."""
        while (step := self._steps.get()) is not None:
            step()
        assert self._task is not None  # noqa: S101 (it has ended)
        if self._task.cancelled():
            raise ConnectionFailed(ENDED, may_pass=False)
        return self._task.result()

    def rest(self) -> None:
        """Wait a little for the end; no step is done any more."""
        if not self.has_ended:
            _heard(self._steps)

    async def _run(self) -> T:
        return await self._work(self._relay)

    def _note_end(self, _: "asyncio.Task[T]") -> None:
        self.has_ended = True
        self._steps.put(None)

    async def _relay(self, step: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def there() -> None:
            step()
            with suppress(RuntimeError):  # the step closed the loop
                loop.call_soon_threadsafe(go_on)

        def go_on() -> None:
            if not done.done():
                done.set_result(None)

        self._steps.put(there)
        await done


def _heard(news: "queue.SimpleQueue[Any]") -> None:
    """Wait for news, but not for long: what they say is a flag, too."""
    with suppress(queue.Empty):
        news.get(timeout=POLL_S)


def _persist(is_done: Callable[[], bool], step: Callable[[], None]) -> BaseException | None:
    """Repeat a step until all is done, whatever interrupts; return the first interruption.

    It gives up after END_S: what does not end then is stuck in the system.
    """
    interruption: BaseException | None = None
    end_s = time.monotonic() + END_S
    while True:
        try:
            if is_done() or time.monotonic() > end_s:
                return interruption
            step()
        except BaseException as error:
            interruption = interruption or error
