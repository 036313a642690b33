"""Every documented message, byte for byte, through real HTTP."""

import pytest
from hostile import png_header

from forms import Part, field, flat, photo, post, send, several
from pictures import picture
from services import Service

pytestmark = pytest.mark.wire

NO_IMAGE = "No image file provided. Please include an 'image' field in your form data."
NO_FILE = "No file selected. Please choose an image file to upload."
SIGNATURE = "File does not appear to be a valid image (invalid file signature)"
COLOR_HINT = "Use hex format: #RGB, #RGBA, #RRGGBB, or #RRGGBBAA"
BOTH = "Cannot use 'mask=true' together with 'bg_color'. Choose one or the other."
FORMATS = "Allowed formats: PNG, JPEG, WEBP, BMP"

FIELD_MESSAGES = [
    ("format", "gif", f"Invalid format 'gif'. {FORMATS}"),
    ("format", "Tiff", f"Invalid format 'Tiff'. {FORMATS}"),
    ("w", "abc", "'w' must be an integer, got: 'abc'"),
    ("w", "12.5", "'w' must be an integer, got: '12.5'"),
    ("w", "1e3", "'w' must be an integer, got: '1e3'"),
    ("w", "１２", "'w' must be an integer, got: '１２'"),
    ("w", "1_000", "'w' must be an integer, got: '1_000'"),
    ("w", "1234567890", "'w' must be an integer, got: '1234567890'"),
    ("w", "-5", "'w' must be at least 1, got: -5"),
    ("w", "15000", "'w' must be at most 10000, got: 15000"),
    ("h", "abc", "'h' must be an integer, got: 'abc'"),
    ("h", "-1", "'h' must be at least 1, got: -1"),
    ("h", "10001", "'h' must be at most 10000, got: 10001"),
    ("h", "x" * 70, f"'h' must be an integer, got: '{'x' * 64}'"),
    ("angle", "ninety", "'angle' must be a number, got: 'ninety'"),
    ("angle", "nan", "'angle' must be a number, got: 'nan'"),
    ("angle", "-inf", "'angle' must be a number, got: '-inf'"),
    ("angle", "0x10", "'angle' must be a number, got: '0x10'"),
    ("angle", "500", "'angle' must be between -360 and 360 degrees, got: 500.0"),
    ("angle", "-360.5", "'angle' must be between -360 and 360 degrees, got: -360.5"),
    ("bg_color", "#12345", f"Invalid color format '#12345'. {COLOR_HINT}"),
    ("bg_color", "no such", f"Invalid color format 'no such'. {COLOR_HINT}"),
    ("mask", "maybe", "'mask' must be a boolean (true or false), got: 'maybe'"),
    ("exact_resize", "2", "'exact_resize' must be a boolean (true or false), got: '2'"),
    ("expand", "ja", "'expand' must be a boolean (true or false), got: 'ja'"),
    ("return_base64", "64", "'return_base64' must be a boolean (true or false), got: '64'"),
]


@pytest.mark.parametrize(("name", "text", "message"), FIELD_MESSAGES)
def test_wrong_field_is_named_with_its_message(
    server: Service, name: str, text: str, message: str
) -> None:
    answer = post(server, photo(picture()), field(name, text))
    assert (answer.status, answer.told()) == (400, flat(message, name))
    assert answer.headers["X-Credits-Charged"] == "0"
    assert answer.headers["Content-Type"] == "application/json"


def test_mask_with_a_background_is_refused(server: Service) -> None:
    answer = post(server, photo(picture()), field("mask", "true"), field("bg_color", "red"))
    assert (answer.status, answer.told()) == (400, flat(BOTH, "mask"))


IMAGE_MESSAGES = [
    ([], NO_IMAGE),
    ([field("image", "just text")], NO_IMAGE),
    ([Part("picture", b"x", "photo.png")], NO_IMAGE),
    ([Part("image", b"", "")], NO_FILE),
    (
        [photo(b"MZ", "setup.exe")],
        "File type '.exe' is not supported. Allowed formats: webp, bmp, png, jpg, jpeg",
    ),
    (
        [photo(b"GIF89a", "photo.gif")],
        "File type '.gif' is not supported. Allowed formats: webp, bmp, png, jpg, jpeg",
    ),
    ([photo(b"", "photo.png")], "Uploaded file is empty (0 bytes)."),
    ([photo(b"no picture at all", "photo.png")], SIGNATURE),
    ([photo(b"no picture at all", "noextension")], SIGNATURE),
    ([photo(picture()[:400], "torn.png")], SIGNATURE),
    (
        [photo(png_header(12000, 100))],
        "Image width (12000px) exceeds the maximum allowed width of 10000px.",
    ),
    (
        [photo(png_header(100, 15000))],
        "Image height (15000px) exceeds the maximum allowed height of 10000px.",
    ),
]


@pytest.mark.parametrize(("parts", "message"), IMAGE_MESSAGES)
def test_wrong_image_is_named_with_its_message(
    server: Service, parts: list[Part], message: str
) -> None:
    answer = post(server, *parts)
    assert (answer.status, answer.told()) == (400, flat(message, "image"))
    assert answer.headers["X-Credits-Charged"] == "0"


def test_both_sides_too_long_are_two_details(server: Service) -> None:
    answer = post(server, photo(png_header(12000, 15000)))
    assert answer.told() == several(
        ("image", "Image width (12000px) exceeds the maximum allowed width of 10000px."),
        ("image", "Image height (15000px) exceeds the maximum allowed height of 10000px."),
    )


def test_several_errors_come_at_once_in_the_documented_order(server: Service) -> None:
    wrong = [
        field("return_base64", "?"),
        field("mask", "maybe"),
        field("bg_color", "#12345"),
        field("format", "gif"),
        field("angle", "ninety"),
        field("h", "-5"),
        field("w", "abc"),
    ]
    answer = post(server, *wrong)
    assert answer.status == 400
    assert answer.told() == several(
        ("image", NO_IMAGE),
        ("w", "'w' must be an integer, got: 'abc'"),
        ("h", "'h' must be at least 1, got: -5"),
        ("angle", "'angle' must be a number, got: 'ninety'"),
        ("format", f"Invalid format 'gif'. {FORMATS}"),
        ("bg_color", f"Invalid color format '#12345'. {COLOR_HINT}"),
        ("mask", "'mask' must be a boolean (true or false), got: 'maybe'"),
        ("return_base64", "'return_base64' must be a boolean (true or false), got: '?'"),
    )


def test_checks_of_the_image_stop_at_the_first_that_fails(server: Service) -> None:
    answer = post(server, photo(b"", "empty.exe"), field("w", "abc"))
    message = "File type '.exe' is not supported. Allowed formats: webp, bmp, png, jpg, jpeg"
    assert answer.told() == several(("image", message), ("w", "'w' must be an integer, got: 'abc'"))


KEY = {"x-api-key": "some key"}
TOKEN = {"Authorization": "Bearer some-token"}


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        (KEY, 401, "invalid api key"),
        ({"X-API-KEY": ""}, 401, "invalid api key"),
        (TOKEN, 401, "invalid user token"),
        ({"Authorization": "bearer lower-case-scheme"}, 401, "invalid user token"),
        (
            {**KEY, **TOKEN},
            400,
            "This is a mistake: Cannot use both API key and user token",
        ),
    ],
)
def test_credentials_are_refused_until_there_are_accounts(
    server: Service, headers: dict[str, str], status: int, message: str
) -> None:
    answer = post(server, photo(picture()), headers=headers)
    assert (answer.status, answer.told()) == (status, {"error": message, "status": status})
    assert answer.headers["X-Credits-Charged"] == "0"


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Basic dXNlcjpwYXNz"}, {"Cookie": "sessionid=abc; csrftoken=def"}],
)
def test_basic_authorization_and_cookies_say_nothing(
    server: Service, headers: dict[str, str]
) -> None:
    answer = post(server, photo(picture()), headers=headers)
    assert answer.status == 200
    assert answer.headers["X-Credits-Source"] == "anonymous"


def test_who_is_asking_comes_before_what_is_asked(server: Service) -> None:
    answer = post(server, field("w", "abc"), headers=KEY)
    assert (answer.status, answer.told()["error"]) == (401, "invalid api key")


def test_method_comes_before_credentials(server: Service) -> None:
    answer = send(server, "GET", "/rmbg", headers={**KEY, **TOKEN})
    assert (answer.status, answer.told()["status"]) == (405, 405)
