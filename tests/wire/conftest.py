"""A reader of the documentation, and the server that all examples of a file share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from manual_reader import Reader, furnished, key_on

from services import NO_LIMITS, Service, openrembg_server


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """A server that all examples share, and a key on it."""
    with openrembg_server(tmp_path_factory.mktemp("server"), NO_LIMITS) as server:
        yield server, key_on(server)


@pytest.fixture
def reader(account: tuple[Service, str], tmp_path: Path) -> Reader:
    """A reader with a folder of their own."""
    server, key = account
    return Reader(server, key, furnished(tmp_path / "reader"))
