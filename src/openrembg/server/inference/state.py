"""How loading a model stands, for those too that load none themselves."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class State:
    """What /ready says. reason: why it failed. The three before it are empty until it is ready."""

    status: Literal["loading", "ready", "failed"]
    model: str = ""
    provider: str = ""
    precision: str = ""
    reason: str = ""
