"""What one call of `openrembg remove` shall do."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeGuard

from openrembg.cli.inputs import names_one_file

if TYPE_CHECKING:
    from openrembg.matting.options import Options

STREAM: Final = "-"


def names_result(output: str | None, arguments: Sequence[str]) -> TypeGuard[str]:
    """Say whether `output` is the name of the one result that `arguments` give, not a folder."""
    return (
        output is not None
        and output != STREAM
        and len(arguments) == 1
        and not output.endswith(os.sep)
        and not Path(output).is_dir()
        and names_one_file(arguments[0])
    )


@dataclass(frozen=True, slots=True)
class Remote:
    """The server that cuts out instead of this machine. timeout_s: for one photo."""

    url: str
    api_key: str | None = field(repr=False)
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Task:
    """The command line, checked."""

    arguments: tuple[str, ...]
    output: str | None
    options: "Options"
    recursive: bool
    jobs: int | None
    overwrite: bool
    quiet: bool
    model: str | None
    models_dir: Path
    provider: Literal["auto", "openvino", "onnxruntime", "cuda"]
    remote: Remote | None = None

    @property
    def streams(self) -> bool:
        """Whether a pipe is the input or the output, so that there is exactly one photo."""
        return STREAM in self.arguments or self.output == STREAM

    @property
    def into_file(self) -> bool:
        """Whether `output` names the one result, not a folder."""
        return names_result(self.output, self.arguments)

    @property
    def folder(self) -> Path | None:
        """The folder that results go to, None where each goes beside its source."""
        return None if self.output is None or self.into_file else Path(self.output)
