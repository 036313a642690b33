"""Write checkpoints as the ONNX file that ships, and prove that it computes the same.

    python -m training.export --segmenter .cache/training/v2/best.pt \\
        --subject .cache/training/v2/subject.pt --to v2.onnx --data ../shared/data

prints one JSON object: the file's bytes and sha256, and the largest difference between torch and
onnxruntime. With --refiner the file takes and gives 960 px; without --subject it gives alpha alone.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from training.checkpoint import load_refiner, load_segmenter
from training.data import Archive, read_archive, to_network
from training.inference import Floats, onnx_network
from training.model import SIDE, Alone, Segmenter, firm
from training.refiner import SCALE, Pair, Refiner
from training.subject import SubjectHead

OPSET: Final = 17
MAX_BYTES: Final = 12_000_000
MAX_DIFFERENCE: Final = 1e-4
PARITY_PHOTOS: Final = 8


class Shipped(nn.Module):
    """What ships: alpha, and whether there is a subject; with a refiner, alpha of 960 px."""

    def __init__(
        self, segmenter: Segmenter, head: SubjectHead, refiner: Refiner | None = None
    ) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.head = head
        self.pair = Pair(segmenter, refiner) if refiner else None

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """Return alpha float[n, 1, h, w] in 0..1 and the subject's likelihood float[n, 1]."""
        small = self.pair.shrunk(photo) if self.pair else photo
        features = self.segmenter.encode(small)
        logits = self.segmenter.matte(features)
        sharp = self.pair.refiner(photo, logits) if self.pair else firm(logits)
        return torch.sigmoid(sharp), torch.sigmoid(self.head(features[-1], logits))


def export(module: Shipped | Alone, path: Path, side: int) -> None:
    """Write one file: input photo float32[1, 3, side, side], outputs alpha and, if any, subject.

    Raises ValueError when the file is over 12 MB.
    """
    names = ["alpha", "subject"] if isinstance(module, Shipped) else ["alpha"]
    torch.onnx.export(
        module.eval(),
        (torch.zeros(1, 3, side, side),),
        path,
        input_names=["photo"],
        output_names=names,
        opset_version=OPSET,
        dynamo=False,  # the other exporter needs onnxscript and cannot write opset 17
    )
    _state_size(path, side)
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, more than {MAX_BYTES}")


def _state_size(path: Path, side: int) -> None:
    """Write the size of alpha into the file; the exporter loses it at the pixel shuffle."""
    model = onnx.load(path)
    dimensions = model.graph.output[0].type.tensor_type.shape.dim
    for dimension, value in zip(dimensions, (1, 1, side, side), strict=True):
        dimension.dim_value = value
    onnx.save(model, path)


def parity(module: Shipped | Alone, path: Path, photos: list[Floats]) -> float:
    """Return the largest difference of alpha between torch and onnxruntime.

    photos: float32[3, side, side] each. Raises ValueError when it is over 1e-4.
    """
    network, _ = onnx_network(path)
    largest = 0.0
    for photo in photos:
        with torch.no_grad():
            answer = module.eval()(torch.from_numpy(photo[None]))
        alpha = answer[0] if isinstance(answer, tuple) else answer
        largest = max(largest, float(np.abs(alpha[0, 0].numpy() - network(photo)).max()))
    if largest > MAX_DIFFERENCE:
        raise ValueError(f"{path} differs from the checkpoint by {largest}")
    return largest


def load_shipped(segmenter: Path, head: Path, refiner: Path | None = None) -> Shipped:
    """Return the networks of these checkpoints, put together."""
    judge = SubjectHead()
    judge.load_state_dict(torch.load(head, map_location="cpu", weights_only=True))
    return Shipped(load_segmenter(segmenter), judge, load_refiner(refiner) if refiner else None)


def held_out_planes(archive: Archive, count: int, side: int) -> list[Floats]:
    """Return the first held-out photos as the network takes them."""
    return [to_network(item.rgb(), side) for item in archive.held_out[:count]]


def main() -> None:
    """Export one model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--segmenter", type=Path, required=True)
    parser.add_argument("--refiner", type=Path)
    parser.add_argument("--subject", type=Path)
    parser.add_argument("--to", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument("--data", type=Path, required=True, help="the folder with the zips")
    arguments = parser.parse_args()
    if arguments.refiner and not arguments.subject:
        parser.error("--refiner needs --subject")
    module: Shipped | Alone
    if arguments.subject:
        module = load_shipped(arguments.segmenter, arguments.subject, arguments.refiner)
    else:
        module = Alone(load_segmenter(arguments.segmenter))
    side = SIDE * SCALE if arguments.refiner else SIDE
    export(module, arguments.to, side)
    photos = held_out_planes(read_archive(arguments.data), PARITY_PHOTOS, side)
    written = arguments.to.read_bytes()
    facts = {
        "bytes": len(written),
        "sha256": hashlib.sha256(written).hexdigest(),
        "torch_difference": parity(module, arguments.to, photos),
    }
    print(json.dumps(facts, indent=1))  # noqa: T201 (this is a command's output)


if __name__ == "__main__":
    main()
