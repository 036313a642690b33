"""Loading: what is asked for runs, or there is an error that says what to do."""

import dataclasses
import math
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_network import SIDE, mean_weights

from openrembg.matting.errors import CorruptModel, InferenceFailed, ProviderUnavailable
from openrembg.matting.layer import Pixels
from openrembg.matting.runtime import (
    Provider,
    finish,
    is_plain,
    is_subject,
    load_matter,
    prepare,
)
from openrembg.matting.weights import Weights, find_weights

both_runtimes = pytest.mark.parametrize("provider", ["openvino", "onnxruntime"])


def halves(left: int, right: int) -> Pixels:
    """Return a photo for the tiny network: a grey half beside another."""
    pixels = np.full((SIDE, SIDE, 3), right, np.uint8)
    pixels[:, : SIDE // 2] = left
    return pixels


def test_a_corrupt_model_is_not_loaded(tmp_path: Path) -> None:
    good = find_weights()
    data = bytearray(good.path.read_bytes())
    data[len(data) // 2] ^= 1
    bad = tmp_path / "model.onnx"
    bad.write_bytes(data)
    with pytest.raises(CorruptModel):
        load_matter(Weights(good.card, bad))


def test_cuda_without_a_gpu_is_an_error_and_no_silent_fallback() -> None:
    with pytest.raises(ProviderUnavailable, match="CUDA"):
        load_matter(find_weights(), provider="cuda")


def test_the_active_provider_and_precision_are_told() -> None:
    matter = load_matter(find_weights(), provider="onnxruntime", threads=1)
    assert matter.provider == "onnxruntime CPU f32"
    assert load_matter(find_weights(), precision="f32").provider == "OpenVINO CPU f32"


def test_photos_are_normalised_as_the_card_says() -> None:
    card = find_weights().card
    pixels = np.full((2, 2, 3), (0, 102, 204), np.uint8)
    assert prepare(pixels, card)[0, :, 0, 0].tolist() == pytest.approx([0, 0.4, 0.8])
    spec = dataclasses.replace(
        card.input, mean=(0.5, 0.5, 0.5), std=(0.5, 1.0, 2.0), divide_by_max=True
    )
    odd = dataclasses.replace(card, input=spec)
    assert prepare(pixels, odd)[0, :, 0, 0].tolist() == pytest.approx([-1.0, 0.0, 0.25])


def test_answers_are_finished_as_the_card_says() -> None:
    card = find_weights().card
    raw = np.array([[-20.0, 0.0, 20.0]], np.float32)
    sigmoid = dataclasses.replace(
        card, output=dataclasses.replace(card.output, activation="sigmoid")
    )
    assert finish(raw, sigmoid)[0].tolist() == pytest.approx([0.0, 0.5, 1.0])
    stretch = dataclasses.replace(card, output=dataclasses.replace(card.output, stretch=True))
    assert finish(raw, stretch)[0].tolist() == pytest.approx([0.0, 0.5, 1.0])


def test_noise_at_either_end_becomes_empty_and_solid() -> None:
    card = find_weights().card
    raw = np.array([[0.015, 0.5, 0.985]], np.float32)
    assert finish(raw, card)[0].tolist() == pytest.approx([0.0, 0.5, 1.0])


def test_finishing_leaves_the_networks_own_memory_alone() -> None:
    raw = np.full((1, 1, 2, 2), 0.5, np.float32)
    finish(raw, find_weights().card)[:] = 7.0
    assert (raw == 0.5).all()


@both_runtimes
@pytest.mark.parametrize(("shade", "detected"), [(100, False), (153, True)])
def test_the_networks_own_opinion_on_the_subject_counts(
    provider: Provider, shade: int, detected: bool, tmp_path: Path
) -> None:
    weights = mean_weights(tmp_path, subject="subject", stretch=True)
    matte = load_matter(weights, provider=provider).matte_of(halves(shade, 0))
    assert matte.alpha[:, : SIDE // 2].min() == pytest.approx(1.0)
    assert matte.detected is detected


@both_runtimes
def test_a_network_that_is_sure_needs_a_matte_too(provider: Provider, tmp_path: Path) -> None:
    matter = load_matter(mean_weights(tmp_path, subject="subject"), provider=provider)
    red = halves(0, 0)
    red[..., 0] = np.arange(SIDE) * 17
    assert not matter.matte_of(red).detected


@both_runtimes
def test_a_card_without_that_output_leaves_it_to_the_matte(
    provider: Provider, tmp_path: Path
) -> None:
    matter = load_matter(mean_weights(tmp_path, name=None), provider=provider)
    assert matter.matte_of(halves(255, 0)).detected
    assert not matter.matte_of(halves(100, 0)).detected


@both_runtimes
@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ({"name": "alfa"}, "alfa"),
        ({"subject": "object"}, "object"),
        ({"subject": "alpha"}, "subject is .*not one number"),
        ({"name": "subject"}, r"alpha is .*not \[1, 1, h, w\]"),
    ],
)
def test_a_card_that_names_a_wrong_output_is_found_when_loading(
    provider: Provider, outputs: dict[str, str], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(InferenceFailed, match=f"(?s)'mean' does not run: .*{reason}"):
        load_matter(mean_weights(tmp_path, **outputs), provider=provider)


@both_runtimes
def test_an_answer_that_is_no_number_is_an_error(provider: Provider, tmp_path: Path) -> None:
    with pytest.raises(InferenceFailed, match="not numbers"):
        load_matter(mean_weights(tmp_path, mean=(math.nan,) * 3), provider=provider)


@both_runtimes
@pytest.mark.parametrize(
    "normalisation",
    [
        {},
        {"mean": (0.2, 0.1, -0.3)},
        {"mean": (0.2, 0.1, -0.3), "std": (0.5, 2.0, 1.5)},
        {"mean": (0.2, 0.1, -0.3), "std": (0.5, 2.0, 1.5), "divide_by_max": True},
    ],
)
def test_a_runtime_that_normalises_itself_does_as_the_card_says(
    provider: Provider, normalisation: dict[str, Any], tmp_path: Path
) -> None:
    weights = mean_weights(tmp_path, **normalisation)
    pixels = np.random.default_rng(0).integers(0, 200, (SIDE, SIDE, 3), np.uint8)
    expected = finish(prepare(pixels, weights.card).mean(axis=1, keepdims=True), weights.card)
    matter = load_matter(weights, provider=provider, precision="f32")
    assert np.abs(matter.matte_of(pixels).alpha - expected).max() < 1e-5


@both_runtimes
def test_threads_never_get_each_others_mattes(provider: Provider, tmp_path: Path) -> None:
    matter = load_matter(mean_weights(tmp_path), provider=provider, precision="f32")
    shades = range(40, 240, 40)
    alone = {shade: matter.matte_of(halves(shade, 0)).alpha for shade in shades}
    right: list[bool] = []

    def work(shade: int) -> None:
        mattes = (matter.matte_of(halves(shade, 0)) for _ in range(50))
        right.extend(np.array_equal(matte.alpha, alone[shade]) for matte in mattes)

    threads = [threading.Thread(target=work, args=(shade,)) for shade in shades]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert right == [True] * 50 * len(shades)


def test_a_photo_of_one_colour_is_plain_and_a_thin_line_on_it_is_not() -> None:
    pixels = np.full((320, 320, 3), (200, 30, 90), np.uint8)
    assert is_plain(pixels)
    pixels[13] = 255
    assert not is_plain(pixels)


def test_a_speck_is_no_subject() -> None:
    alpha = np.zeros((320, 320), np.float32)
    alpha[:9, :9] = 1.0
    assert not is_subject(alpha)
    alpha[:12, :12] = 1.0
    assert is_subject(alpha)


def test_nothing_is_looked_up_or_called_over_a_network() -> None:
    code = (
        "import sys; "
        "sys.addaudithook(lambda event, _: event.startswith('socket.') and print(event)); "
        "from openrembg.matting.pipeline import default_matter; default_matter()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == ""
