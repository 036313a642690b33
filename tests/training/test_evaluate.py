"""The numbers of an evaluation, on generated photos and networks that are known."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from training.checkpoint import load_segmenter
from training.data import Archive, Item, Photo, to_network
from training.detection import Sight, detection
from training.evaluate import Beside, at_own_size, evaluate, folder_pairs, main, measure, thinned
from training.inference import (
    Answer,
    Floats,
    Model,
    load_model,
    onnx_network,
    resize_matte,
    shipped_runtime,
)
from training.model import Segmenter
from training.refiner import Pair, Refiner
from training.score import edge_band, edges, score, summary
from training.sheet import draw_sheet
from training.speed import speed

SIDE = 64
ROOMS, STREETS = "photos/houses_rooms", "photos/scenes_labelme_lalonde"


def encoded(image: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def disc(name: str, index: int) -> Item:
    """Return a photo of a white disc on a dark ground with its mask."""
    mask = np.zeros((100, 130), np.uint8)
    cv2.circle(mask, (40 + 5 * index, 50), 20 + 2 * index, 255, -1)
    photo = np.where(mask[..., None] > 0, 255, 40).astype(np.uint8).repeat(3, 2)
    return Item(f"{name}/{index}", encoded(photo), encoded(mask))


def grey(name: str, index: int, level: int) -> Item:
    return Item(f"{name}/{index}", encoded(np.full((60, 80, 3), level, np.uint8)), None)


def archive(*sources: str, photos: tuple[Item, ...] = ()) -> Archive:
    held_out = tuple(disc(name, index) for name in sources for index in range(3))
    return Archive((), (), (), held_out, photos)


def bright(planes: Floats) -> Floats:
    """Find what is white: the discs."""
    return np.asarray(planes.max(0) > 0.5, np.float32)


def sees_bright(side: int = 120, error: float = 0.0) -> Model:
    """Return a network that finds the discs, off by so much alpha, and a subject if any."""

    def run(planes: Floats) -> Answer:
        alpha = bright(planes)
        return Answer(np.abs(alpha - np.float32(error)), float(alpha.max()) * 0.9)

    return Model(run, side, "as given")


def as_file(path: Path, *, with_subject: bool) -> Path:
    """Write a network whose alpha is the brightest channel, and its subject the brightest pixel."""
    sizes = {"photo": [1, 3, SIDE, SIDE], "alpha": [1, 1, SIDE, SIDE], "subject": [1, 1]}
    photo, alpha, subject = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in sizes.items()
    )
    nodes = [helper.make_node("ReduceMax", ["photo"], ["alpha"], axes=[1])]
    if with_subject:
        pooled = helper.make_node("ReduceMax", ["alpha"], ["subject"], axes=[2, 3], keepdims=0)
        nodes.append(pooled)
    outputs = [alpha, subject] if with_subject else [alpha]
    graph = helper.make_graph(nodes, "brightest", [photo], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.fixture
def checkpoints(tmp_path: Path) -> tuple[Path, Path]:
    torch.manual_seed(0)
    paths = tmp_path / "segmenter.pt", tmp_path / "refiner.pt"
    for path, module in zip(paths, (Segmenter(), Refiner()), strict=True):
        torch.save({"average": module.state_dict()}, path)
    return paths


def test_every_group_of_photos_gets_its_own_numbers() -> None:
    items = archive("pairs/ccp_fashion", "pairs/duts_tr", "pairs/feral_cats", "pairs/human_vikram")
    numbers = evaluate(bright, 120, items)
    duts, people, sources = (numbers[key] for key in ("duts", "people", "sources"))
    assert isinstance(duts, dict)
    assert isinstance(people, dict)
    assert isinstance(sources, dict)
    assert (numbers["n"], duts["n"], people["n"]) == (12, 3, 6)
    assert list(sources) == sorted({item.source for item in items.held_out})
    assert duts["iou"] > 0.95
    assert duts["mae"] < 0.02
    assert evaluate(bright, 120, archive("pairs/feral_cats"))["people"] is None


def test_an_archive_without_masks_is_refused() -> None:
    with pytest.raises(ValueError, match="no photos with masks"):
        evaluate(bright, 120, archive())


def test_max_f_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(5)
    mattes = [rng.random((20, 30), np.float32) for _ in range(4)]
    masks = [np.asarray(rng.random((20, 30)) + matte > 1.1, np.uint8) * 255 for matte in mattes]
    best = 0.0
    for threshold in range(1, 256):
        found = [np.round(matte * 255) >= threshold for matte in mattes]
        hits = [(one & (mask > 0)).sum() for one, mask in zip(found, masks, strict=True)]
        p = np.mean([hit / max(one.sum(), 1) for hit, one in zip(hits, found, strict=True)])
        r = np.mean([hit / (mask > 0).sum() for hit, mask in zip(hits, masks, strict=True)])
        best = max(best, 1.3 * p * r / (0.3 * p + r))
    numbers = summary(
        [score("a", one, mask, True) for one, mask in zip(mattes, masks, strict=True)]
    )
    assert numbers is not None
    assert numbers["max_f"] == pytest.approx(best, abs=1e-4)


def test_the_edge_band_lies_within_five_pixels_of_the_boundary() -> None:
    truth = np.zeros((40, 40), np.uint8)
    truth[:, 20:] = 255
    band = edge_band(truth)
    assert band[:, 15:25].all()
    assert band.sum() == 40 * 10


def test_edges_count_only_what_is_near_them() -> None:
    truth = np.zeros((320, 320), np.uint8)
    truth[:, 160:] = 255
    hole = (truth > 0).astype(np.float32)
    hole[100:200, 250:300] = 0
    moved = np.asarray(np.roll(truth, 3, 1) > 0, np.float32)
    assert edges(hole, truth).native == 1
    assert edges(moved, truth).at_320 < 0.7


def test_refinement_is_measured_before_and_after() -> None:
    items = archive("pairs/discs").held_out

    def coarse(planes: Floats) -> Answer:
        small = cv2.resize(bright(planes), (12, 12))
        return Answer(np.asarray(cv2.resize(small, (40, 40)), np.float32))

    def both(photo: Photo) -> tuple[Floats, Floats]:
        planes = to_network(photo, 120)
        return coarse(planes).alpha, bright(planes)

    beside = Beside(before=Model(coarse, 40, "as given"), large=both)
    numbers = measure(sees_bright(), beside, items[1:2], ())["edges"]
    assert isinstance(numbers, dict)
    assert set(numbers["before"]) == {"at_320", "native", "large"}
    for size, after in numbers["after"].items():
        assert after > numbers["before"][size] + 0.02
    alone = measure(sees_bright(), Beside(), items, ())["edges"]
    assert isinstance(alone, dict)
    assert alone["before"] == {"at_320": None, "native": None, "large": None}
    assert alone["after"]["large"] is None


def test_both_networks_run_at_the_photos_own_size(checkpoints: tuple[Path, Path]) -> None:
    run = at_own_size(*checkpoints)
    segmenter = load_segmenter(checkpoints[0]).eval()
    rng = np.random.default_rng(3)
    for size, side in (((300, 200), 288), ((120, 380), 384), ((50, 60), 192)):
        photo = rng.integers(0, 256, (*size, 3), np.uint8)
        before, after = run(photo)
        planes = torch.from_numpy(to_network(photo, side)[None])
        third = torch.nn.functional.avg_pool2d(planes, 3)
        with torch.no_grad():
            first = torch.sigmoid(segmenter(third))[0, 0].numpy()
            whole = Pair(segmenter, Refiner())(planes)[0, 0].numpy()
        assert before.shape == (side // 3, side // 3)
        assert after.shape == (side, side)
        assert np.abs(before - first).max() < 1e-4
        # Neither refiner is trained: both only enlarge.
        assert np.abs(after - whole).max() < 1e-4


def test_the_shipped_precision_is_compared_with_f32() -> None:
    beside = Beside(exact=sees_bright(120, 0.0296))
    numbers = measure(sees_bright(120, 0.068), beside, archive("pairs/discs").held_out, ())
    close = numbers["precision"]
    assert isinstance(close, dict)
    assert close["n"] == 3
    assert close["difference"] == pytest.approx(0.04, abs=0.002)
    assert close["mae"] - close["f32_mae"] == pytest.approx(0.04, abs=0.002)
    assert measure(sees_bright(), Beside(), archive("a").held_out, ())["precision"] is None


def test_missed_subjects_and_false_alarms_are_counted_by_place() -> None:
    photos = (
        *(grey(ROOMS, index, 30) for index in range(3)),
        grey(ROOMS, 3, 250),
        *(grey(STREETS, index, 250) for index in range(2)),
    )
    items = archive("pairs/discs", photos=photos)
    numbers = measure(sees_bright(), Beside(), items.held_out, items.held_out_photos)
    found = numbers["detection"]
    assert isinstance(found, dict)
    for rule in ("both", "subject", "area"):
        assert found[rule]["missed"] == {"share": 0.0, "n": 3}
        assert found[rule]["rooms"] == {"share": 0.25, "n": 4}
        assert found[rule]["streets"] == {"share": 1.0, "n": 2}
        assert found[rule]["plain"]["n"] == 60
    assert numbers["false_alarms"] == {
        ROOMS: {">1%": 0.25, ">5%": 0.25, ">20%": 0.25},
        STREETS: {">1%": 1.0, ">5%": 1.0, ">20%": 1.0},
    }


def test_the_files_own_opinion_may_differ_from_the_foreground() -> None:
    shy = Sight("pairs/discs", foreground=0.3, subject=0.4)
    bold = Sight(ROOMS, foreground=0.0, subject=0.5)
    numbers = detection([shy], [bold], [])
    assert numbers["subject"] == {
        "missed": {"share": 1.0, "n": 1},
        "rooms": {"share": 1.0, "n": 1},
        "streets": {"share": None, "n": 0},
        "plain": {"share": None, "n": 0},
    }
    by_area = numbers["area"]
    assert isinstance(by_area, dict)
    assert by_area["missed"]["share"] == by_area["rooms"]["share"] == 0
    both = numbers["both"]
    assert isinstance(both, dict)
    assert both["missed"]["share"] == 1
    assert both["rooms"]["share"] == 0
    silent = replace(shy, subject=None)
    assert silent.has_subject
    assert detection([silent], [], [])["subject"] is None


def test_a_file_gives_alpha_and_subject_in_every_runtime(tmp_path: Path) -> None:
    planes = np.random.default_rng(2).random((3, SIDE, SIDE), np.float32) * np.float32(0.9)
    path = as_file(tmp_path / "both.onnx", with_subject=True)
    for runtime in ("openvino-f32", "onnxruntime", shipped_runtime()):
        model = load_model(path, runtime)
        answer = model.run(planes)
        assert model.side == SIDE
        assert np.abs(answer.alpha - planes.max(0)).max() < 0.005
        assert answer.subject == pytest.approx(planes.max(), abs=0.005)
        model.run(planes * 0)
        assert answer.alpha.max() > 0.8
    network, side = onnx_network(as_file(tmp_path / "alpha.onnx", with_subject=False))
    assert side == SIDE
    assert np.array_equal(network(planes), planes.max(0))


def test_speed_and_size_are_those_of_the_file(tmp_path: Path) -> None:
    path = as_file(tmp_path / "brightest.onnx", with_subject=True)
    numbers = speed(path, "onnxruntime", rounds=2)
    shipped = numbers["shipped"]
    assert isinstance(shipped, dict)
    assert numbers["bytes"] == path.stat().st_size
    assert numbers["f32"] is None
    assert shipped["runtime"] == "onnxruntime"
    assert shipped["ms_1_thread"] > 0
    assert shipped["ms_2_threads"] > 0


def test_a_folder_of_photos_and_masks_is_evaluated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], checkpoints: tuple[Path, Path]
) -> None:
    images, masks = tmp_path / "Image", tmp_path / "Mask"
    for folder in (images, masks):
        folder.mkdir()
    for index in range(4):
        item = disc("pairs/discs", index)
        cv2.imwrite(str(images / f"{index}.jpg"), item.rgb())
        cv2.imwrite(str(masks / f"{index}.png"), item.pair()[1])
    path = as_file(tmp_path / "brightest.onnx", with_subject=True)
    options = ["--folder", str(images), str(masks), "--rounds", "1", "--before", str(path)]
    options += ["--segmenter", str(checkpoints[0]), "--refiner", str(checkpoints[1])]
    main([str(path), *options, "--most", "2"])
    numbers = json.loads(capsys.readouterr().out)
    assert list(numbers) == [
        *("runtime", "side", "n", "mae", "iou", "edge_iou", "max_f", "missed"),
        *("duts", "people", "sources", "false_alarms", "empty_share"),
        *("edges", "precision", "detection", "speed"),
    ]
    assert numbers["n"] == 2
    assert numbers["runtime"] == shipped_runtime()
    assert numbers["max_f"] > 0.97
    assert numbers["sources"]["Image"]["iou"] > 0.9
    assert numbers["edges"]["before"]["native"] == numbers["edge_iou"]
    assert numbers["edges"]["after"]["large"] is not None
    assert numbers["detection"]["subject"]["missed"] == {"share": 0.0, "n": 2}
    assert numbers["detection"]["subject"]["rooms"] == {"share": None, "n": 0}
    (masks / "3.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"3\.jpg has no mask"):
        folder_pairs(images, masks)
    with pytest.raises(FileNotFoundError, match="no photo"):
        folder_pairs(tmp_path, masks)


def test_a_trial_takes_photos_from_everywhere() -> None:
    assert thinned(range(10), 4) == range(0, 10, 3)
    assert thinned(range(3), 5) == range(3)
    assert thinned(range(3), None) == range(3)


def test_half_of_the_checkpoints_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["x.onnx", "--data", "x", "--segmenter", "best.pt"])
    assert "go together" in capsys.readouterr().err


def test_the_sheet_shows_the_matte_before_refinement_too(tmp_path: Path) -> None:
    plain, more = tmp_path / "plain.png", tmp_path / "more.png"
    items = archive("pairs/discs")
    draw_sheet(bright, 96, items, plain)
    draw_sheet(bright, 96, items, more, sees_bright(96))
    narrow, wide = (cv2.imread(str(path)) for path in (plain, more))
    assert narrow is not None
    assert wide is not None
    assert wide.shape[1] * 4 == narrow.shape[1] * 5


def test_photos_and_mattes_are_resized_as_the_package_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "src")
    from openrembg.matting.downsample import downsample
    from openrembg.matting.upsample import upsample

    rng = np.random.default_rng(4)
    rough = rng.integers(0, 256, (30, 40, 3), np.uint8)
    photo = np.asarray(cv2.resize(rough, (320, 240), interpolation=cv2.INTER_CUBIC), np.uint8)
    for side, levels in ((960, 0.01), (320, 0.01), (240, 1.0), (100, 2.0)):
        shipped = downsample(photo, side, side).transpose(2, 0, 1)
        assert np.abs(to_network(photo, side) * 255 - shipped).mean() < levels
    alpha = cv2.resize(rng.random((40, 40), np.float32), (300, 300)).clip(0, 1)
    for width, height in ((500, 400), (200, 150), (700, 120)):
        matte = resize_matte(alpha, width, height)
        assert np.abs(matte * 255 - upsample(alpha, width, height)).max() < 2.5
