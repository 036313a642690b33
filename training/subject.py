"""Says whether a photo has a clear subject, from what the first network has seen.

    python -m training.subject --segmenter .cache/training/v2/best.pt \\
        --to .cache/training/v2/subject.pt --data ../shared/data

Its negatives are photos of rooms and streets, and plain pictures; its positives are labelled photos
and composites. The threshold is set on samples of its own, so that hardly any subject is missed: a
wrong "nothing found" gives an empty picture, a wrong "found" only a poor one.
"""

import argparse
import json
import random
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.checkpoint import load_segmenter
from training.data import (
    Archive,
    Mixture,
    Photo,
    SampleMaker,
    plain,
    read_archive,
    to_network,
    warp,
)
from training.model import SIDE, STAGES, Segmenter

HIDDEN: Final = 32
BATCH: Final = 16
CHUNK: Final = 64  # photos held at once
POSITIVES: Final = 7000
NEGATIVES: Final = 4500
PLAIN_SHARE: Final = 0.15
CHECKS: Final = 0.2
MISSED: Final = 0.002
STEPS: Final = 1500


class SubjectHead(nn.Module):
    """Two layers on pooled features."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(2 * STAGES[-1][1] + 3, HIDDEN, 1)
        self.out = nn.Conv2d(HIDDEN, 1, 1)

    def forward(self, feature: Tensor, logits: Tensor) -> Tensor:
        """Return the logit of a clear subject, float[n, 1].

        feature: the encoder's deepest, float[n, 320, h / 32, w / 32]. logits: the matte's,
        float[n, 1, h, w].
        """
        return self.judge(pooled(feature, logits))

    def judge(self, pooled: Tensor) -> Tensor:
        """Return the logit from what `pooled` returns, float[n, 1]."""
        logit: Tensor = self.out(functional.relu(self.hidden(pooled)))
        return logit.flatten(1)


def pooled(feature: Tensor, logits: Tensor) -> Tensor:
    """Return float[n, 643, 1, 1]: what is in the photo, in its foreground, and how sure that is."""
    alpha = torch.sigmoid(logits)
    cells = functional.avg_pool2d(alpha, logits.shape[-1] // feature.shape[-1])
    everywhere = feature.mean((2, 3), keepdim=True)
    inside = (feature * cells).mean((2, 3), keepdim=True)
    share = alpha.mean((2, 3), keepdim=True)
    unsure = (4 * alpha * (1 - alpha)).mean((2, 3), keepdim=True)
    top = cells.amax((2, 3), keepdim=True)
    return torch.cat([everywhere, inside / (share + 0.01), share, unsure, top], 1)


@torch.no_grad()
def look(segmenter: Segmenter, photos: list[Photo]) -> Tensor:
    """Return what the head sees of photos uint8[320, 320, 3], float[n, 643, 1, 1]."""
    found = []
    for at in range(0, len(photos), BATCH):
        planes = np.stack([to_network(photo, SIDE) for photo in photos[at : at + BATCH]])
        batch = torch.from_numpy(planes).contiguous(memory_format=torch.channels_last)
        features = segmenter.encode(batch)
        found.append(pooled(features[-1], segmenter.matte(features)))
    return torch.cat(found)


def gather(segmenter: Segmenter, archive: Archive, share: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return what the head sees of samples with a subject, and of samples without one."""
    rng = random.Random(7)  # noqa: S311 (no secret)
    maker = SampleMaker(archive, SIDE, Mixture(0.25, 0.12, 0.05, 0.85))
    positives = [
        look(segmenter, _positives(maker, rng)) for _ in range(int(POSITIVES * share) // CHUNK)
    ]
    negatives = [
        look(segmenter, _negatives(archive, rng)) for _ in range(int(NEGATIVES * share) // CHUNK)
    ]
    return torch.cat(positives), torch.cat(negatives)


def _positives(maker: SampleMaker, rng: random.Random) -> list[Photo]:
    photos: list[Photo] = []
    while len(photos) < CHUNK:
        photo, alpha = maker.make(rng)
        if (alpha > 127).mean() > 0.01:
            photos.append(photo)
    return photos


def _negatives(archive: Archive, rng: random.Random) -> list[Photo]:
    photos: list[Photo] = []
    while len(photos) < CHUNK:
        if rng.random() < PLAIN_SHARE:
            photos.append(plain(SIDE, rng))
            continue
        photo = rng.choice(archive.backgrounds).rgb()
        photos.append(warp(photo, np.zeros(photo.shape[:2], np.uint8), SIDE, rng, 0.7)[0])
    return photos


def split(part: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the head is fitted to, and what its threshold and its numbers come from."""
    kept = int(len(part) * (1 - CHECKS))
    return part[:kept], part[kept:]


def fit(positives: Tensor, negatives: Tensor) -> SubjectHead:
    """Return a head for these samples whose logit is 0 where it misses few of the positives."""
    torch.manual_seed(7)
    (found, checked), (nothing, _) = split(positives), split(negatives)
    train = torch.cat([found, nothing])
    truth = torch.cat([torch.ones(len(found), 1), torch.zeros(len(nothing), 1)])
    head = SubjectHead()
    mean, deviation = train.mean(0, keepdim=True), train.std(0, keepdim=True) + 1e-3
    optimizer = torch.optim.AdamW(head.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        rows = torch.randint(len(train), (256,))
        logits = head.judge((train[rows] - mean) / deviation)
        loss = functional.binary_cross_entropy_with_logits(logits, truth[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
        schedule.step()
    state = head.state_dict()
    # The scaling goes into the weights, and the threshold into the bias.
    state["hidden.weight"] /= deviation
    state["hidden.bias"] -= (state["hidden.weight"] * mean).sum((1, 2, 3))
    with torch.no_grad():
        state["out.bias"] -= torch.quantile(head.judge(checked), MISSED)
    return head


def main() -> None:
    """Fit a head for one segmenter and print how it does on samples that it was not fitted to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--segmenter", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="the folder with the zips")
    parser.add_argument("--share", type=float, default=1.0, help="of the samples; less is quicker")
    arguments = parser.parse_args()
    segmenter = load_segmenter(arguments.segmenter).eval().requires_grad_(False)
    positives, negatives = gather(segmenter, read_archive(arguments.data), arguments.share)
    head = fit(positives, negatives)
    torch.save(head.state_dict(), arguments.to)
    with torch.no_grad():
        found, alarms = (
            float((head.judge(split(part)[1]) >= 0).float().mean())
            for part in (positives, negatives)
        )
    print(json.dumps({"missed": round(1 - found, 4), "false_alarms": round(alarms, 4)}))  # noqa: T201


if __name__ == "__main__":
    main()
