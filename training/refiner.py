"""The second network: sharpens the edges of the first one's matte at three times its size.

It sees the photo at 960 px, at stride 3, beside the matte of 320 px, and may change the matte only
in a band around its uncertain parts, so that interiors stay solid and backgrounds empty. Its last
convolution starts at zero: untrained, it returns the matte as it was, enlarged.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.model import Segmenter, firm

SCALE: Final = 3
FINE: Final = 16
COARSE: Final = 32
DEPTH: Final = 3
BAND_CELL: Final = 4  # of the matte's own pixels; the band reaches one to two cells
BAND_FLOOR: Final = 0.15


class Refiner(nn.Module):
    """Plain convolutions at strides 3 and 6, which suit matrix units."""

    linear: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, FINE, 5, stride=SCALE, padding=1)
        self.guide = nn.Conv2d(1, FINE, 1, bias=False)
        self.mix = nn.Conv2d(FINE, FINE, 3, padding=1)
        self.down = nn.Conv2d(FINE, COARSE, 3, stride=2, padding=1)
        self.deep = nn.ModuleList(nn.Conv2d(COARSE, COARSE, 3, padding=1) for _ in range(DEPTH))
        self.up = nn.Conv2d(COARSE, FINE, 1)
        self.out = nn.Conv2d(FINE, SCALE * SCALE, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]  # it has one
        self.register_buffer("linear", linear_enlargement(SCALE), persistent=False)

    def forward(self, photo: Tensor, logits: Tensor) -> Tensor:
        """Return sharper logits float[n, 1, 3h, 3w].

        photo: float[n, 3, 3h, 3w] in 0..1. logits: the matte's, float[n, 1, h, w]. h, w: multiples
        of 4.
        """
        logits = firm(logits)
        alpha = torch.sigmoid(logits)
        fine = functional.relu(self.enter(photo * 2.0 - 1.0) + self.guide(alpha * 2.0 - 1.0))
        fine = functional.relu(self.mix(fine))
        coarse = functional.relu(self.down(fine))
        for layer in self.deep:
            coarse = coarse + functional.relu(layer(coarse))
        fine = functional.relu(fine + _enlarge(self.up(coarse), 2))
        framed = functional.pad(logits, (1, 1, 1, 1), mode="replicate")
        large = functional.conv2d(framed, self.linear.to(framed.dtype))
        return functional.pixel_shuffle(large + self.out(fine) * band(alpha), SCALE)


def linear_enlargement(scale: int) -> Tensor:
    """Return float[scale², 1, 3, 3]: bilinear enlargement as a convolution before a pixel shuffle.

    Many times as fast as the runtimes' own resize of one channel, and the same numbers.
    """
    offsets = (torch.arange(scale) + 0.5) / scale - 0.5
    taps = torch.stack([(-offsets).clamp(min=0), 1 - offsets.abs(), offsets.clamp(min=0)], 1)
    return torch.einsum("ai,bj->abij", taps, taps).reshape(scale * scale, 1, 3, 3)


def band(alpha: Tensor) -> Tensor:
    """Return where the matte may change, 0..1: near what is neither foreground nor background.

    alpha: float[n, 1, h, w] in 0..1; the answer has its shape.
    """
    # Overlapping cells: a hard edge between two of them is in both.
    cells = functional.avg_pool2d(alpha, BAND_CELL + 2, BAND_CELL, 1, count_include_pad=False)
    unsure = functional.max_pool2d(4 * cells * (1 - cells), 3, 1, 1)
    return _enlarge((2 * (unsure - BAND_FLOOR)).clamp(0, 1), BAND_CELL)


class Pair(nn.Module):
    """Both networks: the large photo in, the large matte out."""

    mean: Tensor

    def __init__(self, segmenter: Segmenter, refiner: Refiner) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.refiner = refiner
        mean = torch.eye(3)[..., None, None].expand(3, 3, SCALE, SCALE) / SCALE**2
        self.register_buffer("mean", mean.contiguous(), persistent=False)

    def forward(self, photo: Tensor) -> Tensor:
        """Return alpha float[n, 1, h, w] in 0..1 of photos float[n, 3, h, w] in 0..1.

        h and w: multiples of 96. The first network sees the mean of every 3 x 3 pixels.
        """
        return torch.sigmoid(self.refiner(photo, self.segmenter(self.shrunk(photo))))

    def shrunk(self, photo: Tensor) -> Tensor:
        """Return the mean of every 3 x 3 pixels; as a convolution it needs no other layout."""
        return functional.conv2d(photo, self.mean.to(photo.dtype), stride=SCALE)


def _enlarge(x: Tensor, factor: int) -> Tensor:
    return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
