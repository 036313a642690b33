"""A server of our own, without limits, and a member on it with more credits than can be used."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Final

from posting import Target

from services import NO_LIMITS, Service, openrembg_admin, openrembg_server

CREDITS: Final = 100_000_000
EMAIL: Final = "fuzz@example.com"
# A process that is killed lets go of its connections a moment before it is gone.
DYING_S: Final = 1.0


@dataclass(slots=True)
class OwnServer:
    """The process, and how the member asks it; `start_again` puts another in its place."""

    service: Service
    target: Target
    folder: Path
    stack: ExitStack

    def verify_ledger(self) -> None:
        """Raise AssertionError when the ledger and its counters differ."""
        openrembg_admin({"OPENREMBG_DATA_DIR": str(self.folder / "data")}, "verify-ledger")

    def has_died(self, *, after_silence: bool) -> bool:
        """Tell whether the process is gone. after_silence: it owes an answer, so look twice."""
        with suppress(TimeoutExpired):
            self.service.process.wait(DYING_S if after_silence else 0)
        return self.service.process.returncode is not None

    def start_again(self) -> None:
        """Start a server with the same data on the same port. Raises NotStarted."""
        port = self.service.port
        self.stack.close()
        server = openrembg_server(self.folder, NO_LIMITS, may_die=True, port=port)
        self.service = self.stack.enter_context(server)


@contextmanager
def own_server(folder: Path, *, may_die: bool = False) -> Iterator[OwnServer]:
    """Run the server with its data in a folder. may_die: to die is what is looked for."""
    with ExitStack() as stack:
        service = stack.enter_context(openrembg_server(folder, NO_LIMITS, may_die=may_die))
        key = _member(folder / "data")
        yield OwnServer(service, Target(service.url, key), folder, stack)


def _member(data_dir: Path) -> str:
    environment = {"OPENREMBG_DATA_DIR": str(data_dir)}
    openrembg_admin(environment, "plan", EMAIL, "--credits", str(CREDITS), "--per-minute", "-1")
    openrembg_admin(environment, "create-user", EMAIL, "--verified", "--plan", EMAIL)
    return openrembg_admin(environment, "create-key", EMAIL)
