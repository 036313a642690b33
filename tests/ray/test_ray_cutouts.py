"""Ray on this machine alone, which the server starts by itself: same answers as without it."""

import io
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from mixed_load import assert_the_books_agree, mixed_load
from PIL import Image
from ray_service import (
    RAY_S,
    alive,
    born,
    family,
    marked,
    metric,
    replicas,
    wait_for_the_end_of,
    wait_until_ready,
)

from forms import Answer, Part, field, photo, post
from houses import House, house, usage, wait_until
from pictures import empty_picture, opened, picture
from services import Service, children_of

# Not `wire`, which runs first: at once with test_ray_hosts, two clusters would wait for each other.
pytestmark = pytest.mark.timeout(600)

MARK: Final = f"test-ray-cutouts-{os.getpid()}"
# One replica at first, each for one picture at a time, and one place more: soon full.
RAY: Final = {
    "OPENREMBG_INFERENCE": "ray",
    "OPENREMBG_RAY_MIN_REPLICAS": "1",
    "OPENREMBG_RAY_MAX_REPLICAS": "2",
    "OPENREMBG_RAY_REPLICA_CALLS": "1",
    "OPENREMBG_RAY_QUEUE": "1",
    "OPENREMBG_WORKERS": "8",
    # Whatever it starts inherits this.
    "RAY_STARTED_BY": MARK,
}
# What may differ between two answers that are the same.
OF_THE_MOMENT: Final = ("date", "x-request-id", "server-timing", "ratelimit", "x-ratelimit")


def turned(orientation: int) -> bytes:
    """Return a JPEG whose EXIF says how it is to be turned."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    opened(picture("JPEG", 300, 200)).save(file, "JPEG", quality=90, exif=exif)
    return file.getvalue()


def half_transparent() -> bytes:
    """Return a PNG whose left half shows nothing."""
    image = opened(picture("PNG")).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, image.width // 2, image.height))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


PNG: Final = field("format", "png")
ASKED: Final[Mapping[str, Sequence[Part]]] = {
    **{format_: [photo(picture(format_)), PNG] for format_ in ("JPEG", "PNG", "WEBP", "BMP")},
    "webp": [photo(picture("JPEG", 1600, 1200))],
    "mask": [photo(picture("JPEG")), PNG, field("mask", "true")],
    "turned": [photo(picture("JPEG")), PNG, field("angle", "30"), field("expand", "false")],
    "resized": [photo(picture("JPEG")), PNG, field("w", "200"), field("h", "90")],
    "on a colour": [photo(picture("JPEG")), field("format", "jpeg"), field("bg_color", "#369")],
    "EXIF": [photo(turned(6)), PNG],
    "transparent": [photo(half_transparent()), PNG],
    "without a subject": [photo(empty_picture()), PNG],
    "torn": [photo(picture("PNG")[:900]), PNG],
    "no picture": [photo(b"no picture at all"), PNG],
}


@dataclass(frozen=True, slots=True)
class Scene:
    """Two servers on one database: one computes by itself, one on its Ray."""

    home: House
    local: Service
    ray: Service
    key: str

    def post(self, server: Service, parts: Sequence[Part]) -> Answer:
        """Ask one of the two with the key."""
        return post(server, *parts, headers={"X-Api-Key": self.key})


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with house(tmp_path_factory.mktemp("ray")) as home:
        # Loads Ray meanwhile.
        ray = home.start(may_die=True, status="loading", **RAY)
        # Its log has every module that it imports.
        local = home.start(PYTHONPROFILEIMPORTTIME="1")
        key = home.member(100_000)
        wait_until_ready(ray)
        yield Scene(home, local, ray, key)


def headers(answer: Answer) -> dict[str, str]:
    """Return those headers that say something of the picture, by lower-case names."""
    found = {name.lower(): value for name, value in answer.headers.items()}
    return {name: found[name] for name in found if not name.startswith(OF_THE_MOMENT)}


def test_every_picture_is_the_one_that_the_server_itself_makes(scene: Scene) -> None:
    for name, parts in ASKED.items():
        before = usage(scene.ray, scene.key)["api_usage"]
        here, there = scene.post(scene.local, parts), scene.post(scene.ray, parts)
        charged = usage(scene.ray, scene.key)["api_usage"] - before
        assert there.status == here.status, f"{name}: {there.body!r}"
        if there.status == 200:
            assert there.body == here.body, name
            assert headers(there) == headers(here), name
        else:
            assert there.status == 400
            assert there.told() == here.told(), name
        costs = there.headers["X-Foreground-Detected"] == "true"
        assert charged == (2 if costs else 0), name


def test_a_full_queue_says_come_again_and_charges_nothing(scene: Scene) -> None:
    with mixed_load([scene.ray], scene.key, clients=8) as load:
        load.wait_for_refusal(503)
        load.wait_for(8)
    assert not load.unexpected(503)
    refused = [one for one in load.seen if one.status == 503]
    assert all(one.asked.kind != "ready" for one in refused)
    assert all(one.retry_after for one in refused)
    assert_the_books_agree(scene.home, scene.ray, load)
    assert metric(scene.ray, "openrembg_remote_call_seconds_count", outcome="busy") >= 1


def test_a_second_replica_comes_for_a_load_that_lasts(scene: Scene) -> None:
    # No part of it can be left out in decoding: a tenth of a second for a replica.
    asked, is_over = [photo(picture("PNG", 2000, 1500)), PNG], threading.Event()

    def ask() -> Iterator[int]:
        while not is_over.is_set():
            yield scene.post(scene.ray, asked).status

    with ThreadPoolExecutor(3) as clients:
        seen = [clients.submit(set, ask()) for _ in range(3)]
        try:
            wait_until(lambda: replicas(scene.ray) == 2, RAY_S)
        finally:
            is_over.set()
    assert 200 in set().union(*(one.result() for one in seen)) <= {200, 503}
    assert metric(scene.ray, "openrembg_remote_call_seconds_count", outcome="ok") >= 8


def test_nothing_is_left_when_the_server_has_ended(scene: Scene) -> None:
    assert any("gcs_server" in command for command in alive(everything_of(scene.ray)).values())
    started = born(everything_of(scene.ray))
    scene.ray.process.terminate()
    assert scene.ray.process.wait(60) == 0
    wait_for_the_end_of(started, MARK)
    assert "Traceback" not in scene.ray.text()


def test_nothing_is_left_when_the_server_was_killed(scene: Scene) -> None:
    killed = scene.home.start(may_die=True, status="loading", **RAY)

    def has_ray() -> bool:
        return any("raylet" in command for command in alive(everything_of(killed)).values())

    # As early as that: nobody has told anybody yet what is to be ended.
    wait_until(has_ray, RAY_S)
    started = born(everything_of(killed))
    killed.process.kill()
    killed.process.wait()
    wait_for_the_end_of(started, MARK)


def everything_of(server: Service) -> set[int]:
    """Return the processes that a server has started, though Ray cuts some of them loose."""
    return family(server.process.pid) | marked(MARK)


def test_a_server_without_ray_has_none_of_it(scene: Scene) -> None:
    imported = set(re.findall(r"^import time:.*\| +(\S+)$", scene.local.text(), re.MULTILINE))
    assert "openrembg.server.inference.backend" in imported
    assert not {"ray", "grpc", "openrembg.server.inference.ray_serve"} & imported
    assert not children_of(scene.local.process.pid)
    locked = Path(__file__).parents[2] / "requirements" / "server.txt"
    names = {line.split("==")[0] for line in locked.read_text().split("\n")}
    assert not {"ray", "grpcio", "fastapi"} & names
