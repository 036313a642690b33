"""The network of openrembg-v0, as a torch module that loads its weights from any of our ONNX files.

MobileNetV2 (Sandler et al., https://arxiv.org/abs/1801.04381) with its batch norms folded into the
convolutions, and a top-down pyramid (Lin et al., https://arxiv.org/abs/1612.03144).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

# Of each stage of MobileNetV2: expansion, channels out, blocks, stride of the first block.
STAGES: Final = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
# The blocks whose output is a feature: the last at each stride 2, 4, 8, 16, 32.
TAPS: Final = (0, 2, 5, 12, 16)
WIDTH: Final = 48
# Levels of the pyramid that answer on their own while training: strides 8 and 16.
AUXILIARY_LEVELS: Final = (2, 3)


class Block(nn.Module):
    """An inverted residual: expand, depthwise, project; added to its input where shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = nn.Conv2d(inputs, hidden, 1) if expansion > 1 else None
        self.depthwise = nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return float[n, outputs, h / stride, w / stride] from float[n, inputs, h, w]."""
        hidden = x if self.expand is None else functional.relu6(self.expand(x))
        y: Tensor = self.project(functional.relu6(self.depthwise(hidden)))
        return x + y if self.residual else y


class Encoder(nn.Module):
    """MobileNetV2 1.0 without its classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2, 1)
        blocks, channels = [], 32
        for expansion, outputs, count, stride in STAGES:
            for index in range(count):
                blocks.append(Block(channels, outputs, 1 if index else stride, expansion))
                channels = outputs
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features at strides 2, 4, 8, 16, 32 of float[n, 3, h, w] in -1..1."""
        x = functional.relu6(self.stem(x))
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in TAPS:
                features.append(x)
        return features


class Segmenter(nn.Module):
    """Photo in, logits of the matte out."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        channels = [STAGES[0][1], STAGES[1][1], STAGES[2][1], STAGES[4][1], STAGES[6][1]]
        self.laterals = nn.ModuleList(nn.Conv2d(count, WIDTH, 1) for count in channels)
        self.context = nn.Conv2d(channels[-1], WIDTH, 1)
        self.smooths = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in channels)
        self.out = nn.Conv2d(WIDTH, 1, 3, padding=1)
        heads = [nn.Conv2d(WIDTH, 1, 1) for _ in AUXILIARY_LEVELS]
        for head in heads:
            # At first these heads send no gradient into a network that is already trained.
            nn.init.zeros_(head.weight)
        self.auxiliaries = nn.ModuleList(heads)

    def forward(self, photo: Tensor) -> Tensor:
        """Return logits float[n, 1, h, w] of photos float[n, 3, h, w] in 0..1 (sRGB)."""
        levels = self.pyramid(photo)
        return _resize(self.out(levels[0]), photo)

    def with_auxiliaries(self, photo: Tensor) -> list[Tensor]:
        """Return the logits of `forward` first, then those of the auxiliary heads, unresized."""
        levels = self.pyramid(photo)
        heads = zip(self.auxiliaries, AUXILIARY_LEVELS, strict=True)
        return [_resize(self.out(levels[0]), photo), *(head(levels[at]) for head, at in heads)]

    def pyramid(self, photo: Tensor) -> list[Tensor]:
        """Return float[n, 48, h / s, w / s] for the strides s = 2, 4, 8, 16, 32."""
        features = self.encoder(photo * 2.0 - 1.0)
        # Each lateral just before its use: in_graph_order relies on that.
        top = functional.relu(self.laterals[-1](features[-1]))
        whole = functional.relu(self.context(features[-1].mean((2, 3), keepdim=True)))
        levels = [functional.relu(self.smooths[-1](top + whole))]
        for at in reversed(range(len(features) - 1)):
            lateral = functional.relu(self.laterals[at](features[at]))
            level = functional.relu(self.smooths[at](lateral + _resize(levels[0], lateral)))
            levels.insert(0, level)
        return levels

    def in_graph_order(self) -> Iterator[nn.Conv2d]:
        """Yield the convolutions in the order in which our ONNX files execute them."""
        yield self.encoder.stem
        for block in self.encoder.blocks:
            yield from (layer for layer in block.children() if isinstance(layer, nn.Conv2d))
        decoder = [self.laterals[-1], self.context, self.smooths[-1]]
        for level in reversed(range(len(self.laterals) - 1)):
            decoder += [self.laterals[level], self.smooths[level]]
        for layer in [*decoder, self.out]:
            assert isinstance(layer, nn.Conv2d)  # noqa: S101 (for mypy)
            yield layer


class Exported(nn.Module):
    """The segmenter as it ships: alpha instead of logits."""

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, photo: Tensor) -> Tensor:
        """Return alpha float[n, 1, h, w] in 0..1 of photos float[n, 3, h, w] in 0..1."""
        return torch.sigmoid(self.segmenter(photo))


def load_onnx(path: Path) -> Segmenter:
    """Return a segmenter with the weights of one of our ONNX files.

    Raises ValueError when the file's convolutions are not those of the segmenter.
    """
    graph = onnx.load(path).graph
    weights = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    stored = [node.input for node in graph.node if node.op_type == "Conv"]
    segmenter = Segmenter()
    layers = list(segmenter.in_graph_order())
    if len(stored) != len(layers):
        raise ValueError(f"{path} has {len(stored)} convolutions, the network {len(layers)}")
    for layer, (_, weight, bias) in zip(layers, stored, strict=True):
        if weights[weight].shape != tuple(layer.weight.shape):
            raise ValueError(f"{path}: {weight} is {weights[weight].shape}")
        layer.load_state_dict(
            {"weight": torch.tensor(weights[weight]), "bias": torch.tensor(weights[bias])}
        )
    return segmenter


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)
