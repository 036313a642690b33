"""A Ray cluster whose nodes are hosts of their own: network namespaces around a switch.

Each host has its own loopback, its own ports and one cable, which a test can pull. Whatever runs on
a host is found through its namespace and ended by its process id, and nothing of it is left behind.
Making a namespace takes root (CAP_NET_ADMIN and CAP_SYS_ADMIN), and iproute2's program `ip`.
"""

import itertools
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from houses import wait_until
from services import NotStarted, clean_environment, program

START_S: Final = 120.0
GCS_PORT: Final = 6379
# A dead host is missed after some five seconds, one without a cable after twenty; Ray's own numbers
# let it take a minute. Any quicker, and a node of a busy machine counts as dead.
QUICK_TO_MISS: Final = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "5",
}
serial = itertools.count(1)


class NoNamespaces(Exception):
    """The system lets nobody here make a network namespace; the message is what `ip` said."""


@dataclass(frozen=True, slots=True)
class Host:
    """One machine. namespace: empty for the one that the tests themselves run on.

    port: the end of its cable in the switch.
    """

    namespace: str
    address: str
    switch: str
    port: str

    @property
    def within(self) -> Sequence[str]:
        """The words of a program that runs others on this host."""
        return ("ip", "netns", "exec", self.namespace) if self.namespace else ()

    def pull_cable(self) -> None:
        """Let nothing arrive any more, nor leave; nobody is told."""
        _ip("-n", self.switch, "link", "set", self.port, "down")

    def plug_cable(self) -> None:
        """Let everything through again."""
        _ip("-n", self.switch, "link", "set", self.port, "up")

    def pids(self) -> list[int]:
        """Return the ids of all processes that run on this host."""
        assert self.namespace, "everything else runs here too"
        return [int(pid) for pid in _ip("netns", "pids", self.namespace).split()]

    def kill(self) -> None:
        """End everything on this host at once, as when its power fails."""

        def is_empty() -> bool:
            for pid in (pids := self.pids()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not pids

        wait_until(is_empty)


@dataclass(slots=True)
class Network:
    """A switch, and hosts around it in a /24 that nobody here has a route to."""

    switch: str
    prefix: str
    hosts: list[Host] = field(default_factory=list)
    ends: ExitStack = field(default_factory=ExitStack)

    def host(self, *, here: bool = False) -> Host:
        """Connect a new host, or with `here` the machine that the tests run on."""
        number = len(self.hosts) + 1
        name = "" if here else f"{self.switch}h{number}"
        cable, port = f"{self.switch}c{number}", f"p{number}"
        host = Host(name, f"{self.prefix}.{number}", self.switch, port)
        self.hosts.append(host)
        if name:
            _ip("netns", "add", name)
            self.ends.callback(_ip, "netns", "delete", name)
            self.ends.callback(host.kill)
        own = ("-n", name) if name else ()
        _ip("link", "add", cable, "type", "veth", "peer", "name", port, "netns", self.switch)
        _ip("-n", self.switch, "link", "set", port, "master", "switch", "up")
        if name:
            _ip("link", "set", cable, "netns", name)
            _ip(*own, "link", "set", "lo", "up")
        _ip(*own, "address", "add", f"{host.address}/24", "dev", cable)
        _ip(*own, "link", "set", cable, "up")
        return host


@contextmanager
def network() -> Iterator[Network]:
    """Make a switch of this process's own; it ends with its hosts and all that runs on them.

    Raises NoNamespaces.
    """
    program("ip")
    switch = f"o{os.getpid() % 1_000_000}s{next(serial)}"
    made = Network(switch, _free_prefix())
    with made.ends as ends:
        _ip("netns", "add", switch)
        # The cables end with it.
        ends.callback(_ip, "netns", "delete", switch)
        _ip("-n", switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", switch, "link", "set", "switch", "up")
        yield made


def _free_prefix() -> str:
    """Return the first three numbers of a /24 that only the default route leads to."""
    taken = _ip("-4", "address", "show") + _ip("-4", "route", "show")
    while True:
        prefix = f"10.{secrets.randbelow(56) + 200}.{secrets.randbelow(256)}"
        if f"{prefix}." not in taken:
            return prefix


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode and "Operation not permitted" in done.stderr:
        raise NoNamespaces(f"Making network namespaces takes root; ip says: {done.stderr}")
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done.stdout


@dataclass(slots=True)
class Cluster:
    """A head without a CPU for replicas, and workers beside it; none runs until it is begun.

    environment: what a server needs to be let in.
    """

    network: Network
    head: Host
    folder: Path
    environment: dict[str, str]
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where the head answers: what OPENREMBG_RAY_ADDRESS wants."""
        return f"{self.head.address}:{GCS_PORT}"

    def begin_head(self) -> None:
        """Start the head and wait until others may join."""
        words = ["--head", f"--port={GCS_PORT}", "--num-cpus=0", "--include-dashboard=false"]
        _wait_for_node(*self._start(self.head, *words))

    def begin_workers(self, *hosts: Host, cpus: int = 1) -> None:
        """Let hosts with so many CPUs each join the cluster, and wait until they have."""
        words = (f"--address={self.address}", f"--num-cpus={cpus}")
        for started in [self._start(host, *words) for host in hosts]:
            _wait_for_node(*started)

    def new_workers(self, count: int) -> list[Host]:
        """Connect new hosts and let them join."""
        hosts = [self.network.host() for _ in range(count)]
        self.begin_workers(*hosts)
        return hosts

    def _start(self, host: Host, *words: str) -> "tuple[subprocess.Popen[bytes], Path]":
        own = self.folder / str(len(self.processes))
        own.mkdir()
        command = [*host.within, sys.executable, "-m", "ray.scripts.scripts", "start", *words]
        command += [f"--node-ip-address={host.address}", f"--temp-dir={own}", "--block"]
        command += ["--num-gpus=0", "--object-store-memory=100000000", "--disable-usage-stats"]
        log = own / "log.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=own,
                env={**clean_environment(), **QUICK_TO_MISS, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process, log


def _wait_for_node(process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_S
    while "Ray runtime started" not in log.read_text("utf-8", errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotStarted(f"A node of Ray did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.1)


@contextmanager
def ray_cluster() -> Iterator[Cluster]:
    """Prepare a cluster of which nothing runs yet, beside this machine, which is the first host."""
    # Not under pytest's own folder: the names of Unix sockets are short.
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    # Nobody else here may run code on it, nor does it look into anybody's home for a token.
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        processes: list[subprocess.Popen[bytes]] = []
        stack.callback(lambda: [process.wait() for process in processes])
        around = stack.enter_context(network())
        around.host(here=True)
        yield Cluster(around, around.host(), folder, token, processes)
