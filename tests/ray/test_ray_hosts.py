"""A cluster of several hosts that fail one after the other while pictures are asked for.

The server's host, the head and the workers are apart: a cable can be pulled, and power can fail.
"""

import io
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import pytest
from mixed_load import MixedLoad, assert_the_books_agree, mixed_load
from ray_service import (
    RAY_S,
    alive,
    bridge,
    computed_s,
    family,
    readiness,
    replicas,
    retries,
    wait_until_away,
    wait_until_ready,
)

from forms import field as text
from forms import photo, post
from houses import House, house, usage, wait_until
from pictures import opened, picture
from ray_cluster import Cluster, Host, ray_cluster
from services import Service

pytestmark = [pytest.mark.wire, pytest.mark.timeout(900)]

REQUESTS: Final = 12
TIMEOUT_S: Final = 30.0
# More than one replica takes at once.
LONG_ONES: Final = 3
RAY: Final = {
    "OPENREMBG_INFERENCE": "ray",
    "OPENREMBG_RAY_MIN_REPLICAS": "2",
    "OPENREMBG_RAY_MAX_REPLICAS": "2",
    "OPENREMBG_RAY_TIMEOUT_S": f"{TIMEOUT_S:.0f}",
    "OPENREMBG_RAY_REPLICA_CALLS": "2",
    "OPENREMBG_PIXEL_BUDGET": "200",
    "OPENREMBG_WORKERS": "8",
}


@dataclass(slots=True)
class Scene:
    """A cluster, and a server beside it that a user asks for pictures."""

    cluster: Cluster
    home: House
    server: Service
    key: str
    workers: list[Host] = field(default_factory=list)

    @contextmanager
    def load(self, *allowed: int) -> Iterator[MixedLoad]:
        """Let clients ask while the block runs; in the end all must be well again.

        allowed: what else than what they should get they may be answered.
        """
        # Refusals cost processor time too, and some of these faults last a minute.
        clients = 2 if allowed else 4
        with mixed_load([self.server], self.key, clients, think_s=0.1) as load:
            load.wait_for(REQUESTS)
            yield load
            load.wait_for(REQUESTS)
        assert not load.unexpected(*allowed), load.unexpected(*allowed)
        assert_the_books_agree(self.home, self.server, load)

    @contextmanager
    def unfinished_on(self, host: Host) -> Iterator[None]:
        """Let a host have begun with pictures when the block runs, and never end them.

        Each of them must be answered all the same, and charged once.
        """
        other, replica = self.home.member(1000), self.replicas_of(host)
        with ThreadPoolExecutor(LONG_ONES) as clients:
            before = computed_s(replica)
            asked = [clients.submit(ask, self, other, long_one()) for _ in range(LONG_ONES)]
            wait_until(lambda: computed_s(replica) > before + 0.05)
            for pid in replica:
                os.kill(pid, signal.SIGSTOP)
            yield
            assert [one.result()[0] for one in asked] == [200] * LONG_ONES
        wait_until(lambda: usage(self.server, other)["api_usage"] == LONG_ONES)

    def wait_for_replicas(self) -> None:
        """Wait until both replicas run."""
        wait_until(lambda: replicas(self.server) == 2, RAY_S)

    def replicas_of(self, host: Host) -> list[int]:
        """Return the processes that compute on a host."""
        return [pid for pid, words in alive(set(host.pids())).items() if "ServeReplica" in words]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with ray_cluster() as cluster, house(tmp_path_factory.mktemp("ray-hosts")) as home:
        more = {**RAY, **cluster.environment, "OPENREMBG_RAY_ADDRESS": cluster.address}
        server = home.start(status="failed", **more)
        yield Scene(cluster, home, server, home.member(100_000))


@cache
def long_one() -> bytes:
    """Return a picture that takes a replica half a second: no part of it may be left out."""
    file = io.BytesIO()
    opened(picture("PNG")).resize((6000, 4000)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def ask(scene: Scene, key: str, data: bytes) -> tuple[int, str | None]:
    """Ask for the mask of a picture; return the status and Retry-After."""
    parts = photo(data), text("mask", "true")
    answer = post(scene.server, *parts, headers={"X-Api-Key": key})
    assert answer.headers["X-Credits-Charged"] == ("1" if answer.status == 200 else "0")
    return answer.status, answer.headers["Retry-After"]


def assert_it_says_so(scene: Scene) -> None:
    """Without a cluster: 503, come again, nothing is held; and /ready has the reason."""
    status, retry_after = ask(scene, scene.key, picture("JPEG"))
    assert status == 503
    assert retry_after is not None
    assert scene.home.reservations() == 0
    wait_until(lambda: scene.cluster.address in readiness(scene.server)[1]["reason"])


def test_a_cluster_that_is_not_there_yet_is_waited_for(scene: Scene) -> None:
    assert_it_says_so(scene)
    scene.cluster.begin_head()
    scene.workers = scene.cluster.new_workers(2)
    told = wait_until_ready(scene.server)
    scene.wait_for_replicas()
    assert told["model"]
    assert told["provider"]
    assert ask(scene, scene.key, picture("JPEG")) == (200, None)


def test_a_host_without_power_loses_no_request(scene: Scene) -> None:
    lost, before = scene.workers.pop(0), retries(scene.server)
    with scene.unfinished_on(lost), scene.load() as load:
        lost.kill()
        wait_until(lambda: retries(scene.server) > before, TIMEOUT_S)
        load.wait_for(REQUESTS)
        scene.workers += scene.cluster.new_workers(1)
        scene.wait_for_replicas()


def test_a_host_with_its_cable_pulled_loses_no_request(scene: Scene) -> None:
    cut, before = scene.workers[0], retries(scene.server)
    with scene.unfinished_on(cut), scene.load() as load:
        cut.pull_cable()
        wait_until(lambda: retries(scene.server) > before, TIMEOUT_S)
        load.wait_for(REQUESTS)
        cut.plug_cable()
        # Ray has given it up: it joins as a new one.
        cut.kill()
        scene.cluster.begin_workers(cut)
        scene.wait_for_replicas()


def test_a_bridge_that_ends_or_stands_still_is_a_pause(scene: Scene) -> None:
    with scene.load(503) as load:
        for fault in (signal.SIGKILL, signal.SIGSTOP):
            before, since = bridge(scene.server), time.monotonic()
            os.kill(before, fault)
            load.wait_for_refusal()
            # Not hung: whoever asked then was answered, though nobody lets it move again.
            assert time.monotonic() - since < 5 * TIMEOUT_S
            wait_until(lambda: not alive({before}), 60)  # noqa: B023
            wait_until_ready(scene.server)


def test_a_server_cut_off_says_so_and_comes_back(scene: Scene) -> None:
    own = scene.cluster.network.hosts[0]
    with scene.load(503) as load:
        own.pull_cable()
        load.wait_for_refusal()
        wait_until_away(scene.server)
        own.plug_cable()
        wait_until_ready(scene.server)


def test_a_head_that_is_gone_is_waited_for(scene: Scene) -> None:
    with scene.load(503) as load:
        scene.cluster.head.kill()
        wait_until_away(scene.server)
        load.wait_for_refusal()
        assert_it_says_so(scene)
        for worker in scene.workers:
            worker.kill()
        scene.cluster.begin_head()
        # Room for both replicas.
        scene.cluster.begin_workers(scene.workers[0], cpus=2)
        wait_until_ready(scene.server)


def test_nothing_is_left_on_the_servers_host(scene: Scene) -> None:
    own = family(scene.server.process.pid) - {scene.server.process.pid}
    assert any("raylet" in command for command in alive(own).values())
    os.kill(bridge(scene.server), signal.SIGKILL)
    wait_until(lambda: not alive(own), 60)
