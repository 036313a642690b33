"""What training minimises: cross-entropy with weights, soft IoU, and a Laplacian pyramid."""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from training.model import firm
from training.refiner import band

EDGE_WINDOW: Final = 15
EDGE_GAIN: Final = 4.0
PYRAMID_LEVELS: Final = 3
AUXILIARY_WEIGHT: Final = 0.3
PYRAMID_WEIGHT: Final = 0.5
TRUST_WINDOW: Final = 33
REFINEMENT_PYRAMID_WEIGHT: Final = 1.0


def total_loss(answers: list[Tensor], truth: Tensor) -> Tensor:
    """Return the loss of the main answer and of the auxiliary ones, a scalar.

    answers: logits, the main ones first float[n, 1, h, w], then auxiliary ones of any size.
    truth: float[n, 1, h, w] in 0..1.
    """
    main = answers[0].float()
    loss = matte_loss(main, truth) + PYRAMID_WEIGHT * pyramid_loss(torch.sigmoid(main), truth)
    for answer in answers[1:]:
        small = functional.interpolate(truth, answer.shape[2:], mode="area")
        loss = loss + AUXILIARY_WEIGHT * matte_loss(answer.float(), small)
    return loss


def matte_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Return weighted cross-entropy plus soft IoU, a scalar; weight 1 + 4 |blur15(y) - y|.

    As in F3Net (Wei et al., https://arxiv.org/abs/1911.11445). Both are float[n, 1, h, w].
    """
    weight = 1 + EDGE_GAIN * (blur(truth, EDGE_WINDOW) - truth).abs()
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    entropy = (weight * entropy).sum((2, 3)) / weight.sum((2, 3))
    alpha = torch.sigmoid(logits)
    both = (weight * alpha * truth).sum((2, 3))
    either = (weight * (alpha + truth - alpha * truth)).sum((2, 3))
    # The 1 makes a photo without foreground count: its IoU is 1 where the answer is empty too.
    return (entropy + 1 - (both + 1) / (either + 1)).mean()


def refinement_loss(logits: Tensor, truth: Tensor, coarse: Tensor) -> Tensor:
    """Return the loss of a sharpened matte, a scalar, counted only where it may differ.

    Where the coarse matte misses the truth over a whole neighbourhood, the mistake is not one of
    edges, and the refiner, which sees little of the photo, should not try to learn it.

    logits, truth: float[n, 1, h, w]. coarse: the segmenter's logits, smaller.
    """
    alpha, size = torch.sigmoid(logits), truth.shape[2:]
    before = torch.sigmoid(firm(coarse))
    large, reach = (
        functional.interpolate(plane, size, mode="bilinear", align_corners=False)
        for plane in (before, band(before))
    )
    trust = (1 - 2 * (blur(large, TRUST_WINDOW) - blur(truth, TRUST_WINDOW)).abs()).clamp(min=0)
    weight = reach * trust
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    entropy = (weight * entropy).sum() / (weight.sum() + 1)
    share = weight.mean() + 1e-3
    pyramid = pyramid_loss(weight * alpha, weight * truth) / share
    return entropy + REFINEMENT_PYRAMID_WEIGHT * pyramid


def pyramid_loss(alpha: Tensor, truth: Tensor) -> Tensor:
    """Return the mean difference of the Laplacian pyramids, a scalar; coarser levels count more.

    As in Context-Aware Matting (Hou and Liu, https://arxiv.org/abs/1909.09725).
    """
    difference = alpha - truth  # the pyramid is linear: one of the difference is enough
    loss = difference.new_zeros(())
    for level in range(PYRAMID_LEVELS):
        coarse = functional.avg_pool2d(difference, 2)
        back = functional.interpolate(
            coarse, difference.shape[2:], mode="bilinear", align_corners=False
        )
        loss = loss + 2**level * (difference - back).abs().mean()
        difference = coarse
    return loss


def blur(matte: Tensor, window: int) -> Tensor:
    """Return the mean over a square window, in two passes; outside the matte nothing counts."""
    half = window // 2
    rows = functional.avg_pool2d(matte, (window, 1), 1, (half, 0), count_include_pad=False)
    return functional.avg_pool2d(rows, (1, window), 1, (0, half), count_include_pad=False)
