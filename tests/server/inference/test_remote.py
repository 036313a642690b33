import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fakes import false_bridge
from houses import wait_until
from openrembg.matting.errors import InferenceFailed, UndecodableImage
from openrembg.server.errors import Busy, NotReady
from openrembg.server.inference.remote import RemoteBackend
from openrembg.server.inference.state import State

READY = State("ready", "far", "Far CPU f32", "f32", replicas=2)
TESTS = str(Path(__file__).parents[2])


@dataclass(frozen=True, slots=True)
class Picture:
    """What a Matter needs of a source: its bytes, here a word for the false bridge."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Far:
    """A backend, and where its bridges leave word."""

    backend: RemoteBackend
    folder: Path

    def ask(self, word: bytes) -> np.ndarray:
        """Return the alpha that the bridge gives for a word."""
        return self.backend.matter().matte(Picture(word)).alpha  # type: ignore[arg-type]

    def pids(self) -> list[int]:
        """Return the bridges that were started, in their order."""
        return [int(line) for line in (self.folder / "pids").read_text().split()]


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Far]:
    def command(descriptor: int) -> list[str]:
        return [sys.executable, false_bridge.__file__, str(descriptor), str(tmp_path)]

    backend = RemoteBackend(command, {**os.environ, "PYTHONPATH": TESTS}, timeout_s=1)
    try:
        assert backend.wait(60) == READY
        yield Far(backend, tmp_path)
    finally:
        backend.stop()


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_matte_comes_from_far_and_says_what_made_it(far: Far) -> None:
    matter = far.backend.matter()
    assert (matter.model, matter.provider) == ("far", "Far CPU f32")
    matte = matter.matte(Picture(b"picture"))  # type: ignore[arg-type]
    assert matte.detected
    assert matte.alpha.tolist() == [[0.0, 0.125, 0.25], [0.375, 0.5, 0.625]]
    assert (matter.model, matter.provider) == ("near", "Near CPU f32")


def test_many_pictures_are_on_their_way_at_once(far: Far) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(far.ask, [b"picture" * 100_000] * 40))) == 40


@pytest.mark.parametrize(
    ("word", "error"),
    [
        (b"busy", Busy),
        (b"lost", NotReady),
        (b"timeout", NotReady),
        (b"another_version", NotReady),
        (b"undecodable", UndecodableImage),
        (b"failed", InferenceFailed),
    ],
)
def test_each_trouble_has_its_error(far: Far, word: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        far.ask(word)
    assert len(far.pids()) == 1


@pytest.mark.parametrize("word", [b"die", b"garbage", b"huge", b"misshapen"])
def test_another_bridge_takes_the_place_of_one_that_fails(far: Far, word: bytes) -> None:
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(far.ask, b"silence")
        with pytest.raises(NotReady):
            far.ask(word)
        with pytest.raises(NotReady):
            waits.result(30)
    wait_until(lambda: len(far.pids()) == 2 and far.backend.state() == READY)
    assert far.ask(b"picture").size == 6
    assert is_gone(far.pids()[0])


def test_nobody_waits_for_a_bridge_that_was_stopped(far: Far) -> None:
    began = time.monotonic()
    with pytest.raises(NotReady):
        far.ask(b"stop")
    with pytest.raises(NotReady):
        far.ask(b"picture" * 1_000_000)  # more than fits into the socket
    assert time.monotonic() - began < 30
    os.kill(far.pids()[0], signal.SIGCONT)
    wait_until(lambda: far.backend.state() == READY)
    assert far.ask(b"picture").size == 6


def test_what_the_cluster_says_is_what_the_state_says(far: Far) -> None:
    (far.folder / "verdict").write_text("It is away.")
    wait_until(lambda: far.backend.state() == State("failed", reason="It is away.", replicas=0))
    with pytest.raises(NotReady, match=r"It is away\."):
        far.backend.matter()
    (far.folder / "verdict").unlink()
    wait_until(lambda: far.backend.state() == READY)


def test_a_stopped_backend_has_no_bridge(far: Far) -> None:
    far.backend.stop()
    assert is_gone(far.pids()[0])
    with pytest.raises(NotReady):
        far.ask(b"picture")


def test_a_bridge_that_dies_without_a_word_is_shown_with_its_last_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = "import os; print('core worker: mismatch', flush=True); os.abort()"
    backend = RemoteBackend(lambda _: [sys.executable, "-c", words], dict(os.environ), timeout_s=1)
    reason = "The bridge to the Ray cluster was ended by signal 6; it starts again."
    assert backend.wait(60) == State("failed", reason=reason)
    backend.stop()
    told = [record.fields for record in caplog.records if hasattr(record, "fields")]
    assert {"code": -6, "detail": "core worker: mismatch"} in told


def test_a_new_bridge_that_knows_nothing_yet_keeps_the_last_reason(far: Far) -> None:
    (far.folder / "verdict").write_text("It is away.")
    wait_until(lambda: far.backend.state().reason == "It is away.")
    (far.folder / "begins").touch()
    os.kill(far.pids()[0], signal.SIGKILL)
    wait_until(lambda: len(far.pids()) == 2)
    seen = {far.backend.state().reason for _ in range(20) if not time.sleep(0.05)}
    assert seen == {"It is away."}


def test_a_bridge_that_cannot_be_started_says_so(tmp_path: Path) -> None:
    backend = RemoteBackend(lambda _: [str(tmp_path / "nothing")], {}, timeout_s=1)
    assert backend.wait(60) == State("failed", reason="The bridge cannot be started.")
    backend.stop()
