import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import openrembg
from fakes.steady_matter import SteadyMatter
from openrembg.matting.errors import CorruptModel
from openrembg.matting.weights import DEFAULT_MODEL
from openrembg.server.errors import NotReady
from openrembg.server.inference.backend import backend_for
from openrembg.server.inference.local import LocalBackend
from openrembg.server.inference.state import State
from openrembg.server.settings import Settings


def test_it_is_loading_until_the_model_is_warm() -> None:
    may_end = threading.Event()

    def load() -> SteadyMatter:
        may_end.wait()
        return SteadyMatter()

    backend = LocalBackend(load, patience_s=0)
    backend.start()
    assert backend.state() == State("loading")
    with pytest.raises(NotReady):
        backend.matter()
    may_end.set()
    assert backend.wait() == State("ready", "steady", "Test CPU f32", "f32")
    assert backend.matter().model == "steady"


def test_a_picture_waits_for_a_model_that_is_being_loaded() -> None:
    may_end = threading.Event()

    def load() -> SteadyMatter:
        may_end.wait()
        return SteadyMatter()

    backend = LocalBackend(load, patience_s=60)
    # Nothing is held meanwhile that others may need: it is given back first.
    assert backend.matter(before_waiting=may_end.set).model == "steady"


def test_the_model_is_loaded_once() -> None:
    loads: list[int] = []

    def load() -> SteadyMatter:
        loads.append(1)
        return SteadyMatter()

    backend = LocalBackend(load)
    for _ in range(3):
        backend.start()
        backend.wait()
    assert loads == [1]


def test_a_corrupt_model_says_why() -> None:
    def load() -> SteadyMatter:
        raise CorruptModel("The weights do not have their checksum.")

    backend = LocalBackend(load)
    assert backend.wait() == State("failed", reason="The weights do not have their checksum.")
    with pytest.raises(NotReady):
        backend.matter()


def test_a_crash_while_loading_names_no_inner_thing() -> None:
    def load() -> SteadyMatter:
        raise ZeroDivisionError("/secret/path")

    state = LocalBackend(load).wait()
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


def test_a_server_with_a_model_of_its_own_imports_nothing_of_a_cluster(tmp_path: Path) -> None:
    program = """
import sys, django
django.setup()
from openrembg.server.service import service
assert service().backend.wait().status == "ready"
import openrembg.server.urls
print([name for name in sys.modules if name.split(".")[0] in ("ray", "grpc")])
print("openrembg.server.inference.remote" in sys.modules)
"""
    settings = {"DJANGO_SETTINGS_MODULE": "openrembg.server.settings", "PATH": os.environ["PATH"]}
    settings["OPENREMBG_DATA_DIR"] = str(tmp_path)
    printed = subprocess.check_output([sys.executable, "-c", program], env=settings, text=True)
    assert printed.splitlines() == ["[]", "False"]


def test_ray_is_imported_in_one_file() -> None:
    folder = Path(openrembg.__file__).parent
    lines = ("import ray", "from ray ", "from ray.", "from ray import")
    files = [
        file.name
        for file in folder.rglob("*.py")
        if any(line.strip().startswith(lines) for line in file.read_text("utf-8").splitlines())
    ]
    assert files == ["ray_serve.py"]
