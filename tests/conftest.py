"""Real services that more than one test talks to; each is started when it is first asked for."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services import NO_LIMITS, Service, StartServer, openrembg_server, redis_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Our server without limits."""
    with openrembg_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """A function that starts a server of the test's own: start_server(NAME="value", …)."""
    with ExitStack() as stack:
        count = 0

        def start(**environment: str) -> Service:
            nonlocal count
            count += 1
            folder = tmp_path / f"server-{count}"
            return stack.enter_context(openrembg_server(folder, {**NO_LIMITS, **environment}))

        yield start


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Service]:
    """A Redis of the test's own, which the test may kill."""
    with redis_server(tmp_path / "redis") as running:
        yield running
