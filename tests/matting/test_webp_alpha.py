"""The ALPH chunk: libwebp reads back every value that we wrote."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from openrembg.matting.layer import Pixels
from openrembg.matting.webp_alpha import code_lengths, encode_alpha, encode_grey

PATTERNS = ["empty", "full", "noise", "sparse", "two", "ramp", "disc", "one value"]


def pattern(name: str, height: int, width: int, seed: int = 0) -> Pixels:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    disc = (1.2 - np.hypot(x - width / 2, y - height / 2) / max(1, min(height, width))) * 400
    planes = {
        "empty": np.zeros((height, width)),
        "full": np.full((height, width), 255),
        "noise": rng.integers(0, 256, (height, width)),
        "sparse": (rng.random((height, width)) < 0.001) * 200,
        "two": (rng.random((height, width)) < 0.5) * 255,
        "ramp": x * 255 / max(1, width - 1),
        "disc": disc.clip(0, 255),
        "one value": np.full((height, width), 77),
    }
    return planes[name].astype(np.uint8)


def read_back(alpha: Pixels) -> Pixels:
    """Return what libwebp's decoder, through Pillow, makes of our chunk."""
    height, width = alpha.shape
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "WEBP", method=0)
    body = encode_alpha(alpha)
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = b"WEBPVP8X" + struct.pack("<II", 10, 0x10) + canvas
    chunks += b"ALPH" + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)
    chunks += file.getvalue()[12:]
    data = b"RIFF" + struct.pack("<I", len(chunks)) + chunks
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))[..., 3]


def read_back_grey(grey: Pixels) -> Pixels:
    body = encode_grey(grey)
    chunks = b"WEBPVP8L" + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)
    return np.asarray(Image.open(io.BytesIO(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)))


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 2), (2, 1), (7, 5), (1, 10000), (9000, 1), (700, 900)]
)
@pytest.mark.parametrize("name", PATTERNS)
def test_a_decoder_gets_every_value_back(name: str, size: tuple[int, int]) -> None:
    alpha = pattern(name, *size)
    assert np.array_equal(read_back(alpha), alpha)
    assert np.array_equal(read_back_grey(alpha), np.dstack([alpha] * 3))


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(PATTERNS), st.integers(1, 150), st.integers(1, 150), st.integers(0, 99))
def test_any_size_of_any_pattern_comes_back(name: str, height: int, width: int, seed: int) -> None:
    alpha = pattern(name, height, width, seed)
    assert np.array_equal(read_back(alpha), alpha)
    assert np.array_equal(read_back_grey(alpha), np.dstack([alpha] * 3))


def test_a_large_flat_matte_is_tiny() -> None:
    assert len(encode_alpha(pattern("full", 3000, 4000))) < 5000
    assert len(encode_alpha(pattern("disc", 1000, 1000))) < 60_000


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=280), st.sampled_from([7, 15]))
def test_code_lengths_form_a_complete_code(counts: list[int], longest: int) -> None:
    counts = counts[: 2**longest - 1]
    lengths = code_lengths(np.array(counts), longest)
    used = [int(length) for length, count in zip(lengths, counts, strict=True) if count]
    assert all((length > 0) == (count > 0) for length, count in zip(lengths, counts, strict=True))
    if len(used) > 1:
        assert sum(2.0**-length for length in used) == 1.0
        assert max(used) <= longest
