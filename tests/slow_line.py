"""A TCP line to a service that can be slow, stand still, break, or lose an answer."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from services import HOST

AT_ONCE = 64 * 1024


@dataclass
class SlowLine:
    """A line that passes everything on at first.

    delay_s: how much later each piece of an answer arrives. port: where clients connect to.
    """

    target: int
    port: int = 0
    delay_s: float = 0.0
    passed: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _flows: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _last_words: bytes | None = None

    def stand_still(self) -> None:
        """Take what clients send and connections that they open, and pass nothing on."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def flow(self) -> None:
        """Pass on what has waited, and everything from now on."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def cut(self) -> None:
        """Break every connection; new ones are taken."""
        self._loop.call_soon_threadsafe(self._cut)

    def cut_at(self, words: bytes) -> None:
        """Pass on the next piece with these words, and break that line in place of the answer."""
        self._last_words = words

    def run(self, started: threading.Event) -> None:
        """Serve in this thread until `stop`."""
        asyncio.set_event_loop(self._loop)
        self._flows.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._meet, HOST, self.port))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()
        server.close()
        self._cut()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    def stop(self) -> None:
        """End `run`."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _cut(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._begin(self._carry(reader, writer))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, onward = await asyncio.open_connection(HOST, self.target)
        except OSError:
            writer.transport.abort()
            return
        both = asyncio.gather(self._to_service(reader, onward), self._back(there, writer))
        try:
            with suppress(OSError):
                await both
        finally:
            both.cancel()
            for end in (writer, onward):
                end.transport.abort()

    async def _to_service(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(AT_ONCE):
            await self._flows.wait()
            sink.write(piece)
            await sink.drain()
            if self._last_words is not None and self._last_words in piece:
                self._last_words = None
                raise ConnectionResetError
        sink.close()

    async def _back(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(AT_ONCE):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self._flows.wait()
            self.passed += 1
            sink.write(piece)
            await sink.drain()
        sink.close()


@contextmanager
def slow_line(target: int) -> Iterator[SlowLine]:
    """Put a line before the service on a port."""
    line, started = SlowLine(target), threading.Event()
    thread = threading.Thread(target=line.run, args=(started,), name="slow-line")
    thread.start()
    started.wait()
    try:
        yield line
    finally:
        line.stop()
        thread.join()
