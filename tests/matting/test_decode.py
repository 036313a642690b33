"""Decoding: every mode and turn, limits before pixels, and files that lie."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from samples import file_of, photo, pixels_of

from openrembg.matting.decode import Source
from openrembg.matting.downsample import downsample
from openrembg.matting.errors import ImageError, ImageTooLarge, UndecodableImage, UnsupportedImage
from openrembg.matting.header import read_header
from openrembg.matting.jpeg_scans import check_jpeg_scans
from openrembg.matting.sniff import sniff

WRITABLE = {
    "png": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "jpeg": ["L", "RGB", "CMYK"],
    "webp": ["RGB", "RGBA"],
    "bmp": ["1", "L", "P", "RGB"],
}
CASES = [(format_, mode) for format_, modes in WRITABLE.items() for mode in modes]


def in_mode(mode: str) -> Image.Image:
    pixels = photo(40, 30)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    if mode in ("LA", "RGBA"):
        alpha = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (30, 1))
        image = Image.fromarray(np.dstack([pixels, alpha]))
        return image if mode == "RGBA" else image.convert("LA")
    return Image.fromarray(pixels).convert(mode)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_of(width: int, height: int, idat: bytes, depth: int = 8, kind: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", idat) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("format_", "mode"), CASES)
def test_every_mode_of_every_format_decodes_to_the_same_colors(format_: str, mode: str) -> None:
    image = in_mode(mode)
    options = {"quality": 95} if format_ == "jpeg" else {"lossless": True, "exact": True}
    data = file_of(image, format_, **(options if format_ in ("jpeg", "webp") else {}))

    decoded = Source(data).photo()

    expected = pixels_of(data, "RGB") if mode != "I;16" else None
    if expected is None:
        expected = np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
    assert decoded.rgb.shape == (30, 40, 3)
    assert np.abs(decoded.rgb.astype(int) - expected).max() <= (3 if format_ == "jpeg" else 0)
    assert (decoded.alpha is not None) == (mode in ("LA", "RGBA"))


@pytest.mark.parametrize("format_", ["png", "webp"])
def test_alpha_of_the_file_is_kept(format_: str) -> None:
    image = in_mode("RGBA")
    decoded = Source(file_of(image, format_, lossless=True, exact=True)).photo()
    assert decoded.alpha is not None
    assert np.array_equal(decoded.alpha, np.asarray(image)[..., 3])


def test_a_transparent_palette_entry_is_alpha() -> None:
    image = Image.new("P", (4, 1))
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2, 3])
    decoded = Source(file_of(image, "png", transparency=1)).photo()
    assert decoded.alpha is not None
    assert decoded.alpha.tolist() == [[255, 0, 255, 255]]
    assert decoded.rgb[0, 2].tolist() == [0, 255, 0]


def test_a_color_key_of_a_16_bit_grey_png_is_alpha() -> None:
    deep = np.array([[0, 1000, 65535]], np.uint16)
    header = struct.pack(">IIBBBBB", 3, 1, 16, 0, 0, 0, 0)
    idat = zlib.compress(b"\0" + deep.astype(">u2").tobytes())
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"tRNS", struct.pack(">H", 1000))
        + chunk(b"IDAT", idat)
        + chunk(b"IEND", b"")
    )
    decoded = Source(data).photo()
    assert decoded.alpha is not None
    assert decoded.alpha.tolist() == [[255, 0, 255]]
    assert decoded.rgb[0, :, 0].tolist() == [0, 1000 >> 8, 255]


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_color_key_of_a_shallow_grey_png_is_alpha(depth: int) -> None:
    two_pixels = zlib.compress(bytes([0, 1 << (8 - depth)]))  # 1, which is the key, and 0
    data = png_of(2, 1, two_pixels, depth)
    key = chunk(b"tRNS", b"\x00\x01")
    pixels = chunk(b"IDAT", two_pixels)
    alpha = Source(data.replace(pixels, key + pixels)).photo().alpha
    assert alpha is not None
    assert alpha.tolist() == [[0, 255]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", ["jpeg", "png", "webp"])
def test_exif_turns_the_photo_upright(format_: str, orientation: int) -> None:
    upright = np.zeros((24, 40, 3), np.uint8)
    upright[:12, :20], upright[:12, 20:], upright[12:, :20] = 250, 170, 90
    undo = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
        8: lambda p: np.rot90(p, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(undo(upright))
    options = {"lossless": True} if format_ == "webp" else {}
    options = {"quality": 95} if format_ == "jpeg" else options
    source = Source(file_of(stored, format_, exif=exif.tobytes(), **options))

    assert source.upright_size == (40, 24)
    assert np.abs(source.photo().rgb.astype(int) - upright).max() <= 6
    assert np.abs(source.scaled(8)[1, 1].astype(int) - 250).max() <= 6


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_a_broken_exif_block_counts_as_none(exif: bytes) -> None:
    assert read_header(file_of(photo(), "jpeg", exif=exif)).orientation == 1


def test_a_wide_gamut_profile_is_converted_to_srgb() -> None:
    swapped = swapped_channels_profile()
    grey_red = np.full((8, 8, 3), (200, 60, 60), np.uint8)
    expected = ImageCms.profileToProfile(
        Image.fromarray(grey_red),
        ImageCms.ImageCmsProfile(io.BytesIO(swapped)),
        ImageCms.createProfile("sRGB"),
    )
    for format_, tolerance in (("png", 0), ("jpeg", 4), ("webp", 0)):
        options = {"lossless": True} if format_ == "webp" else {}
        data = file_of(grey_red, format_, icc_profile=swapped, **options)
        difference = Source(data).photo().rgb.astype(int) - np.asarray(expected)
        assert np.abs(difference).max() <= tolerance
        assert np.abs(Source(data).photo().rgb.astype(int) - grey_red).max() > 20


def swapped_channels_profile() -> bytes:
    """Return sRGB with its red and green primaries exchanged: a profile one cannot overlook."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile = profile.replace(b"rXYZ", b"tXYZ", 1).replace(b"gXYZ", b"rXYZ", 1)
    profile = profile.replace(b"tXYZ", b"gXYZ", 1)
    return bytes(profile.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be")))


@pytest.mark.parametrize(
    ("format_", "dtype"), [("png", np.uint8), ("jpeg", np.uint8), ("png", np.uint16)]
)
def test_a_grey_profile_is_converted_to_srgb(format_: str, dtype: type[np.unsignedinteger]) -> None:
    grey = np.full((8, 8), 100, dtype) * (257 if dtype is np.uint16 else 1)
    data = file_of(Image.fromarray(grey.astype(dtype)), format_, icc_profile=linear_grey_profile())
    # 100 of 255 of linear light is 168 in sRGB (IEC 61966-2-1).
    assert np.abs(Source(data).photo().rgb.astype(int) - 168).max() <= 2


def linear_grey_profile() -> bytes:
    """Return a grey profile whose values are linear light (ICC.1:2022, sections 7.2 and 8.3.4)."""
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(78 + 1),
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061),
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">I", 0),
    }
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(value))
        body += value
    size = 128 + len(table) + len(body)
    header = struct.pack(">I4s4s4s4s4s", size, b"test", b"\x02\x10\0\0", b"mntr", b"GRAY", b"XYZ ")
    header += struct.pack(">6H4s28x3i", 2026, 1, 1, 0, 0, 0, b"acsp", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + body


def test_an_srgb_profile_changes_nothing() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = photo()
    assert np.array_equal(Source(file_of(pixels, "png", icc_profile=srgb)).photo().rgb, pixels)


@pytest.mark.parametrize("icc", [b"garbage", b"\0" * 200])
def test_a_broken_profile_is_ignored(icc: bytes) -> None:
    pixels = photo()
    assert np.array_equal(Source(file_of(pixels, "png", icc_profile=icc)).photo().rgb, pixels)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (10, 6), color) for color in ("red", "blue")]
    data = file_of(frames[0], "webp", save_all=True, append_images=frames[1:], lossless=True)
    decoded = Source(data).photo()
    assert decoded.rgb[3, 3].tolist() == [255, 0, 0]


@pytest.mark.parametrize("format_", ["png", "jpeg", "webp", "bmp"])
@pytest.mark.parametrize("size", [(1, 1), (10000, 1), (1, 10000)])
def test_the_thinnest_pictures_decode(format_: str, size: tuple[int, int]) -> None:
    source = Source(file_of(Image.new("RGB", size, "teal"), format_))
    assert source.photo().rgb.shape == (size[1], size[0], 3)
    assert source.scaled(32).shape == (32, 32, 3)


@pytest.mark.parametrize("format_", ["png", "jpeg", "webp", "bmp"])
def test_a_side_over_10000_is_refused_from_the_header(format_: str) -> None:
    data = file_of(Image.new("1" if format_ == "bmp" else "L", (10001, 1)).convert("L"), format_)
    with pytest.raises(ImageTooLarge) as caught:
        Source(data)
    assert caught.value.messages == (
        "Image width (10001px) exceeds the maximum allowed width of 10000px.",
    )


def test_both_sides_over_the_limit_give_two_messages_and_no_memory() -> None:
    giant = png_of(60000, 50000, zlib.compress(b""))
    tracemalloc.start()
    with pytest.raises(ImageTooLarge) as caught:
        Source(giant)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(caught.value.messages) == 2
    assert caught.value.messages[1].startswith("Image height (50000px)")
    assert peak < 1 << 20


@pytest.mark.parametrize("format_", ["png", "jpeg", "webp", "bmp"])
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
def test_a_torn_file_does_not_decode(format_: str, keep: float) -> None:
    data = file_of(photo(200, 150), format_)
    with pytest.raises(ImageError):
        Source(data[: int(len(data) * keep)]).photo()


def test_a_jpeg_of_a_larger_size_than_its_data_does_not_decode() -> None:
    data = bytearray(file_of(photo(16, 16), "jpeg"))
    frame = data.index(b"\xff\xc0") + 5
    data[frame : frame + 4] = struct.pack(">HH", 900, 900)
    with pytest.raises(UndecodableImage):
        Source(bytes(data)).photo()


def test_a_jpeg_with_harmless_garbage_before_its_end_decodes() -> None:
    data = file_of(photo(), "jpeg")
    torn = data[:-2] + b"\0\1\2" + data[-2:]
    assert Source(torn).photo().rgb.shape == (48, 64, 3)


def test_a_torn_jpeg_does_not_decode_at_network_size_either() -> None:
    data = file_of(photo(2600, 1950), "jpeg")
    with pytest.raises(UndecodableImage):
        Source(data[: len(data) // 2]).scaled(64)


def test_a_png_with_a_wrong_checksum_does_not_decode() -> None:
    data = bytearray(file_of(photo(), "png"))
    data[data.index(b"IDAT") + 20] ^= 1
    with pytest.raises(UndecodableImage):
        Source(bytes(data)).photo()


def test_a_png_with_too_few_rows_does_not_decode() -> None:
    with pytest.raises(UndecodableImage):
        Source(png_of(5000, 5000, zlib.compress(b"\0" * 100))).photo()


def test_a_jpeg_with_hundreds_of_scans_is_refused() -> None:
    data = file_of(photo(), "jpeg", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(UndecodableImage):
        Source(data[:-2] + scan * 200 + b"\xff\xd9").photo()


def test_a_film_behind_a_jpeg_is_not_counted_as_scans() -> None:
    film = b"\xff\xda\x00\x02" * 100
    data = file_of(photo(40, 30), "jpeg")
    assert np.array_equal(Source(data + film).photo().rgb, Source(data).photo().rgb)


def test_what_looks_like_scans_inside_a_segment_is_not_counted() -> None:
    data = file_of(photo(40, 30), "jpeg")
    notes = b"\xff\xe3" + struct.pack(">H", 402) + b"\xff\xda\x00\x02" * 100
    assert np.array_equal(Source(data[:2] + notes + data[2:]).photo().rgb, Source(data).photo().rgb)


def test_a_webp_frame_smaller_than_its_canvas_does_not_pretend() -> None:
    inner = file_of(photo(20, 10), "webp")
    vp8x = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (9999).to_bytes(3, "little") * 2
    body = b"WEBP" + vp8x + inner[12:]
    data = b"RIFF" + struct.pack("<I", len(body)) + body
    assert read_header(data).width == 10000
    with pytest.raises(UndecodableImage):
        Source(data).photo()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a" + b"\0" * 50,
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0" + b"\0" * 64,
        b"RIFF\x10\0\0\0WEBP",
        b"RIFF\x10\0\0\0WEBPVP8 \x04\0\0\0abcd",
        b"BM" + b"\0" * 60,
        b"%PDF-1.7",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"II*\0" + b"\0" * 40,
    ],
)
def test_other_bytes_and_broken_headers_are_unsupported(data: bytes) -> None:
    with pytest.raises(UnsupportedImage):
        read_header(data)


@pytest.mark.parametrize("format_", ["png", "jpeg", "webp", "bmp"])
def test_the_bytes_tell_the_format(format_: str) -> None:
    assert sniff(file_of(photo(), format_)) == format_


@pytest.mark.filterwarnings("ignore")  # Pillow warns of much before it raises
@given(
    st.sampled_from(["png", "jpeg", "webp", "bmp"]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=12),
    st.integers(0, 400),
)
def test_mutated_files_decode_or_raise_an_image_error(
    format_: str, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(file_of(photo(24, 18), format_))
    for position, value in changes:
        data[position % len(data)] = value
    try:
        source = Source(bytes(data[: max(12, len(data) - cut)]))
        if source.header.pixels < 1_000_000:
            decoded = source.photo()
            assert decoded.rgb.shape == (*source.upright_size[::-1], 3)
    except ImageError:
        pass


def test_a_large_jpeg_gives_the_network_the_same_photo_by_its_short_cut() -> None:
    pixels = np.asarray(Image.fromarray(photo(400, 300)).resize((2600, 1950)))
    source = Source(file_of(pixels, "jpeg", quality=95))
    short_cut = source.scaled(100).astype(int)
    full = Source(file_of(pixels, "png")).scaled(100).astype(int)
    assert np.abs(short_cut - full).mean() < 2


def test_a_small_output_lets_a_jpeg_decode_smaller_but_never_too_small() -> None:
    source = Source(file_of(photo(2600, 1950), "jpeg"))
    small = source.photo(300, 200)
    assert small.width < 1600
    assert small.width >= 300
    assert small.height >= 200


def test_a_jpeg_is_never_decoded_to_more_than_half_its_size_but_less_than_the_whole() -> None:
    source = Source(file_of(photo(2600, 1950), "jpeg"))
    assert source.photo(1700, 1200).width == 2600


def test_a_jpeg_too_small_to_halve_gives_the_network_the_pixels_of_the_output() -> None:
    source = Source(file_of(photo(2600, 1900), "jpeg"))
    assert np.array_equal(source.scaled(320), downsample(source.photo().rgb, 320, 320))


def test_hidden_colors_never_reach_the_network() -> None:
    alpha = np.zeros((60, 80), np.uint8)
    alpha[20:40, 20:60] = 255
    seen = [
        Source(file_of(np.dstack([np.full((60, 80, 3), hidden, np.uint8), alpha]), "png")).scaled(
            40
        )
        for hidden in (0, 200)
    ]
    outside = np.ones((40, 40), bool)
    outside[12:28, 8:32] = False
    assert (seen[0][outside] == 255).all()
    assert (seen[1][outside] == 255).all()


@pytest.mark.parametrize("format_", ["png", "jpeg", "webp", "bmp"])
@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_any_bytes_decode(format_: str, kind: type[bytearray] | type[memoryview]) -> None:
    data = file_of(photo(40, 30), format_)
    decoded = Source(kind(data)).photo()  # type: ignore[arg-type]
    assert np.array_equal(decoded.rgb, Source(data).photo().rgb)


def test_a_small_output_never_shrinks_what_the_network_sees() -> None:
    data = file_of(photo(1200, 900), "jpeg")
    source = Source(data)
    source.photo(40, 30)
    assert np.array_equal(source.scaled(320), Source(data).scaled(320))


def runs(width: int, height: int, codes: bytes, *, nibbles: bool = False) -> bytes:
    """Return a BMP with compressed rows, whose colour number n is (n, 2n, 3n)."""
    depth = 4 if nibbles else 8
    colors = b"".join(bytes((3 * n % 256, 2 * n % 256, n, 0)) for n in range(2**depth))
    head = struct.pack("<IiiHHII", 40, width, height, 1, depth, 2 if nibbles else 1, len(codes))
    info = head + struct.pack("<iiII", 0, 0, 2**depth, 0) + colors
    return (
        b"BM"
        + struct.pack("<IHHI", 14 + len(info) + len(codes), 0, 0, 14 + len(info))
        + info
        + codes
    )


@pytest.mark.parametrize(
    ("codes", "nibbles", "rows"),
    [
        (b"\4\7\0\0" + b"\0\4\1\2\3\4\0\0" + b"\0\1", False, [[1, 2, 3, 4], [7, 7, 7, 7]]),
        (b"\1\7\0\3\1\2\3\0\0\0" + b"\0\2\2\0\2\5\0\1", False, [[0, 0, 5, 5], [7, 1, 2, 3]]),
        (b"\4\x12\0\0" + b"\0\4\x34\x56\0\1", True, [[3, 4, 5, 6], [1, 2, 1, 2]]),
    ],
)
def test_compressed_rows_of_a_bmp_decode(
    codes: bytes, nibbles: bool, rows: list[list[int]]
) -> None:
    photo = Source(runs(4, 2, codes, nibbles=nibbles)).photo()
    assert (photo.rgb // [1, 2, 3])[..., 0].tolist() == rows
    assert (photo.rgb == np.array(rows)[..., None] * [1, 2, 3]).all()


def test_compressed_rows_that_end_early_do_not_decode() -> None:
    with pytest.raises(UndecodableImage):
        Source(runs(400, 200, b"\4\7\0\0")).photo()


def test_the_first_frame_lies_where_it_belongs_on_a_larger_canvas() -> None:
    frame = file_of(np.full((6, 8, 3), (200, 40, 40), np.uint8), "webp", lossless=True)[12:]
    sides = (7).to_bytes(3, "little") + (5).to_bytes(3, "little")
    place = (2).to_bytes(3, "little") + (1).to_bytes(3, "little")
    body = place + sides + bytes(4) + frame
    canvas = b"\x02\0\0\0" + (15).to_bytes(3, "little") + (11).to_bytes(3, "little")
    data = b"WEBPVP8X" + struct.pack("<I", 10) + canvas + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    data += b"ANMF" + struct.pack("<I", len(body)) + body
    photo = Source(b"RIFF" + struct.pack("<I", len(data)) + data).photo()
    assert (photo.width, photo.height) == (16, 12)
    assert photo.alpha is not None
    assert (photo.alpha[2:8, 4:12] == 255).all()
    assert photo.alpha.sum() == 255 * 6 * 8
    assert photo.rgb[4, 6].tolist() == [200, 40, 40]


def test_a_jpeg_of_segments_alone_is_unsupported_and_some_thousands_are_not() -> None:
    data = file_of(photo(), "jpeg")
    segment = b"\xff\xe5\0\2"
    assert read_header(data[:2] + segment * 9_000 + data[2:]).width == 64
    with pytest.raises(UnsupportedImage):
        read_header(data[:2] + segment * 10_000 + data[2:])


def test_the_scans_of_a_large_jpeg_are_fewer() -> None:
    data = file_of(np.zeros((64, 64, 3), np.uint8), "jpeg", progressive=True)
    frame, last = data.index(b"\xff\xc2") + 5, data.rindex(b"\xff\xda")
    data = data[:last] + data[last:-2] * 20 + b"\xff\xd9"
    Source(data).photo()
    giant = data[:frame] + struct.pack(">HH", 9_000, 10_000) + data[frame + 4 :]
    with pytest.raises(UndecodableImage) as refused:
        Source(giant).photo()
    assert isinstance(refused.value.__cause__, UndecodableImage)


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_the_scans_that_encoders_make_are_allowed_at_any_size(mode: str) -> None:
    data = file_of(Image.new(mode, (64, 64)), "jpeg", progressive=True)
    check_jpeg_scans(data, 10_000 * 10_000)


def test_a_cmyk_jpeg_keeps_its_adobe_mark_without_its_metadata() -> None:
    image = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    tags = Image.Exif()
    tags[0x0112] = 3
    decoded = Source(file_of(image, "jpeg", exif=tags, comment=b"x" * 60_000)).photo()
    assert np.abs(decoded.rgb.astype(int) - (255, 0, 0)).max() < 8


def test_a_png_of_comments_or_profiles_alone_is_unsupported() -> None:
    data = file_of(photo())
    comment, profile = (
        struct.pack(">I", 0) + name + struct.pack(">I", zlib.crc32(name))
        for name in (b"abCd", b"iCCP")
    )
    assert read_header(data[:33] + comment * 900 + data[33:]).width == 64
    for chunks in (comment * 1_001, profile * 9):
        with pytest.raises(UnsupportedImage):
            read_header(data[:33] + chunks + data[33:])
