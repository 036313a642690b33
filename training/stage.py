"""What a run trains: the segmenter, or the refiner behind a segmenter that stays as it is."""

import random
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.checkpoint import load_refiner, load_segmenter
from training.loss import refinement_loss, total_loss
from training.model import Alone, Segmenter
from training.recipe import Recipe
from training.refiner import SCALE, Pair, Refiner

# Of a refiner's samples: how far the photo is enlarged before a crop of the sample's side is taken.
# What the network meets at 960 px is sharp when the upload was large, and soft when it was small.
ENLARGEMENTS: Final = (1.0, 1.0, 1.0, 1.5, 2.0, 3.0)
# How many of its own pixels the segmenter gets a pixel of the matte that the refiner gets.
SHARPER: Final = (1.0, 1.25, 1.5, 2.0)
MULTIPLE: Final = 32
UNSURE_LOGIT: Final = 2.0


class Stage(Protocol):
    """A module to train, with the loss for it."""

    def module(self) -> nn.Module:
        """Return the module as it starts."""

    def loss(self, module: Any, photo: Tensor, truth: Tensor, autocast: torch.autocast) -> Tensor:
        """Return the loss of a batch, photo and truth as float in 0..1."""

    def whole(self, module: Any) -> nn.Module:
        """Return what evaluation runs: photos float[n, 3, h, w] in 0..1 to alpha in 0..1."""

    def side(self) -> int:
        """Return the side in pixels of what `whole` takes."""


class SegmenterStage:
    """The whole photo at once."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def module(self) -> Segmenter:
        """Return the recipe's init, loaded."""
        return load_segmenter(Path(self._recipe.init))

    def loss(
        self, module: Segmenter, photo: Tensor, truth: Tensor, autocast: torch.autocast
    ) -> Tensor:
        """Return the loss of all answers."""
        with autocast:
            answers = module.with_auxiliaries(photo)
        return total_loss(answers, truth)

    def whole(self, module: Segmenter) -> nn.Module:
        """Return the segmenter alone."""
        return Alone(module)

    def side(self) -> int:
        """Return the recipe's side."""
        return self._recipe.side


class RefinerStage:
    """Crops at many scales, each with what the segmenter says of the whole photo.

    Photos for training are small. The segmenter therefore looks at a smaller copy, so that its
    matte is as coarse beside the photo as it will be at 960 px, with mistakes as it makes them.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._segmenter = load_segmenter(Path(recipe.segmenter)).eval().requires_grad_(False)
        self._rng = random.Random(recipe.seed)  # noqa: S311 (no secret)

    def module(self) -> Refiner:
        """Return a new refiner, or the recipe's init, loaded."""
        return load_refiner(Path(self._recipe.init)) if self._recipe.init else Refiner()

    def loss(
        self, module: Refiner, photo: Tensor, truth: Tensor, autocast: torch.autocast
    ) -> Tensor:
        """Return the loss of one crop of each photo, all enlarged alike."""
        self._segmenter.to(photo.device)
        side = photo.shape[-1]
        large = round(side * self._rng.choice(ENLARGEMENTS))
        grid = large // SCALE
        wanted = grid * self._rng.choice(SHARPER)
        looked = min(max(round(wanted / MULTIPLE), 3), 10) * MULTIPLE
        with torch.no_grad(), autocast:
            logits = self._segmenter(functional.interpolate(photo, (looked, looked), mode="area"))
        how = "area" if looked > grid else "bilinear"
        logits = functional.interpolate(logits.float(), (grid, grid), mode=how)
        tops = [_corner(one, side // SCALE, self._rng) for one in logits]
        parts = [
            [_crop(plane[index : index + 1], large, top, side) for plane in (photo, truth)]
            for index, top in enumerate(tops)
        ]
        photo, truth = (torch.cat([part[at] for part in parts]) for at in (0, 1))
        cell = side // SCALE
        coarse = torch.stack(
            [one[:, y : y + cell, x : x + cell] for one, (y, x) in zip(logits, tops, strict=True)]
        )
        photo = photo.contiguous(memory_format=torch.channels_last)
        with autocast:
            sharp = module(photo, coarse)
        return refinement_loss(sharp.float(), truth, coarse)

    def whole(self, module: Refiner) -> nn.Module:
        """Return both networks."""
        return Pair(self._segmenter, module)

    def side(self) -> int:
        """Return the side that ships: three of the segmenter's pixels a side."""
        return self._recipe.whole_side


def _corner(logits: Tensor, cell: int, rng: random.Random) -> tuple[int, int]:
    """Return the top left of a crop with an edge in its middle, in the matte's pixels."""
    most = logits.shape[-1] - cell
    unsure = torch.nonzero(logits[0].abs() < UNSURE_LOGIT)
    if most == 0 or not len(unsure):
        return rng.randint(0, most), rng.randint(0, most)
    y, x = unsure[rng.randrange(len(unsure))].tolist()
    return min(max(y - cell // 2, 0), most), min(max(x - cell // 2, 0), most)


def _crop(plane: Tensor, large: int, top: tuple[int, int], side: int) -> Tensor:
    """Return float[1, c, side, side] out of a plane float[1, c, h, w] enlarged to `large`."""
    if plane.shape[-1] != large:
        plane = functional.interpolate(plane, (large, large), mode="bilinear", align_corners=False)
    y, x = top[0] * SCALE, top[1] * SCALE
    return plane[..., y : y + side, x : x + side]


def stage_of(recipe: Recipe) -> Stage:
    """Return what the recipe trains."""
    return RefinerStage(recipe) if recipe.stage == "refiner" else SegmenterStage(recipe)
