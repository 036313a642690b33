"""Between a server and a Ray cluster: pictures to replicas, mattes back.

It takes pictures from the server through a socket, asks a replica and, when that one is lost, a
second one, and tells every two seconds how the cluster stands. This file knows no Ray.

    Exception
    ├── ClusterAway         nothing can be computed until there is another bridge
    └── AttemptFailed       one replica gave no matte; `trouble` says why
        └── ReplicaLost     and another one may
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from openrembg.server.inference import frames
from openrembg.server.inference.frames import FrameError, Kind, Trouble, Verdict

TELL_EVERY_S: Final = 2.0
# So many pictures in turn without an answer in time, and the replicas are asked whether they live.
LATE_ONES: Final = 3

logger = logging.getLogger("openrembg.ray")


class ClusterAway(Exception):
    """There is no cluster to ask. reason: for everybody to read; detail: for the log."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason
        self.detail = detail


class AttemptFailed(Exception):
    """A replica gave no matte."""

    def __init__(self, trouble: Trouble, detail: str = "") -> None:
        super().__init__(detail or trouble)
        self.trouble: Trouble = trouble
        self.detail = detail


class ReplicaLost(AttemptFailed):
    """The replica, its host or its answer is gone, or it took too long."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a replica made. note: what frames.Answer has but `retried`; alpha: float32 bytes."""

    note: dict[str, object]
    alpha: bytes


class Cluster(Protocol):
    """What the bridge needs of a cluster; it is used by one event loop."""

    async def unreachable(self) -> str:
        """Return why nobody answers at its address, empty when somebody does."""

    async def join(self) -> None:
        """Join it, and see to it that replicas are on their way. Raises ClusterAway."""

    async def look(self) -> Verdict:
        """Return how it stands. Raises ClusterAway when it did not answer for too long."""

    async def attempt(self, data: bytes, taken: Callable[[], None]) -> Made:
        """Ask one replica for the matte of a picture's file. Raises AttemptFailed.

        taken: called when a replica has begun with it, as opposed to the queue.
        """

    async def answers(self) -> bool:
        """Return whether a replica says what it is."""


@dataclass(slots=True, eq=False)
class _Place:
    """A picture's place in Serve's queue. taken_before: how many had been taken when it came."""

    number: int
    taken_before: int
    is_taken: bool = False


class _Queue:
    """Which of this bridge's pictures replicas have taken: Serve gives them away in their order."""

    def __init__(self) -> None:
        self._entered = 0
        self._taken = 0
        self._latest_taken = 0

    def enter(self) -> _Place:
        """Return the last place."""
        self._entered += 1
        return _Place(self._entered, self._taken)

    def take(self, place: _Place) -> None:
        """Note that a replica has it."""
        place.is_taken = True
        self._taken += 1
        self._latest_taken = max(self._latest_taken, place.number)

    def moves_towards(self, place: _Place) -> bool:
        """Return whether it has only to wait: some were taken meanwhile, and none that came later.

        Else a replica that it was offered to does not even say whether it takes it.
        """
        return self._taken > place.taken_before and self._latest_taken < place.number


class Bridge:
    """Passes calls on, many at once, and tells how the cluster stands."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        cluster: Cluster,
        timeout_s: float,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._cluster = cluster
        self._timeout_s = timeout_s
        self._verdict = Verdict("loading", "The Ray cluster is being joined.")
        self._news = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._queue = _Queue()
        self._late = 0

    async def run(self) -> None:
        """Serve until the server hangs up or the cluster is away."""
        tasks = [asyncio.create_task(one()) for one in (self._take, self._watch, self._tell)]
        done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await self._send_verdict()
        for task in (*left, *self._calls):
            task.cancel()
        await asyncio.gather(*left, *self._calls, return_exceptions=True)
        for task in done:
            task.result()

    async def _take(self) -> None:
        """Take calls until the server hangs up."""
        while True:
            try:
                head = frames.read_head(await self._reader.readexactly(frames.HEAD_BYTES))
                data = await self._reader.readexactly(head.size)
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            if head.kind is not Kind.CALL:
                raise FrameError("a server sends calls alone")
            task = asyncio.create_task(self._answer(head.call, data))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def _answer(self, call: int, data: bytes) -> None:
        retried = False
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        try:
            try:
                made = await self._attempt(data, deadline, self._timeout_s / 2)
            except ReplicaLost as error:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                retried = True
                logger.warning("A picture is given to a second replica", extra=_why(error))
                made = await self._attempt(data, deadline, self._timeout_s)
        except AttemptFailed as error:
            note = frames.written_trouble(error.trouble, error.detail, retried=retried)
            self._write(Kind.TROUBLE, call, note)
        else:
            answer = frames.written_answer({**made.note, "retried": retried}, made.alpha)
            self._write(Kind.MATTE, call, answer)
        with suppress(ConnectionError):  # the server is gone, which _take sees too
            await self._writer.drain()

    async def _attempt(self, data: bytes, deadline: float, patience_s: float) -> Made:
        """Ask one replica, and give it patience_s from when it took the picture.

        One that no replica takes keeps its place in Serve's queue as long as that moves.
        """
        loop, place = asyncio.get_running_loop(), self._queue.enter()

        def give_up() -> None:
            if not self._queue.moves_towards(place):
                limit.reschedule(loop.time())

        def taken() -> None:
            timer.cancel()
            self._queue.take(place)
            limit.reschedule(min(deadline, loop.time() + patience_s))

        timer = loop.call_later(patience_s, give_up)
        try:
            async with asyncio.timeout_at(deadline) as limit:
                made = await self._cluster.attempt(data, taken)
        except TimeoutError as error:
            self._late += 1
            if place.is_taken:
                raise ReplicaLost("timeout", "no replica answered in time") from error
            raise ReplicaLost("busy", "no replica took it in time") from error
        finally:
            timer.cancel()
        self._late = 0
        return made

    async def _watch(self) -> None:
        """Look at the cluster again and again, until it is away."""
        try:
            while reason := await self._cluster.unreachable():
                self._note(Verdict("failed", reason))
                await asyncio.sleep(TELL_EVERY_S)
            await self._cluster.join()
            while True:
                self._note(await self._looked())
                await asyncio.sleep(TELL_EVERY_S)
        except ClusterAway as error:
            self._note(Verdict("failed", error.reason, error.detail))

    async def _looked(self) -> Verdict:
        """Return how the cluster stands; failed, too, when its replicas answer nothing."""
        verdict = await self._cluster.look()
        if verdict.status != "ready" or self._late < LATE_ONES:
            return verdict
        silent = Verdict("failed", "The replicas do not answer.", "", None, verdict.replicas)
        self._note(silent)
        if not await self._cluster.answers():
            return silent
        self._late = 0
        return verdict

    def _note(self, verdict: Verdict) -> None:
        if verdict != self._verdict:
            self._verdict = verdict
            self._news.set()

    async def _tell(self) -> None:
        """Tell the verdict when it changes, and every two seconds: who is silent hangs."""
        while True:
            await self._send_verdict()
            self._news.clear()
            try:
                async with asyncio.timeout(TELL_EVERY_S):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _send_verdict(self) -> None:
        self._write(Kind.VERDICT, 0, frames.written_verdict(self._verdict))
        with suppress(ConnectionError):  # as above
            await self._writer.drain()

    def _write(self, kind: Kind, call: int, data: bytes) -> None:
        self._writer.write(frames.head(kind, call, len(data)))
        self._writer.write(data)


async def serve(line: socket.socket, cluster: Cluster, timeout_s: float) -> None:
    """Be the bridge of the server at the other end of a socket, until that or the cluster ends."""
    reader, writer = await asyncio.open_unix_connection(sock=line)
    try:
        await Bridge(reader, writer, cluster, timeout_s).run()
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def say_last(line: socket.socket, error: ClusterAway) -> None:
    """Tell the server why there will be no bridge: where Ray could not even be loaded."""
    data = frames.written_verdict(Verdict("failed", error.reason, error.detail))
    with suppress(OSError):
        line.sendall(frames.head(Kind.VERDICT, 0, len(data)) + data)


def _why(error: AttemptFailed) -> dict[str, dict[str, object]]:
    return {"fields": {"trouble": error.trouble, "detail": error.detail[:500]}}
