"""Measure a network on the held-out slice.

    python -m training.evaluate ../shared/weights/openrembg-v0.onnx --data ../shared/data

prints one JSON object. mae is taken at the masks' own size (cubic upsampling, as it ships), iou at
alpha 0.5 and averaged over photos, max_f is the F-measure (beta² 0.3) at its best threshold of the
precision and recall averaged over photos. false_alarms: of the held-out photos of rooms and scenes,
the share with more than 1, 5 or 20 % foreground. empty_share: the foreground of plain pictures.
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from training.data import Alpha, Archive, Item, Photo, plain, read_archive, to_network

Floats = NDArray[np.float32]
# float32[3, side, side] in 0..1 to alpha float32[side, side]
Network = Callable[[Floats], Floats]

BETA2: Final = 0.3
FALSE_ALARM_SHARES: Final = (0.01, 0.05, 0.20)
EDGE_PX: Final = 5
PLAIN_PICTURES: Final = 60


@dataclass(frozen=True, slots=True)
class Score:
    """What one photo contributes. precision and recall: float[255], one a threshold."""

    source: str
    mae: float
    iou: float
    edge_iou: float
    detected: bool
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def evaluate(network: Network, side: int, archive: Archive) -> dict[str, object]:
    """Return all numbers of a network on the held-out slice, ready for JSON."""
    scores = [score(network, side, item) for item in archive.held_out]
    return {
        **summary(scores),
        "sources": {name: summary(of) for name, of in _by_source(scores).items()},
        "false_alarms": false_alarms(network, side, archive.held_out_photos),
        "empty_share": empty_share(network, side),
    }


def score(network: Network, side: int, item: Item) -> Score:
    """Compare one matte with the mask at the mask's own size."""
    photo, truth = item.pair()
    alpha = matte_at(network, side, photo)
    target = truth > 127
    precision, recall = _curve(alpha, target)
    band = edge_band(truth)
    return Score(
        source=item.source,
        mae=float(np.abs(alpha - truth / np.float32(255)).mean()),
        iou=_iou(alpha > 0.5, target),
        edge_iou=_iou((alpha > 0.5)[band], target[band]),
        detected=bool((alpha > 0.5).mean() >= 0.001),
        precision=precision,
        recall=recall,
    )


def matte_at(network: Network, side: int, photo: Photo) -> Floats:
    """Return the matte at the photo's size, float32[h, w] in 0..1."""
    alpha = network(to_network(photo, side))
    size = photo.shape[1], photo.shape[0]
    large = cv2.resize(alpha, size, interpolation=cv2.INTER_CUBIC)
    return np.asarray(large.clip(0, 1), np.float32)


def edge_band(truth: Alpha) -> NDArray[np.bool_]:
    """Return where the mask's boundary is at most 5 px away, bool[h, w]."""
    solid = (truth > 127).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * EDGE_PX + 1, 2 * EDGE_PX + 1))
    return np.asarray(cv2.dilate(solid, kernel) != cv2.erode(solid, kernel), np.bool_)


def _iou(found: NDArray[np.bool_], target: NDArray[np.bool_]) -> float:
    union = int((found | target).sum())
    return int((found & target).sum()) / union if union else 1.0


def _curve(
    alpha: Floats, target: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    levels = (alpha * 255 + 0.5).astype(np.uint8)
    hits = np.bincount(levels[target], minlength=256)[::-1].cumsum()[::-1][1:]
    found = np.bincount(levels.ravel(), minlength=256)[::-1].cumsum()[::-1][1:]
    return hits / np.maximum(found, 1), hits / max(int(target.sum()), 1)


def summary(scores: list[Score]) -> dict[str, float]:
    """Return the means over photos."""
    precision = np.mean([score.precision for score in scores], axis=0)
    recall = np.mean([score.recall for score in scores], axis=0)
    f = (1 + BETA2) * precision * recall / np.maximum(BETA2 * precision + recall, 1e-9)
    return {
        "n": len(scores),
        "mae": _mean(score.mae for score in scores),
        "iou": _mean(score.iou for score in scores),
        "edge_iou": _mean(score.edge_iou for score in scores),
        "max_f": round(float(f.max()), 4),
        "missed": _mean(not score.detected for score in scores),
    }


def _mean(values: Iterable[float]) -> float:
    return round(float(np.mean(list(values))), 4)


def _by_source(scores: list[Score]) -> dict[str, list[Score]]:
    groups: dict[str, list[Score]] = defaultdict(list)
    for one in scores:
        groups[one.source].append(one)
    return dict(sorted(groups.items()))


def false_alarms(
    network: Network, side: int, photos: tuple[Item, ...]
) -> dict[str, dict[str, float]]:
    """Return by source the share of photos of which more than 1, 5, 20 % is foreground."""
    shares: dict[str, list[float]] = defaultdict(list)
    for item in photos:
        alpha = network(to_network(item.rgb(), side))
        shares[item.source].append(float((alpha > 0.5).mean()))
    return {
        source: {f">{limit:.0%}": _mean(x > limit for x in of) for limit in FALSE_ALARM_SHARES}
        for source, of in sorted(shares.items())
    }


def empty_share(network: Network, side: int) -> float:
    """Return the mean share of foreground in plain pictures, which have none."""
    rng = random.Random(0)  # noqa: S311 (no secret)
    pictures = [plain(side, rng) for _ in range(PLAIN_PICTURES)]
    return _mean(float((network(to_network(x, side)) > 0.5).mean()) for x in pictures)


def onnx_network(path: Path, threads: int = 2) -> tuple[Network, int]:
    """Return a network that runs an ONNX file of ours on CPU, and its side in pixels."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (photo,) = session.get_inputs()

    def run(planes: Floats) -> Floats:
        return np.asarray(session.run(None, {photo.name: planes[None]})[0][0, 0], np.float32)

    return run, int(photo.shape[2])


def main() -> None:
    """Print the numbers of one ONNX file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("weights", type=Path, help="an ONNX file of ours")
    parser.add_argument("--data", type=Path, required=True, help="the folder with the zips")
    arguments = parser.parse_args()
    network, side = onnx_network(arguments.weights)
    print(json.dumps(evaluate(network, side, read_archive(arguments.data)), indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
