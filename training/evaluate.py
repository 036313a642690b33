"""Measure a network on the held-out slice, or on any folder of photos and masks.

    python -m training.evaluate v2.onnx --before segmenter.onnx --data ../shared/data \\
        --segmenter .cache/training/v2/best.pt --refiner .cache/training/v2-refiner/best.pt
    python -m training.evaluate v2.onnx --folder DUTS-TE-Image DUTS-TE-Mask

prints one JSON object; null is what was not measured. Shares and IoU are 0..1, n counts photos.

mae, iou, edge_iou, max_f: at the masks' own size, as it ships. iou at alpha 0.5, averaged over
photos; edge_iou within 5 px of the mask's boundary; max_f is the F-measure (beta² 0.3) at its best
threshold of the precision and recall averaged over photos, as U²-Net has it
(https://arxiv.org/abs/2005.09007). missed: photos in which the file finds no subject.
duts, people, sources: the same of some sources. false_alarms: of the held-out photos of rooms and
scenes, the share with more than 1, 5 or 20 % foreground. empty_share: the foreground of plain
pictures.
edges: edge_iou before and after refinement: at_320, photo and mask squeezed to 320 px; native, at
the mask's own size; large, as native, but the first network sees a third of the photo, so that the
second one works at the photo's own size, as it does for a large upload.
precision: the shipped precision beside f32. detection: by the file's own opinion (subject), by at
least 0.1 % foreground (area), and as it ships, by both. speed: the median milliseconds of one
inference at batch 1.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeVar, get_args

import numpy as np
import torch

from training.checkpoint import load_refiner, load_segmenter
from training.data import Alpha, Archive, Item, Photo, read_archive, to_network
from training.detection import (
    Sight,
    detection,
    false_alarms,
    look_at_places,
    look_at_plain,
    sight,
)
from training.inference import (
    Answer,
    Floats,
    Model,
    Network,
    Runtime,
    exact_runtime,
    load_model,
    resize_matte,
    shipped_runtime,
)
from training.refiner import Pair
from training.score import (
    Edges,
    Score,
    by_source,
    edge_iou,
    edges,
    mean,
    mean_error,
    score,
    summary,
)
from training.speed import ROUNDS, speed

T = TypeVar("T")

PEOPLE: Final = ("pairs/ccp_fashion", "pairs/human_vikram")
PHOTO_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")
PAIR_MULTIPLE: Final = 96
PAIR_MULTIPLES: Final = (2, 10)


@dataclass(frozen=True, slots=True)
class Beside:
    """What is measured beside a network; None is not.

    exact: the same in f32. before: the first network alone. large: both networks, the photo at its
    own size; returns the first one's alpha and the second one's, float32[s / 3, s / 3] and [s, s].
    """

    exact: Model | None = None
    before: Model | None = None
    large: Callable[[Photo], tuple[Floats, Floats]] | None = None


@dataclass(frozen=True, slots=True)
class Closeness:
    """The mean error of a network, that of the same in f32, and their mean difference."""

    mae: float
    f32_mae: float
    difference: float


@dataclass(frozen=True, slots=True)
class Row:
    """What one photo with a mask contributes. large: edge IoU before and after refinement."""

    score: Score
    sight: Sight
    before: Edges | None
    large: tuple[float, float] | None
    closeness: Closeness | None


def evaluate(network: Network, side: int, archive: Archive) -> dict[str, object]:
    """Return the numbers of a network on the held-out slice, ready for JSON."""
    model = Model(lambda planes: Answer(network(planes)), side, "as given")
    return measure(model, Beside(), archive.held_out, archive.held_out_photos)


def measure(
    model: Model, beside: Beside, pairs: Iterable[Item], photos: Iterable[Item]
) -> dict[str, object]:
    """Return all numbers but those of speed, ready for JSON.

    pairs: photos with masks. photos: those without a subject. Either is decoded one at a time.
    Raises ValueError when there are no pairs.
    """
    rows = [row(model, beside, item) for item in pairs]
    total = summary([one.score for one in rows])
    if total is None:
        raise ValueError("there are no photos with masks")
    groups = by_source([one.score for one in rows])
    places, plains = look_at_places(model, photos), look_at_plain(model)
    return {
        "runtime": model.runtime,
        "side": model.side,
        **total,
        "duts": summary(groups.get("pairs/duts_tr", [])),
        "people": summary([one for source in PEOPLE for one in groups.get(source, [])]),
        "sources": {name: summary(of) for name, of in groups.items()},
        "false_alarms": false_alarms(places),
        "empty_share": mean(one.foreground for one in plains),
        "edges": edge_numbers(rows),
        "precision": precision(rows),
        "detection": detection([one.sight for one in rows], places, plains),
    }


def row(model: Model, beside: Beside, item: Item) -> Row:
    """Measure one photo with a mask."""
    photo, truth = item.pair()
    answer = model.look(photo)
    seen = sight(item.source, answer)
    return Row(
        score=score(item.source, answer.alpha, truth, seen.has_subject),
        sight=seen,
        before=edges(beside.before.look(photo).alpha, truth) if beside.before else None,
        large=large_edges(beside.large(photo), truth) if beside.large else None,
        closeness=closeness(answer, beside.exact.look(photo), truth) if beside.exact else None,
    )


def large_edges(mattes: tuple[Floats, Floats], truth: Alpha) -> tuple[float, float]:
    """Return the edge IoU before and after refinement at the mask's own size."""
    before, after = mattes
    return edge_iou(before, truth), edge_iou(after, truth)


def closeness(answer: Answer, exact: Answer, truth: Alpha) -> Closeness:
    """Compare two answers with each other and with the mask, at the mask's own size."""
    matte, other = (
        resize_matte(one.alpha, truth.shape[1], truth.shape[0]) for one in (answer, exact)
    )
    difference = float(np.abs(matte - other).mean())
    return Closeness(mean_error(matte, truth), mean_error(other, truth), difference)


def edge_numbers(rows: list[Row]) -> dict[str, dict[str, float | None]]:
    """Return the mean edge IoU before and after refinement at each size."""
    before = [one.before for one in rows if one.before]
    after = [one.score.edges for one in rows]
    large = [one.large for one in rows if one.large]
    return {
        name: {
            "at_320": _mean_or_none([one.at_320 for one in of]),
            "native": _mean_or_none([one.native for one in of]),
            "large": _mean_or_none([one[index] for one in large]),
        }
        for index, (name, of) in enumerate((("before", before), ("after", after)))
    }


def precision(rows: list[Row]) -> dict[str, float] | None:
    """Return how close a network is to the same in f32; None when that was not measured."""
    found = [asdict(one.closeness) for one in rows if one.closeness]
    if not found:
        return None
    return {"n": len(found)} | {key: mean((one[key] for one in found), 5) for key in found[0]}


def _mean_or_none(values: list[float]) -> float | None:
    return mean(values) if values else None


def at_own_size(segmenter: Path, refiner: Path) -> Callable[[Photo], tuple[Floats, Floats]]:
    """Return what runs both networks of two checkpoints on a photo at about its own size.

    The side is the multiple of 96 px that is nearest to the photo's long side, 192 to 960.
    """
    pair = Pair(load_segmenter(segmenter), load_refiner(refiner)).eval()

    @torch.no_grad()
    def run(photo: Photo) -> tuple[Floats, Floats]:
        multiple = np.clip(round(max(photo.shape[:2]) / PAIR_MULTIPLE), *PAIR_MULTIPLES)
        planes = to_network(photo, int(multiple) * PAIR_MULTIPLE)
        large = torch.from_numpy(planes[None])
        logits = pair.segmenter(pair.shrunk(large))
        first, second = (
            torch.sigmoid(one)[0, 0].numpy() for one in (logits, pair.refiner(large, logits))
        )
        return first, second

    return run


def folder_pairs(photos: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Return the photos of a folder, each with the PNG of its name in the other folder.

    DUTS-TE and ECSSD lie so. Raises FileNotFoundError when a mask or every photo is missing.
    """
    found = sorted(path for path in photos.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)
    if not found:
        raise FileNotFoundError(f"there is no photo in {photos}")
    pairs = [(path, masks / f"{path.stem}.png") for path in found]
    for photo, mask in pairs:
        if not mask.is_file():
            raise FileNotFoundError(f"{photo} has no mask {mask}")
    return pairs


def read_pairs(pairs: Iterable[tuple[Path, Path]]) -> Iterator[Item]:
    """Read photos and masks one by one."""
    for photo, mask in pairs:
        name = f"{photo.parent.name}/{photo.stem}"
        yield Item(name, photo.read_bytes(), mask.read_bytes())


def thinned(of: Sequence[T], most: int | None) -> Sequence[T]:
    """Return at most so many, evenly from all."""
    return of if most is None else of[:: max(math.ceil(len(of) / most), 1)]


def beside_of(arguments: argparse.Namespace) -> Beside:
    """Return the networks that the command line names beside the file."""
    exact = exact_runtime(arguments.runtime)
    checkpoints = arguments.segmenter, arguments.refiner
    return Beside(
        exact=load_model(arguments.weights, exact) if exact else None,
        before=load_model(arguments.before, arguments.runtime) if arguments.before else None,
        large=at_own_size(*checkpoints) if all(checkpoints) else None,
    )


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("weights", type=Path, help="an ONNX file of ours")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, help="the folder with the zips")
    where.add_argument("--folder", type=Path, nargs=2, metavar=("PHOTOS", "MASKS"))
    parser.add_argument("--before", type=Path, help="an ONNX file of the first network alone")
    parser.add_argument("--segmenter", type=Path, help="its checkpoint, for edges.large")
    parser.add_argument("--refiner", type=Path, help="the second network's, for edges.large")
    parser.add_argument("--runtime", choices=get_args(Runtime), help="default: what ships here")
    parser.add_argument("--most", type=int, help="photos of each kind, for a trial")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of the measurement of speed")
    arguments = parser.parse_args(argv)
    if (arguments.segmenter is None) != (arguments.refiner is None):
        parser.error("--segmenter and --refiner go together")
    arguments.runtime = arguments.runtime or shipped_runtime()
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Print the numbers of one ONNX file."""
    arguments = parse(argv)
    pairs: Iterable[Item]
    photos: Sequence[Item] = ()
    if arguments.folder:
        pairs = read_pairs(thinned(folder_pairs(*arguments.folder), arguments.most))
    else:
        archive = read_archive(arguments.data)
        pairs = thinned(archive.held_out, arguments.most)
        photos = thinned(archive.held_out_photos, arguments.most)
    model = load_model(arguments.weights, arguments.runtime)
    numbers = {
        **measure(model, beside_of(arguments), pairs, photos),
        "speed": speed(arguments.weights, arguments.runtime, arguments.rounds),
    }
    print(json.dumps(numbers, indent=1))  # noqa: T201 (this is a command's output)


if __name__ == "__main__":
    main()
