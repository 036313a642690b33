import threading
from pathlib import Path

import pytest

from fakes.steady_matter import SteadyMatter
from openrembg.matting.errors import CorruptModel
from openrembg.matting.weights import DEFAULT_MODEL
from openrembg.server.errors import NotReady
from openrembg.server.inference.backend import Backend, backend_for
from openrembg.server.inference.state import State
from openrembg.server.settings import Settings


def test_it_is_loading_until_the_model_is_warm() -> None:
    may_end = threading.Event()

    def load() -> SteadyMatter:
        may_end.wait()
        return SteadyMatter()

    backend = Backend(load)
    backend.start()
    assert backend.state() == State("loading")
    with pytest.raises(NotReady):
        backend.matter()
    may_end.set()
    assert backend.wait() == State("ready", "steady", "Test CPU f32", "f32")
    assert backend.matter().model == "steady"


def test_the_model_is_loaded_once() -> None:
    loads: list[int] = []

    def load() -> SteadyMatter:
        loads.append(1)
        return SteadyMatter()

    backend = Backend(load)
    for _ in range(3):
        backend.start()
        backend.wait()
    assert loads == [1]


def test_a_corrupt_model_says_why() -> None:
    def load() -> SteadyMatter:
        raise CorruptModel("The weights do not have their checksum.")

    backend = Backend(load)
    assert backend.wait() == State("failed", reason="The weights do not have their checksum.")
    with pytest.raises(NotReady):
        backend.matter()


def test_a_crash_while_loading_names_no_inner_thing() -> None:
    def load() -> SteadyMatter:
        raise ZeroDivisionError("/secret/path")

    state = Backend(load).wait()
    assert state.status == "failed"
    assert "/secret/path" not in state.reason


def test_an_unknown_model_fails_with_its_name(tmp_path: Path) -> None:
    state = backend_for(Settings(data_dir=tmp_path, model="no-such-model")).wait()
    assert state.status == "failed"
    assert "no-such-model" in state.reason


def test_the_packaged_model_loads(tmp_path: Path) -> None:
    state = backend_for(Settings(data_dir=tmp_path)).wait()
    assert (state.status, state.model) == ("ready", DEFAULT_MODEL)
    assert state.provider.endswith(state.precision)
    assert state.precision in ("f32", "bf16")
