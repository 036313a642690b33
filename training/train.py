"""Train the network. From the repository's root, on CPU or on one CUDA GPU:

    python -m training.train --recipe training/recipes/v2.toml --data ../shared/data

CONTRIBUTING.md says what comes after it.

The same command goes on where the last checkpoint was, until the minutes are over; all but the last
evaluation count, of a minute or less each. Ctrl-C and SIGTERM stop it after the step, with
a checkpoint. All of a run lies in .cache/training/NAME: last.pt, best.pt (the best mae so far),
metrics.jsonl, sheet-MINUTES.png. To begin anew, delete that folder or give another --name.
"""

import argparse
import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from training.data import Archive, Mixture, batches, read_archive
from training.evaluate import evaluate
from training.inference import Floats, Network
from training.model import Segmenter
from training.recipe import Recipe, read_recipe
from training.sheet import draw_sheet
from training.stage import Stage, stage_of

RUNS: Final = Path(".cache/training")
LOG_STEPS: Final = 20


@dataclass(slots=True)
class Run:
    """A training run between two steps; everything that a checkpoint holds."""

    recipe: Recipe
    folder: Path
    device: torch.device
    stage: Stage
    module: nn.Module
    average: nn.Module
    optimizer: Optimizer
    step: int = 0
    elapsed_s: float = 0.0
    best_mae: float = math.inf

    @property
    def progress(self) -> float:
        """How much of the budget is spent, 0..1."""
        by_time = self.elapsed_s / (self.recipe.minutes * 60)
        return min(max(by_time, self.step / self.recipe.steps), 1.0)

    @property
    def side(self) -> int:
        """The side of the samples now, in pixels."""
        is_first = self.progress < self.recipe.first_share
        return self.recipe.first_side if is_first else self.recipe.side


def start(recipe: Recipe, folder: Path) -> Run:
    """Return the run of a folder where it stopped, or a new one."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder.mkdir(parents=True, exist_ok=True)
    stage = stage_of(recipe)
    module, average = (to_device(stage.module(), device) for _ in range(2))
    average.load_state_dict(module.state_dict())
    average.requires_grad_(False).eval()
    freeze(module, recipe.freeze_blocks)
    run = Run(recipe, folder, device, stage, module, average, make_optimizer(module, recipe))
    if (folder / "last.pt").exists():
        restore(run)
    return run


def to_device(module: nn.Module, device: torch.device) -> nn.Module:
    """Return the module on a device, channels last, which is twice as fast on CPU."""
    moved: nn.Module = module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub forgets it
    return moved


def freeze(module: nn.Module, blocks: int) -> None:
    """Leave the stem and the first blocks of a segmenter's encoder as they are."""
    if not blocks or not isinstance(module, Segmenter):
        return
    module.encoder.stem.requires_grad_(False)
    for block in list(module.encoder.blocks)[:blocks]:
        block.requires_grad_(False)


def make_optimizer(module: nn.Module, recipe: Recipe) -> Optimizer:
    """Return AdamW with a group for each rate; biases do not decay."""
    groups = []
    for is_encoder, rate in ((True, recipe.encoder_rate), (False, recipe.rest_rate)):
        for is_weight, decay in ((True, recipe.weight_decay), (False, 0.0)):
            parameters = [
                parameter
                for name, parameter in module.named_parameters()
                if name.startswith("encoder.") is is_encoder
                and (parameter.ndim > 1) is is_weight
                and parameter.requires_grad
            ]
            groups.append({"params": parameters, "lr": rate, "rate": rate, "weight_decay": decay})
    return AdamW(groups)


def train(run: Run, archive: Archive, is_stopped: Callable[[], bool] = lambda: False) -> None:
    """Train until the budget is spent or somebody stops it; evaluate now and then and at the end.

    Changes run. Raises FloatingPointError when the loss is no number.
    """
    recipe = run.recipe
    side = 0
    evaluated_s, recent = run.elapsed_s, []
    while run.progress < 1 and not is_stopped():
        if side != run.side:
            side = run.side
            stream = samples(recipe, archive, side, recipe.seed + run.step)
        since = time.monotonic()
        recent.append(step(run, next(stream)))
        run.elapsed_s += time.monotonic() - since
        if run.step % LOG_STEPS == 0:
            log(run, loss=round(float(np.mean(recent)), 4), rate=current_rate(run))
            recent.clear()
        if run.elapsed_s - evaluated_s > recipe.evaluate_minutes * 60 and run.progress < 0.95:
            report(run, archive)
            evaluated_s = run.elapsed_s
    if is_stopped():
        save(run, "last.pt")
        return
    report(run, archive)


def samples(recipe: Recipe, archive: Archive, side: int, seed: int) -> Iterator[list[Tensor]]:
    """Return endless batches of what the recipe mixes, as data.batches yields them."""
    mixture = Mixture(
        recipe.source_power, recipe.paste_chance, recipe.swap_chance, recipe.least_zoom
    )
    return batches(archive, side, recipe.batch, seed, recipe.workers, mixture)


def step(run: Run, batch: list[Tensor]) -> float:
    """Make one step of the optimizer and return the loss. batch: as data.batches yields it."""
    for group in run.optimizer.param_groups:
        group["lr"] = group["rate"] * schedule(run)
    photo, truth = (part.to(run.device).float() / 255 for part in batch)
    photo = photo.contiguous(memory_format=torch.channels_last)
    loss = run.stage.loss(run.module, photo, truth, autocast(run))
    if not torch.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss.item()} at step {run.step}")
    run.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch's own
    torch.nn.utils.clip_grad_norm_(run.module.parameters(), run.recipe.clip)
    run.optimizer.step()
    run.step += 1
    follow(run.average, run.module, run.recipe.ema)
    return loss.item()


def schedule(run: Run) -> float:
    """Return the factor of all rates, 0..1: a linear warm-up, then half a cosine to the end."""
    warmup = min((run.step + 1) / max(run.recipe.warmup_steps, 1), 1.0)
    return warmup * 0.5 * (1 + math.cos(math.pi * run.progress))


def current_rate(run: Run) -> float:
    """Return the rate of the decoder now."""
    return round(run.recipe.rest_rate * schedule(run), 8)


def autocast(run: Run) -> torch.autocast:
    """Return the context of the forward pass in the recipe's precision."""
    return torch.autocast(run.device.type, torch.bfloat16, run.recipe.precision == "bf16")


@torch.no_grad()
def follow(average: nn.Module, module: nn.Module, keep: float) -> None:
    """Move the averaged weights towards the trained ones by 1 - keep."""
    torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 1 - keep)


def report(run: Run, archive: Archive) -> None:
    """Evaluate the averaged weights, log the numbers, draw the sheet, save checkpoints."""
    since = time.monotonic()
    network, side = as_network(run), run.stage.side()
    numbers = evaluate(network, side, archive)
    draw_sheet(network, side, archive, run.folder / f"sheet-{minutes(run):03.0f}.png")
    run.elapsed_s += time.monotonic() - since
    log(run, **numbers)
    mae = float(str(numbers["mae"]))
    if mae < run.best_mae:
        run.best_mae = mae
        save(run, "best.pt")
    save(run, "last.pt")


def as_network(run: Run) -> Network:
    """Return the averaged weights as evaluate wants them, in the precision of training."""
    whole = run.stage.whole(run.average).eval()

    @torch.no_grad()
    def network(planes: Floats) -> Floats:
        photo = torch.from_numpy(planes[None]).to(run.device)
        with autocast(run):
            alpha = whole(photo.contiguous(memory_format=torch.channels_last))
        return np.asarray(alpha.float()[0, 0].cpu().numpy(), np.float32)

    return network


def minutes(run: Run) -> float:
    """Return how long the run has been trained."""
    return run.elapsed_s / 60


def log(run: Run, **values: Any) -> None:
    """Append one JSON line to metrics.jsonl and print it."""
    samples = run.step * run.recipe.batch
    head = {"step": run.step, "minutes": round(minutes(run), 2), "samples": samples}
    line = json.dumps({**head, **values})
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write(line + "\n")
    print(line, flush=True)  # noqa: T201 (this is a command's output)


def save(run: Run, name: str) -> None:
    """Write a checkpoint; a crash leaves the one before."""
    state = {
        "module": run.module.state_dict(),
        "average": run.average.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "step": run.step,
        "elapsed_s": run.elapsed_s,
        "best_mae": run.best_mae,
        "recipe": asdict(run.recipe),
    }
    torch.save(state, run.folder / f"{name}.new")
    (run.folder / f"{name}.new").replace(run.folder / name)


def restore(run: Run) -> None:
    """Set a run to what its last checkpoint holds."""
    state = torch.load(run.folder / "last.pt", map_location=run.device, weights_only=True)
    run.module.load_state_dict(state["module"])
    run.average.load_state_dict(state["average"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.step, run.elapsed_s = state["step"], state["elapsed_s"]
    run.best_mae = state["best_mae"]


def stop_on_signals() -> Callable[[], bool]:
    """Return a function that says whether SIGINT or SIGTERM came; neither ends the process now."""
    came: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _: came.append(got))
    return lambda: bool(came)


def main() -> None:
    """Train by a recipe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="the folder with the zips")
    parser.add_argument("--name", help="of the run; the recipe's by default")
    parser.add_argument("--minutes", type=float, help="instead of the recipe's")
    parser.add_argument("--init", help="instead of the recipe's")
    arguments = parser.parse_args()
    given = {key: getattr(arguments, key) for key in ("minutes", "init")}
    recipe = replace(
        read_recipe(arguments.recipe), **{key: value for key, value in given.items() if value}
    )
    is_stopped = stop_on_signals()
    run = start(recipe, RUNS / (arguments.name or arguments.recipe.stem))
    train(run, read_archive(arguments.data), is_stopped)


if __name__ == "__main__":
    main()
