"""How good a matte is beside its mask, and the means over photos."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data import Alpha, resize
from training.inference import Floats, resize_matte

Mask = NDArray[np.bool_]

BETA2: Final = 0.3
EDGE_PX: Final = 5
SMALL_PX: Final = 320


@dataclass(frozen=True, slots=True)
class Score:
    """What one photo contributes. precision and recall: float[255], one a threshold."""

    source: str
    mae: float
    iou: float
    edges: "Edges"
    detected: bool
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Edges:
    """IoU within 5 px of the mask's boundary: squeezed to 320 px, and at the mask's own size."""

    at_320: float
    native: float


def score(source: str, alpha: Floats, truth: Alpha, detected: bool) -> Score:
    """Compare a network's alpha, float32[side, side], with a mask at the mask's own size."""
    matte = resize_matte(alpha, truth.shape[1], truth.shape[0])
    target = truth > 127
    precision, recall = _curve(matte, target)
    return Score(
        source=source,
        mae=mean_error(matte, truth),
        iou=_iou(matte > 0.5, target),
        edges=edges(alpha, truth),
        detected=detected,
        precision=precision,
        recall=recall,
    )


def mean_error(matte: Floats, truth: Alpha) -> float:
    """Return the mean absolute difference of a matte and a mask of one size."""
    return float(np.abs(matte - truth / np.float32(255)).mean())


def edges(alpha: Floats, truth: Alpha) -> Edges:
    """Return how well a network's alpha, float32[side, side], follows the mask's boundary."""
    small = resize(truth, (SMALL_PX, SMALL_PX))
    return Edges(edge_iou(alpha, small), edge_iou(alpha, truth))


def edge_iou(alpha: Floats, truth: Alpha) -> float:
    """Return the IoU within 5 px of the mask's boundary, at the mask's size."""
    found = resize_matte(alpha, truth.shape[1], truth.shape[0]) > 0.5
    band = edge_band(truth)
    return _iou(found[band], truth[band] > 127)


def edge_band(truth: Alpha) -> Mask:
    """Return where the mask's boundary is at most 5 px away, bool[h, w]."""
    solid = (truth > 127).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * EDGE_PX + 1, 2 * EDGE_PX + 1))
    return np.asarray(cv2.dilate(solid, kernel) != cv2.erode(solid, kernel), np.bool_)


def _iou(found: Mask, target: Mask) -> float:
    union = int((found | target).sum())
    return int((found & target).sum()) / union if union else 1.0


def _curve(matte: Floats, target: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    levels = (matte * 255 + 0.5).astype(np.uint8)
    hits = np.bincount(levels[target], minlength=256)[::-1].cumsum()[::-1][1:]
    found = np.bincount(levels.ravel(), minlength=256)[::-1].cumsum()[::-1][1:]
    return hits / np.maximum(found, 1), hits / max(int(target.sum()), 1)


def summary(scores: list[Score]) -> dict[str, float] | None:
    """Return the means over photos; None when there are none."""
    if not scores:
        return None
    precision = np.mean([score.precision for score in scores], axis=0)
    recall = np.mean([score.recall for score in scores], axis=0)
    f = (1 + BETA2) * precision * recall / np.maximum(BETA2 * precision + recall, 1e-9)
    return {
        "n": len(scores),
        "mae": mean(score.mae for score in scores),
        "iou": mean(score.iou for score in scores),
        "edge_iou": mean(score.edges.native for score in scores),
        "max_f": round(float(f.max()), 4),
        "missed": mean(not score.detected for score in scores),
    }


def mean(values: Iterable[float], digits: int = 4) -> float:
    """Return the mean of some numbers, rounded."""
    return round(float(np.mean(list(values))), digits)


def by_source(scores: list[Score]) -> dict[str, list[Score]]:
    """Return the scores of each source, in the order of their names."""
    groups: dict[str, list[Score]] = defaultdict(list)
    for one in scores:
        groups[one.source].append(one)
    return dict(sorted(groups.items()))
