"""Write a checkpoint as the ONNX file that ships, and prove that it computes the same.

    python -m training.export .cache/training/v1/best.pt --to v1.onnx --data ../shared/data

prints one JSON object: the file's bytes and sha256, the largest difference between torch and
onnxruntime, and, where OpenVINO is installed, the mean difference of its bf16 from its f32.
"""

import argparse
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Final

import numpy as np
import torch

from training.data import Archive, read_archive, to_network
from training.evaluate import Floats, onnx_network
from training.model import Exported, Segmenter
from training.train import load_weights

OPSET: Final = 17
MAX_BYTES: Final = 12_000_000
MAX_DIFFERENCE: Final = 1e-4
PARITY_PHOTOS: Final = 8
PRECISION_PHOTOS: Final = 60


def export(segmenter: Segmenter, path: Path, side: int = 320) -> None:
    """Write one file: input photo float32[1, 3, side, side], output alpha of the same size.

    Raises ValueError when the file is over 12 MB.
    """
    torch.onnx.export(
        Exported(segmenter).eval(),
        (torch.zeros(1, 3, side, side),),
        path,
        input_names=["photo"],
        output_names=["alpha"],
        opset_version=OPSET,
        dynamo=False,  # the other exporter needs onnxscript and cannot write opset 17
    )
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, more than {MAX_BYTES}")


def parity(segmenter: Segmenter, path: Path, photos: list[Floats]) -> float:
    """Return the largest difference of alpha between torch and onnxruntime.

    photos: float32[3, side, side] each. Raises ValueError when it is over 1e-4.
    """
    network, _ = onnx_network(path)
    shipped = Exported(segmenter).eval()
    largest = 0.0
    for photo in photos:
        with torch.no_grad():
            alpha = shipped(torch.from_numpy(photo[None]))[0, 0].numpy()
        largest = max(largest, float(np.abs(alpha - network(photo)).max()))
    if largest > MAX_DIFFERENCE:
        raise ValueError(f"{path} differs from the checkpoint by {largest}")
    return largest


def precision_difference(path: Path, photos: list[Floats]) -> float | None:
    """Return the mean difference between bf16 and f32 in OpenVINO, None without OpenVINO."""
    if importlib.util.find_spec("openvino") is None:
        return None
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    f32, bf16 = (
        core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})
        for precision in ("f32", "bf16")
    )
    differences = [np.abs(f32(x[None])[0] - bf16(x[None])[0]).mean() for x in photos]
    return float(np.mean(differences))


def held_out_planes(archive: Archive, count: int, side: int) -> list[Floats]:
    """Return the first held-out photos as the network takes them."""
    return [to_network(item.rgb(), side) for item in archive.held_out[:count]]


def main() -> None:
    """Export one checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint, or an ONNX file of ours")
    parser.add_argument("--to", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument("--data", type=Path, required=True, help="the folder with the zips")
    parser.add_argument("--side", type=int, default=320)
    arguments = parser.parse_args()
    segmenter = load_weights(arguments.checkpoint)
    export(segmenter, arguments.to, arguments.side)
    photos = held_out_planes(read_archive(arguments.data), PRECISION_PHOTOS, arguments.side)
    written = arguments.to.read_bytes()
    facts = {
        "bytes": len(written),
        "sha256": hashlib.sha256(written).hexdigest(),
        "torch_difference": parity(segmenter, arguments.to, photos[:PARITY_PHOTOS]),
        "bf16_difference": precision_difference(arguments.to, photos),
    }
    print(json.dumps(facts, indent=1))  # noqa: T201 (this is a command's output)


if __name__ == "__main__":
    main()
