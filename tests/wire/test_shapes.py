"""The shape of a form that is taken, and of an answer, whatever the request was."""

import re

import pytest

from forms import FORM, Part, field, form, photo, post, send
from pictures import HEIGHT, WIDTH, empty_picture, opened, picture
from services import Service

pytestmark = pytest.mark.wire

DOCUMENTED_HEADERS = {
    "Content-Type": r"image/webp",
    "Content-Length": r"[0-9]+",
    "Cache-Control": r"no-store",
    "X-Content-Type-Options": r"nosniff",
    "Content-Disposition": r'inline; filename="photo\.webp"',
    "X-Request-Id": r"[A-Za-z0-9-]{8,}",
    "X-Width": str(WIDTH),
    "X-Height": str(HEIGHT),
    "X-Credits-Charged": r"1",
    "X-Credits-Source": r"anonymous",
    "X-Model": r"\S+",
    "X-Foreground-Detected": r"true",
    "X-Foreground-Top": r"[0-9]+",
    "X-Foreground-Left": r"[0-9]+",
    "X-Foreground-Width": r"[1-9][0-9]*",
    "X-Foreground-Height": r"[1-9][0-9]*",
    "Server-Timing": r"decode;dur=[0-9.]+, matte;dur=.*, compose;dur=.*, encode;dur=.*",
    "RateLimit": r".+",
    "RateLimit-Policy": r".+",
    "X-RateLimit-Limit": r"[0-9]+",
    "X-RateLimit-Remaining": r"[0-9]+",
    "X-RateLimit-Reset": r"[0-9]+",
}


def test_a_picture_comes_with_every_documented_header(server: Service) -> None:
    answer = post(server, photo(picture()))
    assert answer.status == 200
    for name, pattern in DOCUMENTED_HEADERS.items():
        assert re.fullmatch(pattern, answer.headers[name] or ""), (name, answer.headers[name])
    assert int(answer.headers["Content-Length"]) == len(answer.body)


def test_every_documented_header_is_exposed_to_web_pages(server: Service) -> None:
    answer = post(server, photo(picture()), headers={"Origin": "https://example.com"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Credentials"] is None
    exposed = {name.strip().lower() for name in _exposed(answer.headers).split(",")}
    safelisted = {"content-type", "cache-control", "x-content-type-options"}
    assert {name.lower() for name in DOCUMENTED_HEADERS} - safelisted <= exposed


def _exposed(headers: object) -> str:
    return str(headers["Access-Control-Expose-Headers"])  # type: ignore[index]


@pytest.mark.parametrize("path", ["/rmbg", "/rmbg/", "/api/rmbg", "/api/rmbg/"])
def test_the_route_is_answered_under_both_names_with_or_without_a_slash(
    server: Service, path: str
) -> None:
    assert post(server, photo(picture()), path=path).status == 200


@pytest.mark.parametrize("path", ["/rmbg", "/api/rmbg"])
def test_preflight_is_answered_without_credentials(server: Service, path: str) -> None:
    asked = {
        "Origin": "https://example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key",
    }
    answer = send(server, "OPTIONS", path, headers=asked)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Credentials"] is None
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "x-api-key" in answer.headers["Access-Control-Allow-Headers"].lower()


@pytest.mark.parametrize(
    ("asked", "media_type", "pillow_format", "mode", "name"),
    [
        ("", "image/webp", "WEBP", "RGBA", "photo.webp"),
        ("webp", "image/webp", "WEBP", "RGBA", "photo.webp"),
        ("PNG", "image/png", "PNG", "RGBA", "photo.png"),
        ("Jpeg", "image/jpeg", "JPEG", "RGB", "photo.jpg"),
        ("jpg", "image/jpeg", "JPEG", "RGB", "photo.jpg"),
        ("bmp", "image/bmp", "BMP", "RGB", "photo.bmp"),
    ],
)
def test_every_format_comes_back_as_asked(
    server: Service, asked: str, media_type: str, pillow_format: str, mode: str, name: str
) -> None:
    answer = post(server, photo(picture()), field("format", asked))
    assert answer.headers["Content-Type"] == media_type
    assert answer.headers["Content-Disposition"] == f'inline; filename="{name}"'
    image = opened(answer.body)
    assert (image.format, image.mode, image.size) == (pillow_format, mode, (WIDTH, HEIGHT))


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "BMP"])
def test_every_format_is_taken_whatever_its_name_says(server: Service, format_: str) -> None:
    answer = post(server, photo(picture(format_), "photo.jpeg"))
    assert (answer.status, answer.headers["X-Foreground-Detected"]) == (200, "true")


def test_a_file_without_extension_is_judged_by_its_bytes(server: Service) -> None:
    assert post(server, photo(picture("JPEG"), "photo")).status == 200


def test_zero_and_empty_sides_mean_unset(server: Service) -> None:
    for text in ("0", "", " 0 ", "+0"):
        answer = post(server, photo(picture()), field("w", text), field("h", text))
        assert (answer.headers["X-Width"], answer.headers["X-Height"]) == ("320", "240"), text


def test_empty_fields_mean_their_defaults(server: Service) -> None:
    names = ("format", "exact_resize", "mask", "bg_color", "angle", "expand", "return_base64")
    answer = post(server, photo(picture()), *(field(name, "") for name in names))
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/webp")


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"w": "160"}, (160, 120)),
        ({"h": "480"}, (640, 480)),
        ({"w": "100", "h": "100"}, (100, 75)),
        ({"w": "100", "h": "100", "exact_resize": "TRUE"}, (100, 100)),
        ({"angle": "90"}, (240, 320)),
        ({"angle": "-90", "expand": "no"}, (320, 240)),
        ({"angle": "90", "w": "120"}, (120, 160)),
    ],
)
def test_size_and_angle_are_obeyed(
    server: Service, fields: dict[str, str], size: tuple[int, int]
) -> None:
    sent = [field(name, text) for name, text in fields.items()]
    answer = post(server, photo(picture()), field("format", "png"), *sent)
    assert opened(answer.body).size == size
    assert (answer.headers["X-Width"], answer.headers["X-Height"]) == tuple(map(str, size))


def test_mask_is_eight_bit_grey(server: Service) -> None:
    answer = post(server, photo(picture()), field("mask", "on"), field("format", "png"))
    mask = opened(answer.body)
    assert (mask.mode, mask.size) == ("L", (WIDTH, HEIGHT))
    assert mask.getpixel((WIDTH // 2, HEIGHT // 2)) > 200
    assert mask.getpixel((2, 2)) < 50


def test_cut_out_is_clear_around_the_subject(server: Service) -> None:
    image = opened(post(server, photo(picture()), field("format", "png")).body)
    assert image.getpixel((WIDTH // 2, HEIGHT // 2))[3] > 200
    assert image.getpixel((2, 2))[3] < 50


def test_background_is_painted(server: Service) -> None:
    sent = (field("bg_color", "Blue"), field("format", "png"))
    image = opened(post(server, photo(picture()), *sent).body).convert("RGBA")
    red, green, blue, alpha = image.getpixel((2, 2))
    assert (alpha, blue > 200, max(red, green) < 60) == (255, True, True)


def test_nothing_found_is_a_clear_picture_that_costs_nothing(server: Service) -> None:
    answer = post(server, photo(empty_picture()), field("format", "png"))
    assert answer.status == 200
    assert answer.headers["X-Foreground-Detected"] == "false"
    assert answer.headers["X-Credits-Charged"] == "0"
    sides = ("Top", "Left", "Width", "Height")
    assert [answer.headers[f"X-Foreground-{side}"] for side in sides] == ["0"] * 4
    assert opened(answer.body).getextrema()[3] == (0, 0)


def test_return_base64_changes_nothing(server: Service) -> None:
    plain = post(server, photo(picture()), field("format", "png"))
    asked = post(server, photo(picture()), field("format", "png"), field("return_base64", "true"))
    assert asked.body == plain.body
    assert asked.headers["Content-Type"] == "image/png"


def test_parts_may_come_in_any_order(server: Service) -> None:
    fields = (field("format", "png"), field("w", "64"))
    first = post(server, photo(picture()), *fields)
    last = post(server, *fields, photo(picture()))
    assert first.body == last.body


def test_image_needs_no_content_type(server: Service) -> None:
    assert post(server, Part("image", picture(), "photo.png")).status == 200


def test_the_first_of_doubled_fields_counts(server: Service) -> None:
    answer = post(
        server,
        field("format", "png"),
        photo(picture()),
        field("format", "gif"),
        photo(b"no picture at all"),
        field("w", "64"),
        field("w", "abc"),
    )
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
    assert answer.headers["X-Width"] == "64"


def test_unknown_fields_and_files_are_ignored(server: Service) -> None:
    extra = (field("model", "u2net"), Part("attachment", b"MZ", "setup.exe"))
    assert post(server, *extra, photo(picture())).status == 200


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"image=abc&w=10"),
        ("application/json", b'{"image": "abc"}'),
        (FORM, b""),
        ("multipart/form-data", form(photo(picture()))),
        ("", b""),
    ],
)
def test_a_body_without_an_image_file_is_told_so(
    server: Service, content_type: str, body: bytes
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = send(server, "POST", "/rmbg", body, headers)
    assert answer.status == 400
    assert answer.told() == {
        "error": "No image file provided. Please include an 'image' field in your form data.",
        "field": "image",
        "status": 400,
    }


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_405_in_the_shape(server: Service, method: str) -> None:
    answer = send(server, method, "/rmbg")
    assert (answer.status, answer.told()["status"]) == (405, 405)
    assert set(answer.told()) == {"error", "status"}
    assert "POST" in answer.headers["Allow"]
    assert answer.headers["X-Credits-Charged"] == "0"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/nothing"), ("POST", "/nothing"), ("DELETE", "/api/rmbg/deeper")],
)
def test_an_unknown_path_is_404_in_the_shape(server: Service, method: str, path: str) -> None:
    answer = send(server, method, path)
    assert (answer.status, answer.told()["status"]) == (404, 404)
    assert set(answer.told()) == {"error", "status"}
    assert answer.headers["X-Credits-Charged"] == "0"


def test_an_unknown_page_is_a_page_for_people(server: Service) -> None:
    answer = send(server, "GET", "/nothing")
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("text/html")


def test_a_sane_request_id_comes_back(server: Service) -> None:
    answer = post(server, headers={"X-Request-Id": "mine-1234"})
    assert (answer.headers["X-Request-Id"], answer.json["request_id"]) == ("mine-1234",) * 2


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("../../etc/passwd.png", "passwd.webp"),
        ("C:\\photos\\cat.png", "cat.webp"),
        ("a b;c.png", "a-b-c.webp"),
        ("猫.png", "image.webp"),
    ],
)
def test_the_name_of_the_answer_is_safe(server: Service, filename: str, expected: str) -> None:
    answer = post(server, photo(picture(), filename))
    assert answer.headers["Content-Disposition"] == f'inline; filename="{expected}"'


def test_logs_name_no_file_and_no_key(server: Service) -> None:
    post(server, photo(picture(), "very-private-name.png"), headers={"x-api-key": "private-key-1"})
    post(server, photo(picture(), "very-private-name.png"))
    assert "answered" in server.text()
    assert "very-private-name" not in server.text()
    assert "private-key-1" not in server.text()
