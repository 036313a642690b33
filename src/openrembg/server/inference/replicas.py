"""What the replicas are that a Ray cluster runs: their model, their size, how many.

ValueError
└── UnknownArgument     build() was given something that nobody reads
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from openrembg.matting.weights import DEFAULT_MODEL

APPLICATION: Final = "openrembg"
DEPLOYMENT: Final = "matte"


class UnknownArgument(ValueError):
    """An argument that replicas do not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """The arguments of the application; a RayService gives them by these names.

    models_dir: where the model lies on the replicas' hosts; None where one looks by default.
    cpus: of each replica; whole ones are the threads that it computes with. calls: how many
    pictures a replica takes at once. queue: how many more each server's bridge holds.
    timeout_s: how long a replica that is to end may finish its pictures.
    """

    model: str = DEFAULT_MODEL
    models_dir: str | None = None
    provider: Literal["auto", "openvino", "onnxruntime", "cuda"] = "auto"
    precision: Literal["auto", "f32", "bf16"] = "auto"
    min_replicas: int = 1
    max_replicas: int = 4
    cpus: float = 1
    gpus: float = 0
    calls: int = 2
    queue: int = 64
    timeout_s: float = 30

    @property
    def threads(self) -> int:
        """How many threads one matte may use: the CPUs that Ray gives the replica."""
        return max(1, int(self.cpus))


def read_replicas(arguments: Mapping[str, Any]) -> Replicas:
    """Return the replicas that a mapping describes. Raises UnknownArgument."""
    known = {field.name for field in dataclasses.fields(Replicas)}
    if unknown := sorted(set(arguments) - known):
        raise UnknownArgument(f"Replicas have no {', '.join(unknown)}; they have {sorted(known)}.")
    return Replicas(**arguments)
