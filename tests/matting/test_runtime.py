"""Loading: what is asked for runs, or there is an error that says what to do."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from openrembg.matting.errors import CorruptModel, ProviderUnavailable
from openrembg.matting.runtime import finish, is_subject, load_matter, prepare
from openrembg.matting.weights import Weights, find_weights


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
