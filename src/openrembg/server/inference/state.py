"""How loading a model stands, for those too that load none themselves."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class State:
    """What /ready says. reason: why it failed. The three before it are empty until it is ready.

    replicas: how many of a cluster's run, None where there is no cluster or that is not known.
    """

    status: Literal["loading", "ready", "failed"]
    model: str = ""
    provider: str = ""
    precision: str = ""
    reason: str = ""
    replicas: int | None = None
