"""What this server answers with: a model of its own, or a Ray cluster's."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Final, Protocol

from openrembg.matting.matter import Matter
from openrembg.matting.parallel import available_cores
from openrembg.matting.runtime import load_matter
from openrembg.matting.weights import find_weights
from openrembg.server.inference.local import LocalBackend
from openrembg.server.inference.state import State
from openrembg.server.processes.interpreter import python
from openrembg.server.settings import Settings

# What Ray and what it starts may know of this server's environment; secrets of ours are not in it.
_FOR_RAY: Final = frozenset(
    "PATH HOME USER LANG TZ TMPDIR LD_LIBRARY_PATH VIRTUAL_ENV".split()  # noqa: SIM905
)
_FOR_RAY_BEGINNINGS: Final = (
    *("LC_", "PYTHON", "RAY_", "CUDA", "NVIDIA_", "NCCL_", "OMP_", "OPENBLAS", "MALLOC_", "SSL_"),
)


class Backend(Protocol):
    """Becomes able to make mattes in the background, and says how far it is."""

    def start(self) -> None:
        """Begin, unless that has happened already."""

    def wait(self, timeout_s: float | None = None) -> State:
        """Return the state when it is known whether mattes can be made, or time is up."""

    def state(self) -> State:
        """Return how it stands now."""

    def matter(self, before_waiting: Callable[[], None] | None = None) -> Matter:
        """Return what makes one picture's matte. Raises NotReady while there is none.

        before_waiting: what to do first if it is worth waiting for one.
        """

    def stop(self) -> None:
        """End what was started, when all pictures are answered."""


def backend_for(settings: Settings) -> Backend:
    """Return the backend that the settings ask for, not started yet."""
    return _remote(settings) if settings.inference == "ray" else _local(settings)


def _local(settings: Settings) -> Backend:
    def load() -> Matter:
        weights = find_weights(settings.model, settings.models_folder)
        return load_matter(
            weights,
            provider=settings.provider,
            precision=settings.precision,
            threads=settings.threads,
        )

    return LocalBackend(load)


def _remote(settings: Settings) -> Backend:
    # Not before: a server with a model of its own needs none of this.
    from openrembg.server.inference.remote import RemoteBackend

    return RemoteBackend(
        lambda descriptor: bridge_command(settings, descriptor),
        environment_for_ray(os.environ),
        settings.ray_timeout_s,
    )


def bridge_command(settings: Settings, descriptor: int) -> list[str]:
    """Return the command of a bridge. descriptor: of its socket, -1 for one that only deploys."""
    terms = {
        "socket": descriptor,
        "parent": os.getpid(),
        "address": settings.ray_address or "",
        "cpus": available_cores(),
        "deploys": settings.ray_deploy == "on",
        "timeout_s": settings.ray_timeout_s,
        "replicas": asdict(settings.replicas),
        "log_format": settings.log_format,
        "log_level": settings.log_level,
    }
    return python("openrembg.server.inference.bridge_process", json.dumps(terms))


def environment_for_ray(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what Ray's processes may see of an environment: nothing that is not named here."""
    return {
        name: value
        for name, value in environ.items()
        if name in _FOR_RAY or name.startswith(_FOR_RAY_BEGINNINGS)
    }
