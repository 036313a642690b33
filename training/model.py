"""The first network: what is foreground, at 320 px. It starts from the weights of openrembg-v0.

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
SIDE: Final = 320  # of the photo that ships, in pixels
WIDTH: Final = 48
FINE_WIDTH: Final = 24  # at stride 2, where a channel costs most
SURROUNDINGS: Final = 128
LOOKS: Final = 3
SURROUNDINGS_LEVEL: Final = 3  # stride 16
V0_OWN_LAYERS: Final = 3
# The segmenter is less sure than it is right. Half as much again took 7 % off the error of v2 on
# 130 held-out pairs and nothing off its max-F; twice as much another 2 %, but 0.001 off max-F.
GAIN: Final = 1.5
MOST_LOGIT: Final = 8.0
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
        y: Tensor = self.project(functional.relu6(self._depthwise(hidden)))
        return x + y if self.residual else y

    def _depthwise(self, x: Tensor) -> Tensor:
        if self.training and self.depthwise.stride == (2, 2) and x.requires_grad:
            # On CPU the gradient of a strided depthwise convolution takes four times as long as
            # that of a dense one; every second output of the dense one is the same.
            weight, bias = self.depthwise.weight, self.depthwise.bias
            return functional.conv2d(x, weight, bias, 1, 1, 1, x.shape[1])[..., ::2, ::2]
        y: Tensor = self.depthwise(x)
        return y


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


class Surroundings(nn.Module):
    """Looks around at stride 16: wide depthwise convolutions over both coarsest features.

    Its last convolution starts at zero, so that a warm start is not disturbed.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, SURROUNDINGS, 1)
        self.looks = nn.ModuleList(
            nn.Conv2d(SURROUNDINGS, SURROUNDINGS, 5, padding=2, groups=SURROUNDINGS)
            for _ in range(LOOKS)
        )
        self.mixes = nn.ModuleList(nn.Conv2d(SURROUNDINGS, SURROUNDINGS, 1) for _ in range(LOOKS))
        self.leave = nn.Conv2d(SURROUNDINGS, WIDTH, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Return float[n, 48, h / 16, w / 16] from the features at strides 16 and 32."""
        x = functional.relu(self.enter(torch.cat([fine, _resize(coarse, fine)], 1)))
        for look, mix in zip(self.looks, self.mixes, strict=True):
            x = x + functional.relu(mix(functional.relu(look(x))))
        y: Tensor = self.leave(x)
        return y


class Segmenter(nn.Module):
    """Photo in, logits of the matte out."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        channels = [STAGES[0][1], STAGES[1][1], STAGES[2][1], STAGES[4][1], STAGES[6][1]]
        widths = [FINE_WIDTH, WIDTH, WIDTH, WIDTH, WIDTH]
        self.laterals = nn.ModuleList(
            nn.Conv2d(count, width, 1) for count, width in zip(channels, widths, strict=True)
        )
        self.context = nn.Conv2d(channels[-1], WIDTH, 1)
        self.surroundings = Surroundings(channels[-1] + channels[-2])
        self.smooths = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for width in widths)
        self.narrow = nn.Conv2d(WIDTH, FINE_WIDTH, 1)
        self.out = nn.Conv2d(FINE_WIDTH, 4, 3, padding=1)
        heads = [nn.Conv2d(WIDTH, 1, 1) for _ in AUXILIARY_LEVELS]
        for head in heads:
            # At first these heads send no gradient into a network that is already trained.
            nn.init.zeros_(head.weight)
        self.auxiliaries = nn.ModuleList(heads)

    def forward(self, photo: Tensor) -> Tensor:
        """Return logits float[n, 1, h, w] of photos float[n, 3, h, w] in 0..1 (sRGB).

        h and w: multiples of 32.
        """
        return self.matte(self.encode(photo))

    def with_auxiliaries(self, photo: Tensor) -> list[Tensor]:
        """Return the logits of `forward` first, then those of the auxiliary heads, unresized."""
        levels = self.pyramid(self.encode(photo))
        heads = zip(self.auxiliaries, AUXILIARY_LEVELS, strict=True)
        return [self.answer(levels), *(head(levels[at]) for head, at in heads)]

    def encode(self, photo: Tensor) -> list[Tensor]:
        """Return the encoder's features of photos float[n, 3, h, w] in 0..1."""
        features: list[Tensor] = self.encoder(photo * 2.0 - 1.0)
        return features

    def matte(self, features: list[Tensor]) -> Tensor:
        """Return logits float[n, 1, h, w] from the encoder's features."""
        return self.answer(self.pyramid(features))

    def answer(self, levels: list[Tensor]) -> Tensor:
        """Return logits float[n, 1, h, w] from the levels of the pyramid."""
        return functional.pixel_shuffle(self.out(levels[0]), 2)

    def pyramid(self, features: list[Tensor]) -> list[Tensor]:
        """Return the levels at strides 2 (24 channels), 4, 8, 16 and 32 (48 channels)."""
        top = functional.relu(self.laterals[-1](features[-1]))
        whole = functional.relu(self.context(features[-1].mean((2, 3), keepdim=True)))
        levels = [functional.relu(self.smooths[-1](top + whole))]
        for at in reversed(range(len(features) - 1)):
            lateral = functional.relu(self.laterals[at](features[at]))
            above = levels[0] if at else self.narrow(levels[0])
            mixed = lateral + _resize(above, lateral)
            if at == SURROUNDINGS_LEVEL:
                mixed = mixed + self.surroundings(features[at], features[at + 1])
            levels.insert(0, functional.relu(self.smooths[at](mixed)))
        return levels

    def shared_with_v0(self) -> Iterator[nn.Conv2d]:
        """Yield the convolutions that openrembg-v0 has too, in its file's order.

        Its last three, at stride 2, have other widths and are not among them.
        """
        yield self.encoder.stem
        for block in self.encoder.blocks:
            yield from (layer for layer in block.children() if isinstance(layer, nn.Conv2d))
        decoder = [self.laterals[-1], self.context, self.smooths[-1]]
        for level in reversed(range(1, len(self.laterals) - 1)):
            decoder += [self.laterals[level], self.smooths[level]]
        for layer in decoder:
            assert isinstance(layer, nn.Conv2d)  # noqa: S101 (for mypy)
            yield layer


class Alone(nn.Module):
    """The segmenter as it ships: alpha instead of logits."""

    def __init__(self, segmenter: nn.Module) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, photo: Tensor) -> Tensor:
        """Return alpha float[n, 1, h, w] in 0..1 of photos float[n, 3, h, w] in 0..1."""
        return torch.sigmoid(firm(self.segmenter(photo)))


def firm(logits: Tensor) -> Tensor:
    """Return the segmenter's logits as sure as they should be."""
    return (logits * GAIN).clamp(-MOST_LOGIT, MOST_LOGIT)


def load_v0(path: Path) -> Segmenter:
    """Return a segmenter with what openrembg-v0 (or v1) shares with it, the rest untrained.

    Raises ValueError when the file's convolutions are others.
    """
    graph = onnx.load(path).graph
    weights = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    stored = [node.input for node in graph.node if node.op_type == "Conv"]
    segmenter = Segmenter()
    layers = list(segmenter.shared_with_v0())
    if len(stored) != len(layers) + V0_OWN_LAYERS:
        raise ValueError(f"{path} has {len(stored)} convolutions; openrembg-v0 has others")
    for layer, (_, weight, bias) in zip(layers, stored, strict=False):
        if weights[weight].shape != tuple(layer.weight.shape):
            raise ValueError(f"{path}: {weight} is {weights[weight].shape}")
        layer.load_state_dict(
            {"weight": torch.tensor(weights[weight]), "bias": torch.tensor(weights[bias])}
        )
    return segmenter


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)
