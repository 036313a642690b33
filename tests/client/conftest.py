"""Both clients, asked in one way; accounts; and an environment that says nothing."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openrembg.client import AsyncClient, Client
from services import Service

# The pictures and the reader with a key are there.
sys.path.append(str(Path(__file__).parents[1] / "wire"))

# asks("remove_background", photo, …, key="…", base_url="…") runs one call of a client of its own.
Ask = Callable[..., Any]
OF_THE_CLIENT = ("base_url", "timeout_s", "retries", "headers")


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """One call of either client: ask("usage", key=…, base_url=…)."""

    def run(name: str, *arguments: Any, key: str | None = None, **named: Any) -> Any:
        settings = {word: named.pop(word) for word in OF_THE_CLIENT if word in named}
        if request.param == "sync":
            with Client(key, **settings) as client:
                return getattr(client, name)(*arguments, **named)

        async def called() -> Any:
            async with AsyncClient(key, **settings) as client:
                return await getattr(client, name)(*arguments, **named)

        return asyncio.run(called())

    return run


@pytest.fixture(scope="session")
def key(server: Service) -> str:
    """The key of an account with many credits."""
    from manual_reader import key_on

    return key_on(server)


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("REMBG_", "OPENREMBG_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def descriptors() -> Callable[[], list[str]]:
    """What this process has open now, but for what the tests' servers have."""

    def opened() -> list[str]:
        found = []
        for link in Path("/proc/self/fd").iterdir():
            try:
                found.append(str(link.readlink()))
            except FileNotFoundError:
                continue
        return sorted(name for name in found if not name.startswith("/dev"))

    return opened
