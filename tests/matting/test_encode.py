"""Encoding: what is written is what other decoders read, and nothing else travels along."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageCms
from samples import image_of, photo, pixels_of

from openrembg.matting import encode as encoders
from openrembg.matting import libwebp
from openrembg.matting.encode import encode, webp_encoder
from openrembg.matting.layer import Layer
from openrembg.matting.options import Format
from openrembg.matting.srgb import srgb_profile

SIZES = [(1, 1), (2, 3), (7, 5), (641, 333), (1500, 900), (1, 3000), (3000, 1)]


def cut(width: int, height: int) -> Layer:
    y, x = np.mgrid[0:height, 0:width]
    distance = np.hypot(x - width / 2, y - height / 2) / max(1, min(width, height))
    alpha = ((0.5 - distance) * 900).clip(0, 255).astype(np.uint8)
    return Layer(photo(width, height), alpha)


@pytest.mark.parametrize("size", SIZES)
def test_png_keeps_every_visible_pixel(size: tuple[int, int]) -> None:
    layer = cut(*size)
    pixels = pixels_of(encode(layer, "png"))
    assert layer.alpha is not None
    assert layer.rgb is not None
    assert np.array_equal(pixels[..., 3], layer.alpha)
    seen = layer.alpha > 0
    assert np.array_equal(pixels[..., :3][seen], layer.rgb[seen])
    assert not pixels[~seen].any(), "removed background must not hide under zero alpha"


@pytest.mark.parametrize("size", SIZES)
def test_png_of_opaque_colors_and_of_a_matte(size: tuple[int, int]) -> None:
    layer = cut(*size)
    opaque = image_of(encode(Layer(layer.rgb, None), "png"))
    matte = image_of(encode(Layer(None, layer.alpha), "png"))
    assert (opaque.mode, matte.mode) == ("RGB", "L")
    assert np.array_equal(np.asarray(opaque), layer.rgb)
    assert np.array_equal(np.asarray(matte), layer.alpha)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_png_of_noise_of_any_size_comes_back(width: int, height: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (height, width, 3), np.uint8)
    assert np.array_equal(pixels_of(encode(Layer(rgb, None), "png")), rgb)


def test_png_chunks_and_checksums_are_valid() -> None:
    data = encode(cut(1500, 900), "png")
    position, names, deflated = 8, [], b""
    while position < len(data):
        size = struct.unpack(">I", data[position : position + 4])[0]
        name, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + size]
        checksum = struct.unpack(">I", data[position + 8 + size : position + 12 + size])[0]
        assert zlib.crc32(name + body) == checksum
        names.append(name)
        deflated += body if name == b"IDAT" else b""
        position += 12 + size
    assert names[:2] == [b"IHDR", b"sRGB"]
    assert names[-1] == b"IEND"
    assert names.count(b"IDAT") > 2, "large enough for several stripes"
    assert len(zlib.decompress(deflated)) == 900 * (1 + 1500 * 4)


@pytest.mark.parametrize("size", SIZES)
def test_webp_keeps_alpha_exactly_and_colors_closely(size: tuple[int, int]) -> None:
    layer = cut(*size)
    image = image_of(encode(layer, "webp"))
    assert image.size == size
    pixels = np.asarray(image.convert("RGBA"))
    assert layer.alpha is not None
    assert layer.rgb is not None
    assert np.array_equal(pixels[..., 3], layer.alpha)
    solid = layer.alpha == 255
    if solid.sum() > 100:
        difference = pixels[..., :3][solid].astype(int) - layer.rgb[solid]
        assert np.abs(difference).mean() < 6


@pytest.mark.parametrize("size", SIZES)
def test_webp_of_a_matte_is_lossless_grey(size: tuple[int, int]) -> None:
    layer = cut(*size)
    pixels = pixels_of(encode(Layer(None, layer.alpha), "webp"), "RGB")
    assert np.array_equal(pixels[..., 0], layer.alpha)
    assert np.array_equal(pixels[..., 1], pixels[..., 2])


@pytest.mark.parametrize("size", SIZES)
def test_pillows_webp_encoder_stands_in_with_the_same_promises(size: tuple[int, int]) -> None:
    layer = cut(*size)
    assert layer.alpha is not None
    image = image_of(encoders.encode_webp_with_pillow(layer))
    assert np.array_equal(np.asarray(image.convert("RGBA"))[..., 3], layer.alpha)


def test_webp_holds_the_largest_canvas_that_a_turn_makes() -> None:
    side = 14143  # a square of 10000, turned by 45 degrees
    plain = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (side, side, 3))
    file = libwebp.encode_lossy(plain, None, quality=80)
    # Pillow would call it a bomb. RFC 9649, section 2.5, and RFC 6386, section 9.1.
    assert struct.unpack("<HH", file[26:30]) == (side, side)


def test_libwebp_is_in_use_here() -> None:
    assert libwebp.available()
    assert webp_encoder().startswith("libwebp 1.")


@pytest.mark.parametrize("format_", ["jpeg", "bmp"])
@pytest.mark.parametrize("size", SIZES)
def test_formats_without_alpha_take_colors_or_a_matte(
    format_: Format, size: tuple[int, int]
) -> None:
    layer = cut(*size)
    tolerance = 12 if format_ == "jpeg" else 0
    image = image_of(encode(Layer(layer.rgb, None), format_))
    assert image.size == size
    assert layer.rgb is not None
    difference = np.asarray(image.convert("RGB")).astype(int) - layer.rgb
    assert np.abs(difference).mean() <= tolerance / 3
    matte = image_of(encode(Layer(None, layer.alpha), format_))
    assert matte.mode == "L"
    assert layer.alpha is not None
    assert np.abs(np.asarray(matte).astype(int) - layer.alpha).max() <= tolerance


@pytest.mark.parametrize("format_", ["webp", "png", "jpeg", "bmp"])
def test_the_file_is_tagged_srgb_and_carries_nothing_else(format_: Format) -> None:
    layer = cut(64, 48)
    keeps_alpha = format_ in ("webp", "png")
    data = encode(layer if keeps_alpha else Layer(layer.rgb, None), format_)
    info = image_of(data).info
    assert not {"exif", "xmp", "comment", "photoshop", "Software"} & set(info)
    if format_ == "png":
        assert info["srgb"] == 0
    elif format_ == "bmp":
        assert data[14:18] == struct.pack("<I", 108)
        assert data[14 + 56 : 14 + 60] == b"BGRs"
    else:
        assert info["icc_profile"] == srgb_profile()


def test_the_profile_is_srgb_and_the_same_every_day() -> None:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    assert profile.profile.creation_date is not None
    assert profile.profile.creation_date.year == 2026


@pytest.mark.parametrize("format_", ["webp", "png"])
def test_the_same_layer_gives_the_same_bytes_ten_times(format_: Format) -> None:
    layer = cut(1200, 700)
    assert len({encode(layer, format_) for _ in range(10)}) == 1


def test_a_bmp_is_written_without_a_second_copy_of_it() -> None:
    layer = Layer(photo(2000, 1500), None)
    tracemalloc.start()
    size = len(encode(layer, "bmp"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size < peak < size + (6 << 20)
