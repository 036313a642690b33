"""A service with a Matter of ours in the place of the process's own, for each test afresh."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.test.client import ClientHandler
from django.utils import translation
from pytest_django.fixtures import Settings as DjangoSettings

from fakes.steady_matter import SteadyMatter
from openrembg.matting.matter import Matter
from openrembg.server.inference.local import LocalBackend
from openrembg.server.service import Service, build, install
from openrembg.server.settings import Settings

Furnish = Callable[..., Service]


@pytest.fixture(scope="session", autouse=True)
def _one_chain_of_middleware() -> None:
    """Build once what answers all clients: each would read every static file's name from disk."""
    shared = ClientHandler()
    shared.load_middleware()
    ClientHandler._middleware_chain = staticmethod(shared._middleware_chain)


@pytest.fixture(autouse=True)
def furnish(settings: DjangoSettings, tmp_path: Path) -> Iterator[Furnish]:
    """A function that sets the house up anew: furnish(matter, anonymous_per_day=3, …).

    Called once without arguments before each test: no limits, a SteadyMatter.
    """

    def set_up(matter: Matter | None = None, **changes: Any) -> Service:
        plain = Settings(data_dir=tmp_path, anonymous_per_minute=-1, anonymous_per_day=-1)
        settings.OPENREMBG = replace(plain, **changes)
        backend = LocalBackend(lambda: matter or SteadyMatter())
        backend.wait()
        house = replace(build(settings.OPENREMBG), backend=backend)
        install(house)
        return house

    set_up()
    # A request leaves its language behind in the thread that answered it, which is this one.
    translation.activate("en")
    yield set_up
    install(None)
    # Nor may the command line's tests, in the same process, speak the last page's language.
    translation.activate("en")


@pytest.fixture
def client() -> Client:
    """A client that gets a 500 as an answer, as the world does."""
    return Client(raise_request_exception=False)
