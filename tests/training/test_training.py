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
from training.checkpoint import load_refiner, load_segmenter
from training.data import Archive, Item, SampleMaker, is_held_out, plain, read_archive
from training.evaluate import evaluate
from training.export import Shipped, export, load_shipped, parity
from training.inference import Floats, onnx_network
from training.loss import matte_loss, pyramid_loss, refinement_loss
from training.model import Alone, Segmenter, firm, load_v0
from training.recipe import Recipe, read_recipe
from training.refiner import Pair, Refiner, band, linear_enlargement
from training.subject import SubjectHead, fit, gather
from training.train import start, train

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
    path = tmp_path / "start.pt"
    torch.save({"average": Segmenter().state_dict()}, path)
    return path


def written(module: Alone | Shipped, path: Path, side: int) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls its own exporter deprecated
        export(module, path, side)
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
        threads=1,
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
    assert load_segmenter(run.folder / "best.pt").out.weight.isfinite().all()
    assert list(run.folder.glob("sheet-*.png"))


def test_a_stopped_run_goes_on_where_it_stopped(weights: Path, tmp_path: Path) -> None:
    first = start(recipe(weights, 10), tmp_path / "run")
    train(first, generated(), lambda: first.step == 3)
    assert not (tmp_path / "run" / "best.pt").exists()
    second = start(recipe(weights, 10), tmp_path / "run")
    assert second.step == 3
    assert torch.equal(second.module.out.weight, first.module.out.weight)
    train(second, generated())
    assert second.step == 10


def test_frozen_blocks_stay_as_they_are(weights: Path, tmp_path: Path) -> None:
    run = start(replace(recipe(weights, 2), freeze_blocks=3), tmp_path / "run")
    before = load_segmenter(weights)
    train(run, generated())
    assert torch.equal(run.module.encoder.stem.weight, before.encoder.stem.weight)
    assert not torch.equal(run.module.out.weight, before.out.weight)


def test_a_smaller_side_comes_first(weights: Path, tmp_path: Path) -> None:
    growing = replace(recipe(weights, 4), first_side=32, first_share=0.5)
    run = start(growing, tmp_path / "run")
    seen = []
    train(run, generated(), lambda: bool(seen.append(run.side)) or run.step == 4)
    assert seen == [32, 32, SIDE, SIDE, SIDE]


def test_a_refiner_sharpens_what_its_segmenter_left_soft(weights: Path, tmp_path: Path) -> None:
    first = start(recipe(weights, 60), tmp_path / "segmenter")
    train(first, generated())
    behind = replace(
        recipe(weights, 60),
        init="",
        stage="refiner",
        segmenter=str(first.folder / "best.pt"),
        side=96,
        whole_side=192,
    )
    run = start(behind, tmp_path / "refiner")
    train(run, generated())
    losses = [line["loss"] for line in metrics(run.folder) if "loss" in line]
    assert losses[-1] < 0.9 * losses[0]


def test_an_untrained_refiner_enlarges_the_matte_and_leaves_it_alone() -> None:
    torch.manual_seed(0)
    photo, logits = torch.rand(1, 3, 96, 96), torch.randn(1, 1, 32, 32) * 4
    answer = Refiner()(photo, logits)
    expected = torch.nn.functional.interpolate(
        firm(logits), scale_factor=3, mode="bilinear", align_corners=False
    )
    assert (answer - expected).abs().max() < 1e-4
    assert linear_enlargement(3).sum((1, 2, 3)).allclose(torch.ones(9))


def test_a_refiner_changes_nothing_far_from_the_unsure_parts() -> None:
    torch.manual_seed(0)
    refiner = Refiner()
    torch.nn.init.normal_(refiner.out.weight)
    logits = torch.full((1, 1, 64, 64), -7.0)
    logits[..., :20] = 7.0
    logits[..., 19:21] = 0.0
    reach = band(torch.sigmoid(firm(logits)))[0, 0, 32]
    assert reach[19] > 0.7
    assert (reach[:8] == 0).all()
    assert (reach[34:] == 0).all()
    with torch.no_grad():
        alpha = torch.sigmoid(refiner(torch.rand(1, 3, 192, 192), logits))[0, 0]
    assert (alpha[:, : 3 * 8] > 0.999).all()
    assert (alpha[:, 3 * 34 :] < 0.001).all()
    assert alpha[:, 51:66].std() > 0.01


def test_the_onnx_file_computes_what_the_torch_modules_do(tmp_path: Path) -> None:
    torch.manual_seed(0)
    segmenter, refiner, head = Segmenter(), Refiner(), SubjectHead()
    torch.nn.init.normal_(refiner.out.weight, std=0.1)
    torch.save({"average": segmenter.state_dict()}, tmp_path / "segmenter.pt")
    torch.save({"average": refiner.state_dict()}, tmp_path / "refiner.pt")
    torch.save(head.state_dict(), tmp_path / "subject.pt")
    names = ("segmenter.pt", "subject.pt", "refiner.pt")
    paths = [tmp_path / name for name in names]
    shipped = load_shipped(*paths)
    photos = [np.random.default_rng(at).random((3, 192, 192), np.float32) for at in range(3)]
    path = written(shipped, tmp_path / "shipped.onnx", 192)
    assert parity(shipped, path, photos) < 1e-5
    plain = load_shipped(*paths[:2])
    small = [photo[:, :SIDE, :SIDE] for photo in photos]
    assert parity(plain, written(plain, tmp_path / "plain.onnx", SIDE), small) < 1e-5
    alone = written(Alone(segmenter), tmp_path / "alone.onnx", SIDE)
    assert parity(Alone(segmenter), alone, small) < 1e-5
    outputs = [output.name for output in onnx.load(path).graph.output]
    assert outputs == ["alpha", "subject"]
    with torch.no_grad():
        whole = Pair(segmenter, refiner).eval()(torch.from_numpy(photos[0][None]))
        assert (whole - shipped(torch.from_numpy(photos[0][None]))[0]).abs().max() < 1e-5
        assert shipped.pair is not None
        shipped.pair.refiner.out.weight *= 1.5
    with pytest.raises(ValueError, match="differs from the checkpoint"):
        parity(shipped, path, photos)


def test_the_subject_head_tells_discs_from_nothing(weights: Path) -> None:
    items = generated().pairs
    empty = cv2.imencode(".png", plain(64, random.Random(1)))[1].tobytes()
    rooms = (Item("photos/houses_rooms/1", empty, None),)
    archive = Archive(items, rooms, cutouts=(), held_out=items, held_out_photos=rooms)
    segmenter = load_segmenter(weights).eval().requires_grad_(False)
    positives, negatives = gather(segmenter, archive, share=0.03)
    head = fit(positives, negatives)
    with torch.no_grad():
        found, nothing = head.judge(positives), head.judge(negatives)
    assert (found >= 0).float().mean() > 0.85
    assert found.median() > nothing.quantile(0.9)


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
        known = read_recipe(path)
        assert known.minutes > 0
        for weights in filter(None, (known.init, known.segmenter)):
            assert load_segmenter(RECIPES.parents[1] / weights)
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('init = "x.onnx"\nlearning_rate = 1\n')
    with pytest.raises(ValueError, match="learning_rate"):
        read_recipe(wrong)


def test_the_refinement_loss_counts_only_where_the_matte_may_change() -> None:
    coarse = torch.full((1, 1, 32, 32), -7.0)
    coarse[..., 8:24, 8:24] = 7.0
    truth = torch.zeros(1, 1, 96, 96)
    truth[..., 26:70, 26:70] = 1
    sure = (truth * 2 - 1) * 10
    far = sure.clone()
    far[..., :4, :4] = 10.0
    assert refinement_loss(sure, truth, coarse) < 0.01
    assert refinement_loss(far, truth, coarse) == refinement_loss(sure, truth, coarse)
    assert refinement_loss(-sure, truth, coarse) > 1


V0 = Path(__file__).parents[2] / "training" / "weights" / "v1.onnx"


def test_a_run_starts_from_the_weights_of_the_first_model() -> None:
    segmenter = load_v0(V0)
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(V0).graph.initializer}
    first = next(array for array in stored.values() if array.shape == (32, 3, 3, 3))
    assert np.array_equal(segmenter.encoder.stem.weight.detach().numpy(), first)


def test_a_run_starts_from_the_file_that_ships(tmp_path: Path) -> None:
    torch.manual_seed(0)
    segmenter, written_refiner = Segmenter(), Refiner()
    torch.nn.init.normal_(written_refiner.out.weight)
    shipped = Shipped(segmenter, SubjectHead(), written_refiner)
    path = written(shipped, tmp_path / "shipped.onnx", 96)
    photo = torch.rand(1, 3, 64, 64)
    assert torch.equal(load_segmenter(path)(photo), segmenter(photo))
    refiner = load_refiner(path)
    assert torch.equal(refiner.out.weight, written_refiner.out.weight)
    with pytest.raises(ValueError, match="another network"):
        load_refiner(V0)


def test_an_onnx_file_of_another_network_is_refused(tmp_path: Path) -> None:
    model = onnx.load(V0)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    model.graph.node.remove(convolutions[-1])
    other = tmp_path / "other.onnx"
    other.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="convolutions"):
        load_v0(other)
    assert onnx_network(V0)[1] == 320
