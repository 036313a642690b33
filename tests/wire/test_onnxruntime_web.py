"""The weights that ship, in the runtime that browsers use: onnxruntime-web, run by Node."""

import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from openrembg.matting.runtime import finish, load_matter, prepare
from openrembg.matting.weights import Weights, find_weights
from pictures import opened, picture
from services import program

Floats = NDArray[np.float32]
Answer = dict[str, Floats]

NODE = Path(__file__).parent / "node"
NODE_S = 120
LARGEST_DIFFERENCE = 1e-3
MEAN_DIFFERENCE = 1e-5


@pytest.fixture(scope="module")
def weights() -> Weights:
    """The model that ships."""
    return find_weights()


@pytest.fixture(scope="module")
def photos(weights: Weights) -> list[NDArray[np.uint8]]:
    """One subject with a sharp outline and with a soft one, uint8[side, side, 3] each."""
    side = weights.card.input.side
    sharp = np.array(opened(picture("PNG", side, side)))
    return [sharp, np.asarray(cv2.GaussianBlur(sharp, (0, 0), side / 80), np.uint8)]


@pytest.fixture(scope="module")
def answers(
    weights: Weights, photos: list[NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory
) -> list[Answer]:
    """Every output for every photo, from one process of Node's."""
    folder = tmp_path_factory.mktemp("onnxruntime-web")
    paths = [folder / str(number) for number in range(len(photos))]
    planes = [prepare(photo, weights.card) for photo in photos]
    for path, plane in zip(paths, planes, strict=True):
        path.write_bytes(plane.tobytes())
    asked = {
        "model": str(weights.path),
        "photos": [str(path) for path in paths],
        "dims": planes[0].shape,
    }
    done = subprocess.run(
        [program("node"), str(NODE / "infer.mjs"), json.dumps(asked)],
        capture_output=True,
        text=True,
        timeout=NODE_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    print("one inference in WebAssembly, ms:", [round(it["milliseconds"]) for it in results])
    return [
        {
            name: np.fromfile(f"{path}.{name}", np.float32).reshape(dims)
            for name, dims in result["dims"].items()
        }
        for path, result in zip(paths, results, strict=True)
    ]


def test_a_browser_computes_every_output_as_onnxruntime_does(
    weights: Weights, photos: list[NDArray[np.uint8]], answers: list[Answer]
) -> None:
    session = onnxruntime.InferenceSession(weights.read(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for photo, answer in zip(photos, answers, strict=True):
        expected = session.run(names, {session.get_inputs()[0].name: prepare(photo, weights.card)})
        assert sorted(answer) == sorted(names)
        for name, value in zip(names, expected, strict=True):
            assert answer[name].shape == value.shape
            assert_close(answer[name], value)


def test_a_browser_gets_the_matte_that_the_server_gets(
    weights: Weights, photos: list[NDArray[np.uint8]], answers: list[Answer]
) -> None:
    matter = load_matter(weights, precision="f32")
    for photo, answer in zip(photos, answers, strict=True):
        alpha = finish(answer[weights.card.output.name or next(iter(answer))][0, 0], weights.card)
        assert 0.1 < (alpha > 0.5).mean() < 0.6, "the oval is a quarter of the photo"
        assert_close(alpha, matter.matte_of(photo).alpha)


def assert_close(actual: Floats, expected: Floats) -> None:
    difference = np.abs(actual - expected)
    assert difference.max() < LARGEST_DIFFERENCE
    assert difference.mean() < MEAN_DIFFERENCE
