"""How long one inference takes, and how large the file is."""

import statistics
import time
from pathlib import Path
from typing import Final

import numpy as np

from training.inference import Floats, Model, Runtime, exact_runtime, load_model

ROUNDS: Final = 30
THREADS: Final = {"ms_1_thread": 1, "ms_2_threads": 2}


def speed(path: Path, runtime: Runtime, rounds: int = ROUNDS) -> dict[str, object]:
    """Return the file's bytes and the median milliseconds of one inference at batch 1.

    All are measured in turns, so that their ratios hold on a machine with other work. f32 is None
    when the runtime computes in f32 already.
    """
    exact = exact_runtime(runtime)
    runtimes = {"shipped": runtime} | ({"f32": exact} if exact else {})
    models = {
        (kind, name): load_model(path, of, threads)
        for kind, of in runtimes.items()
        for name, threads in THREADS.items()
    }
    side = models["shipped", "ms_1_thread"].side
    planes = np.random.default_rng(0).random((3, side, side), np.float32)
    turns = [{key: milliseconds(one, planes) for key, one in models.items()} for _ in range(rounds)]
    medians = {key: round(statistics.median(turn[key] for turn in turns), 2) for key in models}
    found = {
        kind: {"runtime": of, **{name: medians[kind, name] for name in THREADS}}
        for kind, of in runtimes.items()
    }
    return {"bytes": path.stat().st_size, "rounds": rounds, "f32": None, **found}


def milliseconds(model: Model, planes: Floats) -> float:
    """Return how long an inference takes that comes straight after another of the same network."""
    model.run(planes)
    since = time.perf_counter()
    model.run(planes)
    return (time.perf_counter() - since) * 1000
