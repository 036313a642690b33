import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from openrembg.server.inference import frames
from openrembg.server.inference.bridge import (
    AttemptFailed,
    ClusterAway,
    Made,
    ReplicaLost,
    serve,
)
from openrembg.server.inference.frames import Answer, FrameError, Identity, Kind, NoAnswer, Verdict

READY = Verdict("ready", by=Identity("m", "P CPU f32", "f32"), replicas=1)
NOTE = {"shape": [1, 1], "detected": True}
NAMES = {"model": "m", "provider": "P CPU f32", "precision": "f32"}


class Cluster:
    """Does with each attempt what the next of `outcomes` says, so many at once as it has places.

    It is away when there is a `trouble`; its replicas say what they are while it is `alive`.
    """

    def __init__(
        self,
        *outcomes: Exception | float,
        trouble: Exception | None = None,
        places: int = 100,
        alive: bool = True,
    ) -> None:
        self.outcomes = list(outcomes)
        self.attempts = 0
        self.trouble = trouble
        self.places = asyncio.Semaphore(places)
        self.alive = alive
        self.reasons = ["It cannot be reached."]

    async def unreachable(self) -> str:
        return self.reasons.pop() if self.trouble is not None and self.reasons else ""

    async def join(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    async def look(self) -> Verdict:
        return READY

    async def answers(self) -> bool:
        return self.alive

    async def attempt(self, data: bytes, taken: Callable[[], None]) -> Made:
        self.attempts += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        async with self.places:
            taken()
            await asyncio.sleep(outcome)
        return Made({**NOTE, **NAMES}, data)


async def told(line: socket.socket) -> tuple[Kind, Any]:
    loop = asyncio.get_running_loop()

    async def exactly(size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = await loop.sock_recv(line, size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    head = frames.read_head(await exactly(frames.HEAD_BYTES))
    data = await exactly(head.size)
    readers: dict[Kind, Callable[[bytes], Any]] = {
        Kind.VERDICT: frames.read_verdict,
        Kind.MATTE: frames.read_answer,
        Kind.TROUBLE: frames.read_trouble,
    }
    return head.kind, readers[head.kind](data)


def with_bridge(
    cluster: Cluster, then: Callable[[socket.socket], Awaitable[Any]], timeout_s: float = 30
) -> Any:
    """Return what `then` does with the server's end of a bridge's line, and hang up."""

    async def run() -> Any:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours:
            bridge = asyncio.create_task(serve(theirs, cluster, timeout_s))
            result = await then(ours)
        await bridge
        return result

    return asyncio.run(asyncio.wait_for(run(), 60))


def answer_of(cluster: Cluster, timeout_s: float = 30) -> Any:
    """Return what the bridge says of one picture."""

    async def ask(line: socket.socket) -> Any:
        call = frames.head(Kind.CALL, 1, 4) + b"\0\0\0\0"
        await asyncio.get_running_loop().sock_sendall(line, call)
        while (one := await told(line))[0] is Kind.VERDICT:
            pass
        return one[1]

    return with_bridge(cluster, ask, timeout_s)


def test_a_picture_goes_to_a_replica_and_its_matte_comes_back() -> None:
    cluster = Cluster(0)
    answer = answer_of(cluster)
    assert isinstance(answer, Answer)
    assert (answer.matte.alpha.tolist(), answer.retried) == ([[0.0]], False)
    assert cluster.attempts == 1


def test_a_lost_replica_is_followed_by_one_other() -> None:
    cluster = Cluster(ReplicaLost("lost", "its host died"), 0)
    answer = answer_of(cluster)
    assert isinstance(answer, Answer)
    assert answer.retried
    assert cluster.attempts == 2


def test_two_lost_replicas_are_all_that_a_picture_gets() -> None:
    cluster = Cluster(ReplicaLost("lost"), ReplicaLost("lost", "again"), 0)
    assert answer_of(cluster) == NoAnswer("lost", "again", retried=True)
    assert cluster.attempts == 2


@pytest.mark.parametrize("trouble", ["busy", "undecodable", "failed", "another_version"])
def test_no_other_trouble_is_tried_again(trouble: frames.Trouble) -> None:
    cluster = Cluster(AttemptFailed(trouble, "why"), 0)
    assert answer_of(cluster) == NoAnswer(trouble, "why", retried=False)
    assert cluster.attempts == 1


def test_a_replica_that_hangs_leaves_half_of_the_time_to_another() -> None:
    cluster = Cluster(3600, 0)
    answer = answer_of(cluster, timeout_s=4)
    assert isinstance(answer, Answer)
    assert answer.retried


def test_two_replicas_that_hang_are_a_timeout() -> None:
    answer = answer_of(Cluster(3600, 3600), timeout_s=0.2)
    assert answer == NoAnswer("timeout", "no replica answered in time", retried=True)


async def answers_of(line: socket.socket, count: int) -> list[Any]:
    """Return what the bridge says of so many pictures that come at once."""
    for call in range(1, count + 1):
        data = frames.head(Kind.CALL, call, 4) + b"\0\0\0\0"
        await asyncio.get_running_loop().sock_sendall(line, data)
    answers: list[Any] = []
    while len(answers) < count:
        kind, answer = await told(line)
        answers += [] if kind is Kind.VERDICT else [answer]
    return answers


def test_a_picture_keeps_its_place_in_a_queue_that_moves() -> None:
    # One a second, of which the last waits for longer than the half of five seconds.
    cluster = Cluster(*[1.0] * 4, places=1)
    answers = with_bridge(cluster, lambda line: answers_of(line, 4), timeout_s=5)
    assert [isinstance(one, Answer) and not one.retried for one in answers] == [True] * 4
    assert cluster.attempts == 4


def test_a_picture_that_no_replica_took_in_time_finds_them_busy() -> None:
    cluster = Cluster(3600, 3600, places=0)
    answer = answer_of(cluster, timeout_s=0.2)
    assert answer == NoAnswer("busy", "no replica took it in time", retried=True)


def test_replicas_that_answer_nothing_in_time_are_asked_whether_they_live() -> None:
    async def ask(line: socket.socket) -> Verdict:
        await answers_of(line, 3)
        while (one := await told(line))[1] == READY or one[1].status == "loading":
            pass
        verdict: Verdict = one[1]
        cluster.alive = True
        while (await told(line))[1] != READY:
            pass
        return verdict

    cluster = Cluster(*[3600] * 6, alive=False)
    verdict = with_bridge(cluster, ask, timeout_s=0.2)
    assert verdict == Verdict("failed", "The replicas do not answer.", replicas=1)


def test_it_tells_again_and_again_how_the_cluster_stands() -> None:
    async def listen(line: socket.socket) -> list[Verdict]:
        return [(await told(line))[1] for _ in range(3)]  # the third without news

    assert READY in with_bridge(Cluster(), listen)[:2]


def test_a_cluster_that_is_away_ends_it_with_the_reason() -> None:
    async def listen(line: socket.socket) -> list[Verdict]:
        verdicts = []
        try:
            while True:
                verdicts.append((await told(line))[1])
        except EOFError:
            return verdicts

    verdicts = with_bridge(Cluster(trouble=ClusterAway("It refuses.", "a detail")), listen)
    assert Verdict("failed", "It cannot be reached.") in verdicts
    assert verdicts[-1] == Verdict("failed", "It refuses.", "a detail")


def test_a_server_that_speaks_nonsense_ends_it() -> None:
    async def babble(line: socket.socket) -> None:
        await asyncio.get_running_loop().sock_sendall(line, b"GET / HTTP/1.1\r\n\r\n")
        with suppress(EOFError):
            while True:
                await told(line)

    with pytest.raises(FrameError):
        with_bridge(Cluster(), babble)
