"""The whole way, with the model that ships."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image
from samples import file_of, image_of, photo, pixels_of, subject

from openrembg import Cutout, ImageTooLarge, Options, UndecodableImage, remove_background
from openrembg.matting.box import Box
from openrembg.matting.decode import Source
from openrembg.matting.matter import Matte
from openrembg.matting.options import FORMATS, Format
from openrembg.matting.pipeline import default_matter, peak_pixels
from openrembg.matting.runtime import LocalMatter, Precision, load_matter
from openrembg.matting.weights import find_weights

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]
WRITES = {
    "png": {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"},
    "jpeg": {"L", "RGB", "CMYK"},
    "webp": {"RGB", "RGBA"},
    "bmp": {"1", "L", "P", "RGB"},
}


class LeftHalf:
    """A Matter that finds the left half of every photo."""

    model = "left-half"
    provider = "none"

    def __init__(self, *, detected: bool = True) -> None:
        self._detected = detected

    def matte(self, source: Source) -> Matte:
        source.scaled(64)
        alpha = np.zeros((64, 64), np.float32)
        alpha[:, :32] = 1.0
        return Matte(alpha, self._detected)


@pytest.fixture(scope="module")
def subject_file() -> bytes:
    return file_of(subject(), "jpeg", quality=92)


def test_the_shipped_model_finds_the_subject(subject_file: bytes) -> None:
    cutout = remove_background(subject_file, Options(format="png"))
    pixels = pixels_of(cutout.data)
    assert pixels.shape == (240, 320, 4)
    assert pixels[120, 160, 3] > 230
    assert pixels[5, 5, 3] < 10
    assert cutout.foreground_detected
    assert cutout.media_type == "image/png"
    assert (cutout.width, cutout.height) == (320, 240)
    box = cutout.foreground_box
    assert abs(box.left - 88) < 20
    assert abs(box.top - 48) < 20
    assert abs(box.width - 144) < 40


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_every_format_is_cut_out(format_: Format, mode: str) -> None:
    if mode not in WRITES[format_]:
        return
    rgb = Image.fromarray(subject())
    image = (
        Image.fromarray(subject()[..., 0].astype(np.uint16) * 256)
        if mode == "I;16"
        else rgb.convert(mode)
    )
    cutout = remove_background(file_of(image, format_), Options(format="png"))
    pixels = pixels_of(cutout.data)
    assert pixels[120, 160, 3] > 150
    assert pixels[5, 5, 3] < 60


@pytest.mark.parametrize("format_", FORMATS)
def test_each_output_format_has_its_media_type_and_size(format_: Format) -> None:
    cutout = remove_background(file_of(photo(90, 60)), Options(format=format_), matter=LeftHalf())
    image = image_of(cutout.data)
    assert image.format == format_.upper()
    assert cutout.media_type == f"image/{format_}"
    assert image.size == (cutout.width, cutout.height) == (90, 60)


@pytest.mark.parametrize("format_", ["jpeg", "bmp"])
def test_removed_background_becomes_white_where_there_is_no_alpha(format_: Format) -> None:
    dark = np.full((60, 80, 3), 30, np.uint8)
    cutout = remove_background(file_of(dark), Options(format=format_), matter=LeftHalf())
    pixels = pixels_of(cutout.data, "RGB").astype(int)
    assert np.abs(pixels[30, 70] - 255).max() <= 4
    assert np.abs(pixels[30, 10] - 30).max() <= 4


def test_steps_come_in_the_contracts_order() -> None:
    data = file_of(photo(90, 60))
    options = Options(angle=90, w=30, format="png", bg_color="#ff0000")
    cutout = remove_background(data, options, matter=LeftHalf())
    pixels = pixels_of(cutout.data)
    assert pixels.shape == (45, 30, 3)
    assert pixels[2, 15].tolist() == [255, 0, 0], "the left half lies below after the turn"
    assert pixels[43, 15].tolist() != [255, 0, 0]


def test_a_translucent_background_survives_in_png() -> None:
    options = Options(format="png", bg_color="#00ff0080")
    pixels = pixels_of(remove_background(file_of(photo(90, 60)), options, matter=LeftHalf()).data)
    assert pixels[30, 80].tolist() == [0, 255, 0, 128]
    assert pixels[30, 10, 3] == 255


@pytest.mark.parametrize("format_", FORMATS)
def test_a_mask_is_the_alpha_in_grey(format_: Format) -> None:
    options = Options(mask=True, format=format_, angle=180, w=45)
    for kind in ("png", "jpeg"):
        cutout = remove_background(file_of(photo(90, 60), kind), options, matter=LeftHalf())
        grey = pixels_of(cutout.data, "L")
        assert grey.shape == (30, 45)
        assert grey[15, 40] > 250
        assert grey[15, 3] < 5


def test_a_mask_of_a_picture_with_alpha_is_the_product() -> None:
    rgba = np.dstack([photo(80, 60), np.full((60, 80), 128, np.uint8)])
    options = Options(mask=True, format="png")
    grey = pixels_of(remove_background(file_of(rgba), options, matter=LeftHalf()).data)
    assert grey[30, 5] == 128
    assert grey[30, 75] == 0


def test_alpha_of_the_input_is_multiplied() -> None:
    rgba = np.dstack([photo(80, 60), np.full((60, 80), 100, np.uint8)])
    pixels = pixels_of(
        remove_background(file_of(rgba), Options(format="png"), matter=LeftHalf()).data
    )
    assert pixels[30, 5, 3] == 100
    assert pixels[30, 75, 3] == 0


def test_nothing_found_is_fully_transparent_and_says_so() -> None:
    matter = LeftHalf(detected=False)
    cutout = remove_background(file_of(photo()), Options(format="png"), matter=matter)
    assert not pixels_of(cutout.data)[..., 3].any()
    assert not cutout.foreground_detected
    assert cutout.foreground_box == Box(0, 0, 0, 0)


def test_a_subject_that_the_input_hides_counts_as_nothing() -> None:
    rgba = np.dstack([photo(80, 60), np.zeros((60, 80), np.uint8)])
    cutout = remove_background(file_of(rgba), Options(format="png"), matter=LeftHalf())
    assert not cutout.foreground_detected


def test_what_is_too_faint_to_count_leaves_no_trace() -> None:
    rgba = np.dstack([photo(80, 60), np.full((60, 80), 8, np.uint8)])
    cutout = remove_background(file_of(rgba), Options(format="png"), matter=LeftHalf())
    assert not cutout.foreground_detected
    assert not pixels_of(cutout.data)[..., 3].any()


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_the_shipped_model_finds_nothing_in_an_empty_picture(shade: int) -> None:
    empty = np.full((240, 320, 3), shade, np.uint8)
    assert not remove_background(file_of(empty), Options(format="png")).foreground_detected


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (10000, 1), (1, 10000)])
@pytest.mark.parametrize("options", [Options(), Options(angle=45), Options(w=7, h=9)])
def test_the_thinnest_pictures_go_all_the_way(size: tuple[int, int], options: Options) -> None:
    data = file_of(Image.new("RGB", size, "teal"))
    cutout = remove_background(data, options, matter=LeftHalf())
    assert image_of(cutout.data).size == (cutout.width, cutout.height)


def test_a_picture_that_is_too_wide_is_refused() -> None:
    with pytest.raises(ImageTooLarge):
        remove_background(file_of(Image.new("L", (10001, 1))))


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("format_", ["jpeg", "png", "webp"])
def test_a_torn_picture_is_refused(format_: str, mask: bool) -> None:
    data = file_of(photo(300, 200), format_)
    with pytest.raises(UndecodableImage):
        remove_background(data[: len(data) // 2], Options(mask=mask))


def test_a_small_output_of_a_large_jpeg_looks_like_that_of_a_png() -> None:
    large = np.asarray(Image.fromarray(photo(320, 240)).resize((3200, 2400)))
    options = Options(w=200, format="png")
    jpeg = remove_background(file_of(large, "jpeg", quality=95), options, matter=LeftHalf())
    png = remove_background(file_of(large, "png"), options, matter=LeftHalf())
    assert (jpeg.width, jpeg.height) == (png.width, png.height) == (200, 150)
    difference = pixels_of(jpeg.data).astype(int) - pixels_of(png.data)
    assert np.abs(difference).mean() < 2


@pytest.mark.parametrize("format_", ["webp", "png"])
def test_the_same_file_gives_the_same_bytes_ten_times(subject_file: bytes, format_: Format) -> None:
    options = Options(format=format_)
    assert len({remove_background(subject_file, options).data for _ in range(10)}) == 1


@pytest.mark.parametrize("precision", ["f32", "auto"])  # auto is bf16 on processors that have it
def test_many_threads_give_the_bytes_of_one(subject_file: bytes, precision: Precision) -> None:
    matter = load_matter(find_weights(), precision=precision)
    alone = remove_background(subject_file, matter=matter).data
    results: list[Cutout] = []

    def work() -> None:
        results.extend(remove_background(subject_file, matter=matter) for _ in range(3))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(results) == 24
    assert {result.data for result in results} == {alone}


@pytest.mark.parametrize(
    ("options", "pixels"),
    [
        (Options(), 4800),
        (Options(w=800), 800 * 600),
        (Options(w=8), 4800),
        (Options(angle=45), 99 * 99),
    ],
)
def test_admission_counts_the_largest_canvas(options: Options, pixels: int) -> None:
    assert peak_pixels(Source(file_of(photo(80, 60))), options) == pixels


def test_metadata_of_the_input_never_reaches_the_output() -> None:
    exif = Image.Exif()
    exif[0x010E] = "SECRET-PLACE"
    data = file_of(subject(), "jpeg", exif=exif.tobytes(), comment=b"SECRET-COMMENT")
    for format_ in FORMATS:
        assert b"SECRET" not in remove_background(data, Options(format=format_)).data


def test_onnxruntime_and_openvino_agree() -> None:
    source = Source(file_of(subject()))
    full = load_matter(find_weights(), provider="openvino", precision="f32").matte(source)
    other = load_matter(find_weights(), provider="onnxruntime").matte(source)
    assert np.abs(full.alpha - other.alpha).max() < 1e-3
    assert np.abs(default_matter().matte(source).alpha - full.alpha).mean() < 5e-3


def test_the_default_model_is_loaded_once() -> None:
    first = default_matter()
    assert first is default_matter()
    assert isinstance(first, LocalMatter)
    assert first.provider.startswith(("OpenVINO CPU", "onnxruntime"))


def test_importing_the_library_loads_neither_a_runtime_nor_django() -> None:
    code = (
        "import sys, openrembg; openrembg.Options; "
        "print([n for n in ('cv2', 'openvino', 'django', 'onnxruntime') if n in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]"


def test_a_turned_photo_is_shrunk_before_and_looks_like_one_shrunk_after() -> None:
    data = file_of(np.asarray(Image.fromarray(subject()).resize((640, 480))))
    small = remove_background(data, Options(format="png", angle=30, w=500), matter=LeftHalf())
    large = remove_background(data, Options(format="png", angle=30), matter=LeftHalf())
    wanted = image_of(large.data).convert("RGBa").resize((small.width, small.height), Image.BOX)
    difference = pixels_of(small.data).astype(int) - np.asarray(wanted.convert("RGBA"))
    assert np.abs(difference[..., 3]).mean() < 2
    assert small.width == 500
