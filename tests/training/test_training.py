"""Training on generated pairs, and the ONNX file against the torch module."""

import json
import random
import warnings
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import onnx
import pytest
import torch
from training.data import Archive, Item, SampleMaker, is_held_out, plain, read_archive
from training.evaluate import Floats, evaluate, onnx_network
from training.export import export, parity
from training.loss import matte_loss, pyramid_loss
from training.model import Segmenter, load_onnx
from training.recipe import Recipe, read_recipe
from training.train import load_weights, start, train

PAIRS = 8
SIDE = 64
RECIPES = Path(__file__).parents[2] / "training" / "recipes"


def disc(index: int) -> tuple[bytes, bytes]:
    """Return a photo of a bright disc on a dark ground and its mask, as files."""
    rng = np.random.default_rng(index)
    photo = rng.integers(0, 90, (90, 120, 3), np.uint8)
    mask = np.zeros((90, 120), np.uint8)
    centre = int(rng.integers(35, 85)), int(rng.integers(30, 60))
    cv2.circle(mask, centre, int(rng.integers(15, 28)), 255, -1)
    photo[mask > 0] = rng.integers(140, 256, 3)
    coded = [cv2.imencode(".png", image)[1].tobytes() for image in (photo, mask)]
    return coded[0], coded[1]


def generated() -> Archive:
    """Return an archive of discs that is evaluated on what it is trained on."""
    items = tuple(Item(f"pairs/discs/{index}", *disc(index)) for index in range(PAIRS))
    return Archive(pairs=items, backgrounds=(), cutouts=(), held_out=items, held_out_photos=())


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "start.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls its own exporter deprecated
        export(Segmenter(), path, SIDE)
    return path


def recipe(init: Path, steps: int) -> Recipe:
    return Recipe(
        init=str(init),
        steps=steps,
        side=SIDE,
        batch=4,
        encoder_rate=1e-3,
        rest_rate=3e-3,
        warmup_steps=2,
        ema=0.8,
        precision="f32",
        workers=0,
    )


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_short_run_lowers_the_loss_and_leaves_checkpoint_and_sheet(
    weights: Path, tmp_path: Path
) -> None:
    run = start(recipe(weights, 80), tmp_path / "run")
    train(run, generated())
    losses = [line["loss"] for line in metrics(run.folder) if "loss" in line]
    assert losses[-1] < 0.8 * losses[0]
    assert metrics(run.folder)[-1]["mae"] < 0.25
    assert load_weights(run.folder / "best.pt").out.weight.isfinite().all()
    assert list(run.folder.glob("sheet-*.png"))


def test_a_stopped_run_goes_on_where_it_stopped(weights: Path, tmp_path: Path) -> None:
    first = start(recipe(weights, 10), tmp_path / "run")
    train(first, generated(), lambda: first.step == 3)
    assert not (tmp_path / "run" / "best.pt").exists()
    second = start(recipe(weights, 10), tmp_path / "run")
    assert second.step == 3
    assert torch.equal(second.segmenter.out.weight, first.segmenter.out.weight)
    train(second, generated())
    assert second.step == 10


def test_frozen_blocks_stay_as_they_are(weights: Path, tmp_path: Path) -> None:
    run = start(replace(recipe(weights, 2), freeze_blocks=3), tmp_path / "run")
    before = load_onnx(weights)
    train(run, generated())
    assert torch.equal(run.segmenter.encoder.stem.weight, before.encoder.stem.weight)
    assert not torch.equal(run.segmenter.out.weight, before.out.weight)


def test_the_onnx_file_computes_what_the_torch_module_does(weights: Path) -> None:
    segmenter = load_onnx(weights)
    rng = np.random.default_rng(0)
    photos = [rng.random((3, SIDE, SIDE), np.float32) for _ in range(3)]
    assert parity(segmenter, weights, photos) < 1e-5
    with torch.no_grad():
        segmenter.out.weight *= 1.5
    with pytest.raises(ValueError, match="differs from the checkpoint"):
        parity(segmenter, weights, photos)


def test_evaluation_of_a_perfect_and_of_an_empty_answer() -> None:
    archive = generated()

    def bright(planes: Floats) -> Floats:
        return np.asarray(planes.max(0) > 0.5, np.float32)

    perfect = evaluate(bright, 120, archive)
    empty = evaluate(lambda planes: np.zeros_like(planes[0]), SIDE, archive)
    assert float(str(perfect["iou"])) > 0.97
    assert empty["iou"] == 0
    assert empty["missed"] == 1
    assert empty["empty_share"] == 0


def test_samples_keep_photo_and_matte_together() -> None:
    maker, rng = SampleMaker(generated(), SIDE), random.Random(3)
    agreed = []
    for _ in range(40):
        photo, alpha = maker.make(rng)
        assert photo.shape == (SIDE, SIDE, 3)
        assert alpha.shape == (SIDE, SIDE)
        if 0.02 < (alpha > 127).mean() < 0.98:
            inside, outside = photo[alpha > 200], photo[alpha < 50]
            agreed.append(inside.mean() > outside.mean())
    assert np.mean(agreed) > 0.8


def test_the_split_is_fixed_and_takes_its_share() -> None:
    held = [is_held_out(f"pairs/duts_tr/{index:05}", 0.04) for index in range(5000)]
    assert 0.03 < np.mean(held) < 0.05
    assert is_held_out("pairs/duts_tr/00001", 1.0)
    assert not is_held_out("pairs/duts_tr/00001", 0.0)


def test_an_archive_is_read_from_zips(tmp_path: Path) -> None:
    photo, mask = (cv2.imencode(".webp", plain(32, random.Random(seed)))[1] for seed in (1, 2))
    with ZipFile(tmp_path / "train-00.zip", "w") as archive:
        for index in range(60):
            archive.writestr(f"pairs/made/{index}.webp", photo.tobytes())
            archive.writestr(f"photos/houses_rooms/{index}.webp", photo.tobytes())
    with ZipFile(tmp_path / "train-01.zip", "w") as archive:
        for index in range(60):
            archive.writestr(f"pairs/made/{index}.mask.webp", mask.tobytes())
    read = read_archive(tmp_path)
    assert len(read.pairs) + len(read.held_out) == 60
    assert len(read.backgrounds) + len(read.held_out_photos) == 60
    assert not {item.name for item in read.pairs} & {item.name for item in read.held_out}
    assert read.pairs[0].pair()[1].shape == (32, 32)


def test_the_loss_is_least_at_the_truth_and_counts_false_alarms_in_empty_photos() -> None:
    truth = torch.zeros(1, 1, 32, 32)
    truth[..., 8:24, 8:24] = 1
    sure = (truth * 2 - 1) * 20
    assert matte_loss(sure, truth) < 0.01
    assert pyramid_loss(truth, truth) == 0
    assert matte_loss(-sure, truth) > 2
    nothing = torch.zeros_like(truth)
    assert matte_loss(torch.full_like(truth, 20.0), nothing) > 2
    assert matte_loss(torch.full_like(truth, -20.0), nothing) < 0.01


def test_every_recipe_reads_and_an_unknown_key_is_refused(tmp_path: Path) -> None:
    for path in RECIPES.glob("*.toml"):
        assert read_recipe(path).minutes > 0
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('init = "x.onnx"\nlearning_rate = 1\n')
    with pytest.raises(ValueError, match="learning_rate"):
        read_recipe(wrong)


def test_an_onnx_file_of_another_network_is_refused(weights: Path, tmp_path: Path) -> None:
    model = onnx.load(weights)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    model.graph.node.remove(convolutions[-1])
    other = tmp_path / "other.onnx"
    other.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="convolutions"):
        load_onnx(other)
    assert onnx_network(weights)[1] == SIDE
