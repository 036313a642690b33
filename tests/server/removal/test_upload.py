import hashlib
import io

import pytest
from rmbg_client import photo, png_header

from openrembg.matting.decode import Source
from openrembg.server.removal.form import Form, Upload
from openrembg.server.removal.upload import KEEP_BYTES, BadUpload, check_upload

SIGNATURE = "File does not appear to be a valid image (invalid file signature)"


def uploaded(filename: str, data: bytes, size: int | None = None) -> Form:
    length = len(data) if size is None else size
    return Form({}, Upload(filename, length, io.BytesIO(data), 0))


def pixels(source: Source) -> int:
    return source.header.pixels


def fault(form: Form) -> list[str]:
    with pytest.raises(BadUpload) as caught:
        check_upload(form, pixels)
    assert {error.field for error in caught.value.errors} == {"image"}
    return [error.message for error in caught.value.errors]


def test_a_good_picture_passes_and_is_measured() -> None:
    picture, measured = check_upload(uploaded("photo.png", photo()), pixels)
    assert (picture.filename, picture.size, measured) == ("photo.png", len(photo()), 1200)


def test_no_image_part() -> None:
    assert fault(Form({})) == [
        "No image file provided. Please include an 'image' field in your form data."
    ]


def test_no_file_chosen() -> None:
    assert fault(uploaded("", b"")) == ["No file selected. Please choose an image file to upload."]


@pytest.mark.parametrize(
    ("filename", "shown"),
    [("virus.exe", ".exe"), ("a.png.TXT", ".txt"), ("C:\\x.y\\a.gif", ".gif"), ("a.tiff", ".tiff")],
)
def test_an_extension_that_is_not_supported(filename: str, shown: str) -> None:
    assert fault(uploaded(filename, photo())) == [
        f"File type '{shown}' is not supported. Allowed formats: webp, bmp, png, jpg, jpeg"
    ]


@pytest.mark.parametrize("filename", ["photo", "photo.", ".png", "a.PNG", "a.jpeg", "x.y/photo"])
def test_no_extension_or_any_allowed_one_leaves_it_to_the_bytes(filename: str) -> None:
    assert check_upload(uploaded(filename, photo()), pixels)[1] == 1200


def test_an_empty_file() -> None:
    assert fault(uploaded("a.png", b"")) == ["Uploaded file is empty (0 bytes)."]


def test_the_extension_is_looked_at_before_the_size() -> None:
    assert "'.gif'" in fault(uploaded("a.gif", b""))[0]


def test_a_file_over_50_mib() -> None:
    assert fault(uploaded("a.png", b"x", size=57_881_395)) == [
        "File size (55.2 MB) exceeds the maximum allowed size of 50 MB."
    ]


def test_50_mib_are_not_too_many() -> None:
    size = 52_428_800
    data = photo()
    padded = uploaded("a.png", data + bytes(size - len(data)))
    assert check_upload(padded, pixels)[0].size == size


@pytest.mark.parametrize("data", [b"GIF89a" + bytes(100), b"hello", photo()[:20], bytes(64)])
def test_bytes_that_are_no_picture(data: bytes) -> None:
    assert fault(uploaded("a.png", data)) == [SIGNATURE]


def test_sides_over_the_limit_are_told_each() -> None:
    width = "Image width (12000px) exceeds the maximum allowed width of 10000px."
    height = "Image height (15000px) exceeds the maximum allowed height of 10000px."
    assert fault(uploaded("a.png", png_header(12000, 10))) == [width]
    assert fault(uploaded("a.png", png_header(10, 15000))) == [height]
    assert fault(uploaded("a.png", png_header(12000, 15000))) == [width, height]


def test_the_digest_is_that_of_the_part_alone() -> None:
    data = bytes(range(256)) * 3000
    upload = Upload("a.png", len(data), io.BytesIO(b"before" + data + b"behind"), 6)
    assert upload.sha256() == hashlib.sha256(data).hexdigest()


def test_a_large_upload_is_not_kept_in_memory_while_it_waits() -> None:
    data = photo()
    small, _ = check_upload(uploaded("a.png", data), pixels)
    large, _ = check_upload(uploaded("a.png", data + bytes(KEEP_BYTES)), pixels)
    assert small.kept is not None
    assert large.kept is None
    assert large.source().header.width == 40
