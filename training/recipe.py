"""A recipe: every number of a training run, read from TOML."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train; the TOML has the same keys. A run ends when minutes or steps are over."""

    init: str  # openrembg-v0, v1 or a checkpoint, from the repository's root; "" for nothing
    stage: Literal["segmenter", "refiner"] = "segmenter"
    segmenter: str = ""  # of a refiner: the checkpoint that makes the mattes it sharpens
    minutes: float = 50.0
    steps: int = 1_000_000
    side: int = 320
    whole_side: int = 960  # of a refiner: of the photos that it is evaluated on
    first_side: int = 0  # during the first share of the budget: smaller is faster; 0 for none
    first_share: float = 0.0
    batch: int = 16
    encoder_rate: float = 6e-5
    rest_rate: float = 4e-4
    warmup_steps: int = 100
    weight_decay: float = 0.01
    clip: float = 5.0
    ema: float = 0.998
    source_power: float = 0.5  # an image weighs its source's size to the power of minus this
    paste_chance: float = 0.25  # of a composite of cut-outs
    swap_chance: float = 0.12  # of another background behind a labelled subject
    least_zoom: float = 0.55  # of the window that is cut out of a photo
    freeze_blocks: int = 0  # of the encoder, and its stem when there are any
    precision: Literal["bf16", "f32"] = "bf16"
    evaluate_minutes: float = 10.0
    workers: int = 0
    threads: int = 2
    seed: int = 0


def read_recipe(path: Path) -> Recipe:
    """Return the recipe of a TOML file; raises ValueError when it has a key that is none."""
    values = tomllib.loads(path.read_text())
    unknown = sorted(values.keys() - {field.name for field in fields(Recipe)})
    if unknown:
        raise ValueError(f"{path}: unknown keys {', '.join(unknown)}")
    return Recipe(**values)
