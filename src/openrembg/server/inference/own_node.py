"""The raylet that a host needs whose server is to use a Ray cluster, and has none.

It offers the cluster nothing: no CPU, no GPU, so that no replica is placed beside the server. Of
several bridges on a host one starts it, and it ends with that one.
"""

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from openrembg.server.inference.session_folder import SessionFolder
from openrembg.server.processes.interpreter import python

# Pictures on their way; what has no room is spilled to disk by Ray.
OBJECT_STORE_BYTES: Final = 256 << 20
STOP_S: Final = 6.0


def address_towards(address: str) -> str:
    """Return this host's own address as the cluster at host:port sees it. Raises OSError."""
    host, _, port = address.rpartition(":")
    where = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
    with socket.socket(where[0], socket.SOCK_DGRAM) as probe:
        probe.connect(where[4])  # sends nothing: it asks the routes
        return str(probe.getsockname()[0])


class OwnNode:
    """A raylet of this process's own, if it is the one on this host that may have it."""

    def __init__(self, address: str, own_ip: str) -> None:
        self._address = address
        self._own_ip = own_ip
        self._lock = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: SessionFolder | None = None

    def start(self) -> bool:
        """Start the raylet unless another process of this host has one; return whether it runs."""
        if self._process is not None:
            return self._process.poll() is None
        if not self._is_ours():
            return True
        self._folder = SessionFolder()
        command = [
            *("start", f"--address={self._address}", f"--node-ip-address={self._own_ip}"),
            *("--num-cpus=0", "--num-gpus=0", f"--object-store-memory={OBJECT_STORE_BYTES}"),
            *("--disable-usage-stats", "--block", f"--temp-dir={self._folder.path}"),
        ]
        self._process = subprocess.Popen(
            [
                *python("openrembg.server.inference.parent", str(os.getpid())),
                *(sys.executable, "-P", "-m", "ray.scripts.scripts", *command),
            ],
            stdin=subprocess.DEVNULL,
            # It says where to find the dashboard; what goes wrong is in Ray's own logs.
            stdout=subprocess.DEVNULL,
        )
        return True

    def stop(self) -> None:
        """End the raylet, if it is ours."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        if self._folder is not None:
            self._folder.remove()

    def _is_ours(self) -> bool:
        """Take the host's lock; the kernel lets go of it when this process ends."""
        name = "".join(
            char if char.isalnum() else "-" for char in f"{self._own_ip}-{self._address}"
        )
        path = Path(tempfile.gettempdir()) / f"openrembg-ray-{os.getuid()}-{name}.lock"
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            return False
        return True
