"""Networks from what a run or an export left."""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from training.model import Segmenter, load_v0
from training.refiner import Refiner


def load_segmenter(path: Path) -> Segmenter:
    """Return the segmenter of a checkpoint or of an ONNX file of ours; of v0 what it shares.

    Raises ValueError when the file holds another network.
    """
    segmenter = Segmenter()
    if path.suffix != ".onnx":
        segmenter.load_state_dict(_averaged(path))
        return segmenter
    stored = _part(path, "segmenter", "encoder.stem.weight")
    if "surroundings.enter.weight" not in stored:
        return load_v0(path)
    _load(segmenter, stored, path)
    return segmenter


def load_refiner(path: Path) -> Refiner:
    """Return the refiner of a checkpoint or of an ONNX file of ours.

    Raises ValueError when the file has none.
    """
    refiner = Refiner()
    if path.suffix == ".onnx":
        _load(refiner, _part(path, "refiner", "enter.weight"), path)
    else:
        refiner.load_state_dict(_averaged(path))
    return refiner


def _averaged(path: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["average"]
    return state


def _part(path: Path, name: str, first: str) -> dict[str, Tensor]:
    """Return the weights of a module in an ONNX file, by the names they have in that module."""
    weights = {one.name: one for one in onnx.load(path).graph.initializer}
    prefix = next(
        (full[: -len(first)] for full in weights if full.endswith(f"{name}.{first}")), "?"
    )
    return {
        full.removeprefix(prefix): torch.from_numpy(np.array(numpy_helper.to_array(one)))
        for full, one in weights.items()
        if full.startswith(prefix)
    }


def _load(module: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load all but the auxiliary heads, which are not exported."""
    try:
        missing, unknown = module.load_state_dict(state, strict=False)
    except RuntimeError as error:  # a shape is another
        raise ValueError(f"{path} holds another network: {error}") from error
    missing = [name for name in missing if not name.startswith("auxiliaries.")]
    if missing or unknown:
        raise ValueError(f"{path} holds another network: {', '.join([*missing, *unknown])}")
