"""Redis stops, dies, forgets, is slow or takes no writes: nobody who asks for a picture sees it.

One server stands all of it, one fault after the other, with its requests going on.
"""

import dataclasses
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from mixed_load import MixedLoad, load_through_a_fault
from redis import Redis
from restarts import Restarting, restarting

from houses import House, house, wait_until
from services import Service, redis_server
from slow_line import SlowLine, slow_line

pytestmark = pytest.mark.wire

# How the sentences begin that the log has for limits, for usage and for attempts to log in.
LOST = "Redis does not answer;"
BACK = "Redis answers again;"
PICTURES = 6


@dataclass(frozen=True, slots=True)
class Scene:
    """A house whose server reaches Redis over a line, and a user who asks for pictures."""

    home: House
    server: Service
    redis: Restarting
    line: SlowLine
    key: str

    @contextmanager
    def load(self) -> Iterator[MixedLoad]:
        """Let clients ask while the block runs; then nothing may have gone wrong."""
        with load_through_a_fault(
            self.home, self.server, self.key, pictures=PICTURES, think_s=0.4
        ) as load:
            yield load
            # Back for good, and still in order.
            wait_until(lambda: self.told(LOST) == self.told(BACK))

    def told(self, sentence: str) -> int:
        """Return how often the server's log says so."""
        return self.server.text().count(sentence)

    def command(self, *words: Any) -> None:
        """Ask Redis itself, past the line."""
        with Redis(port=self.redis.service.port) as client:
            client.execute_command(*words)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("redis-faults")
    with ExitStack() as stack:
        own = stack.enter_context(redis_server(folder / "redis"))
        redis = stack.enter_context(restarting(own))
        line = stack.enter_context(slow_line(own.port))
        seen = dataclasses.replace(own, port=line.port)
        home = stack.enter_context(house(folder, redis=seen))
        yield Scene(home, home.start(), redis, line, home.member(100_000))


def test_a_redis_that_stands_still_is_waited_for_now_and_then(scene: Scene) -> None:
    with scene.load() as load:
        lost = scene.told(LOST)
        scene.redis.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: scene.told(LOST) > lost)
        load.wait_for(PICTURES)
        scene.redis.process.send_signal(signal.SIGCONT)
        for _ in range(3):
            load.wait_for(2)
            scene.line.cut()


def test_a_redis_that_comes_back_empty_is_filled_again(scene: Scene) -> None:
    # Nobody asks for this one: its copy comes back even so.
    scene.home.member(7)
    with scene.load() as load:
        scene.redis.end(signal.SIGKILL)
        load.wait_for(PICTURES)
        scene.redis.begin()
        load.wait_for(PICTURES)
        scene.command("FLUSHALL")


def test_a_slow_redis_is_left_alone(scene: Scene) -> None:
    with scene.load() as load:
        for delay_s in (0.3, 2):
            before, scene.line.delay_s = scene.line.passed, delay_s
            load.wait_for(3 * PICTURES)
            # Each request would ask several times; hardly any does.
            assert scene.line.passed - before < 3 * PICTURES
        scene.line.delay_s = 0


def test_a_redis_that_refuses_is_done_without(scene: Scene) -> None:
    refusals = (
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        ("REPLICAOF 127.0.0.1 9", "REPLICAOF NO ONE"),
        ("CONFIG SET requirepass x", "CONFIG SET requirepass ''"),
    )
    with scene.load() as load, Redis(port=scene.redis.service.port) as operator:
        for spoil, mend in refusals:
            lost = scene.told(LOST)
            operator.execute_command(*spoil.split())
            operator.execute_command("CLIENT", "KILL", "SKIPME", "yes")
            wait_until(lambda lost=lost: scene.told(LOST) > lost)  # type: ignore[misc]
            load.wait_for(PICTURES)
            operator.execute_command(*(word.strip("'") for word in mend.split()))
            wait_until(lambda: scene.told(LOST) == scene.told(BACK))
