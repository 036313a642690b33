"""POST /rmbg through Django, with a Matter of ours: every message, header and precedence."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.test import Client
from PIL import Image
from rmbg_client import error_of, form, photo, send

from fakes.steady_matter import SteadyMatter
from openrembg.matting.errors import InferenceFailed
from openrembg.server.inference.local import LocalBackend
from openrembg.server.service import Service, install, service

TOO_FAST = "You're making requests too quickly, Please Upgrade or slow down."
DAILY = "You've reached your daily limit. Please sign up for more access."
BOTH = "This is a mistake: Cannot use both API key and user token"
NO_IMAGE = "No image file provided. Please include an 'image' field in your form data."
SIGNATURE = "File does not appear to be a valid image (invalid file signature)"
PATHS = ["/rmbg", "/rmbg/", "/api/rmbg", "/api/rmbg/"]


def opened(response: Any) -> Image.Image:
    return Image.open(io.BytesIO(response.content))


@pytest.mark.parametrize("path", PATHS)
def test_a_photo_comes_back_as_a_webp_cut_out(client: Client, path: str) -> None:
    response = send(client, path=path)
    assert response.status_code == 200
    image = opened(response)
    assert (image.format, image.mode, image.size) == ("WEBP", "RGBA", (40, 30))
    assert image.getpixel((20, 15))[3] == 255
    assert image.getpixel((1, 1))[3] == 0


@pytest.mark.parametrize(
    ("format_", "media_type", "extension"),
    [
        ("webp", "image/webp", "webp"),
        ("PNG", "image/png", "png"),
        ("jpg", "image/jpeg", "jpg"),
        ("bmp", "image/bmp", "bmp"),
    ],
)
def test_the_headers_of_a_cut_out(
    client: Client, format_: str, media_type: str, extension: str
) -> None:
    headers = send(client, ("format", format_)).headers
    timing = headers["Server-Timing"]
    assert [stage.partition(";dur=")[0] for stage in timing.split(", ")] == [
        "decode", "matte", "compose", "encode",
    ]  # fmt: skip
    assert headers["Content-Type"] == media_type
    assert headers["Content-Disposition"] == f'inline; filename="photo.{extension}"'
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert (headers["X-Width"], headers["X-Height"]) == ("40", "30")
    assert headers["X-Credits-Charged"] == "1"
    assert headers["X-Credits-Source"] == "anonymous"
    assert (headers["X-Model"], headers["X-Provider"]) == ("steady", "Test CPU f32")
    assert headers["X-Foreground-Detected"] == "true"
    sides = [int(headers[f"X-Foreground-{side}"]) for side in ("Left", "Top", "Width", "Height")]
    assert sides[0] in range(5, 11)
    assert sides[1] in range(3, 9)
    assert sides[2] in range(20, 31)
    assert sides[3] in range(14, 25)


def test_the_length_is_exact(client: Client) -> None:
    response = send(client)
    assert response.headers["Content-Length"] == str(len(response.content))


def test_the_form_fields_reach_the_pipeline(client: Client) -> None:
    response = send(client, ("w", "20"), ("h", "20"), ("exact_resize", "true"), ("mask", "1"))
    assert opened(response).size == (20, 20)
    assert opened(send(client, ("mask", "yes"), ("format", "png"))).mode == "L"


def test_the_node_clients_zeros_mean_the_photos_own_size(client: Client) -> None:
    assert opened(send(client, ("w", "0"), ("h", "0"), ("return_base64", "false"))).size == (40, 30)


def test_nothing_found_is_a_transparent_picture_and_free(client: Client, furnish: Any) -> None:
    furnish(SteadyMatter(finds=False), anonymous_per_day=1)
    for _ in range(3):
        response = send(client)
        assert response.status_code == 200
        assert opened(response).getextrema()[3] == (0, 0)
        assert response.headers["X-Credits-Charged"] == "0"
        assert response.headers["X-Foreground-Detected"] == "false"
        for side in ("Top", "Left", "Width", "Height"):
            assert response.headers[f"X-Foreground-{side}"] == "0"
        assert response.headers["X-RateLimit-Remaining"] == "1"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"image=abc&w=3"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data", form(image=("a.png", photo()))),
        ("multipart/form-data; boundary=x", b"garbage"),
        ("image/png", photo()),
        ("application/json", b"{}"),
        ("multipart/form-data; boundary=a-boundary-of-ours", form(("image", "text"))),
    ],
)
def test_a_body_without_an_image_part(client: Client, content_type: str, body: bytes) -> None:
    response = client.post("/rmbg", body, content_type=content_type)
    assert error_of(response) == {"error": NO_IMAGE, "field": "image", "status": 400}


def test_no_file_chosen(client: Client) -> None:
    assert error_of(send(client, image=("", b""))) == {
        "error": "No file selected. Please choose an image file to upload.",
        "field": "image",
        "status": 400,
    }


def test_one_wrong_field_is_told_flat(client: Client) -> None:
    message = "'w' must be an integer, got: 'abc'"
    assert error_of(send(client, ("w", "abc"))) == {"error": message, "field": "w", "status": 400}


def test_the_pictures_fault_and_the_fields_come_together_in_order(client: Client) -> None:
    response = send(
        client,
        ("expand", "?"), ("mask", "true"), ("bg_color", "#12345"), ("format", "gif"),
        ("angle", "ninety"), ("h", "-5"), ("w", "15000"),
        image=("a.exe", b""),
    )  # fmt: skip
    told = error_of(response)
    assert told["error"] == "Multiple validation errors"
    assert [detail["field"] for detail in told["details"]] == [
        "image", "w", "h", "angle", "format", "bg_color", "mask", "expand",
    ]  # fmt: skip
    assert told["details"][0] == {
        "field": "image",
        "message": "File type '.exe' is not supported. Allowed formats: webp, bmp, png, jpg, jpeg",
    }


def test_of_a_field_that_is_sent_twice_the_first_counts(client: Client) -> None:
    assert opened(send(client, ("w", "20"), ("w", "abc"))).width == 20


def test_pixels_that_do_not_decode(client: Client) -> None:
    torn = photo(400, 300, "JPEG")[:-200]
    assert error_of(send(client, image=("a.jpg", photo()[:-40]))) == {
        "error": SIGNATURE,
        "field": "image",
        "status": 400,
    }
    assert send(client, image=("a.jpg", torn)).status_code in (200, 400)


@pytest.mark.parametrize("key", ["", "abc", "rb_live_0123456789", "\u00e9"])
def test_any_api_key_is_unknown(client: Client, key: str) -> None:
    response = send(client, headers={"x-api-key": key})
    assert response.status_code == 401
    assert error_of(response) == {"error": "invalid api key", "status": 401}
    assert "WWW-Authenticate" in response.headers


@pytest.mark.parametrize("token", ["Bearer abc", "bearer", "Bearer ", "BEARER x.y.z"])
def test_any_user_token_is_unknown(client: Client, token: str) -> None:
    response = send(client, headers={"Authorization": token})
    assert error_of(response) == {"error": "invalid user token", "status": 401}


def test_a_key_and_a_token_are_a_mistake(client: Client) -> None:
    for key in ("abc", ""):
        response = send(client, headers={"x-api-key": key, "Authorization": "Bearer abc"})
        assert error_of(response) == {"error": BOTH, "status": 400}


def test_basic_credentials_and_cookies_say_nothing(client: Client) -> None:
    client.cookies["sessionid"] = "somebody"
    assert send(client, headers={"Authorization": "Basic dTpw"}).status_code == 200


def test_credentials_are_looked_at_before_limits_and_fields(client: Client, furnish: Any) -> None:
    furnish(anonymous_per_minute=0)
    assert send(client, ("w", "abc"), headers={"x-api-key": "k"}).status_code == 401


def test_too_many_requests_a_minute(client: Client, furnish: Any) -> None:
    furnish(anonymous_per_minute=2)
    assert [send(client).status_code for _ in range(2)] == [200, 200]
    response = send(client)
    assert error_of(response) == {"error": TOO_FAST, "status": 429}
    assert 1 <= int(response.headers["Retry-After"]) <= 60


def test_the_daily_limit_has_no_retry_after(client: Client, furnish: Any) -> None:
    furnish(anonymous_per_day=2)
    assert [send(client).status_code for _ in range(2)] == [200, 200]
    response = send(client)
    assert error_of(response) == {"error": DAILY, "status": 429}
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize(
    ("limit", "message"), [("anonymous_per_minute", TOO_FAST), ("anonymous_per_day", DAILY)]
)
def test_a_limit_of_zero_refuses_everything(
    client: Client, furnish: Any, limit: str, message: str
) -> None:
    furnish(**{limit: 0})
    assert error_of(send(client)) == {"error": message, "status": 429}


def test_the_short_term_limit_is_told_before_the_daily_one(client: Client, furnish: Any) -> None:
    furnish(anonymous_per_minute=0, anonymous_per_day=0)
    assert error_of(send(client))["error"] == TOO_FAST


def test_limits_are_told_before_fields(client: Client, furnish: Any) -> None:
    furnish(anonymous_per_day=0)
    assert error_of(send(client, ("w", "abc")))["error"] == DAILY


def test_a_request_that_fails_validation_counts_for_the_minute_alone(
    client: Client, furnish: Any
) -> None:
    furnish(anonymous_per_minute=3, anonymous_per_day=1)
    for _ in range(2):
        assert send(client, ("w", "abc")).status_code == 400
    assert send(client).status_code == 200
    assert error_of(send(client))["error"] == TOO_FAST


@pytest.mark.parametrize("image", [("a.png", photo()[:-40]), ("a.png", b"not a picture")])
def test_a_bad_picture_costs_nothing_of_the_day(
    client: Client, furnish: Any, image: tuple[str, bytes]
) -> None:
    furnish(anonymous_per_day=1)
    for _ in range(3):
        assert send(client, image=image).status_code == 400
    assert send(client).status_code == 200


def test_a_failure_of_ours_costs_nothing_and_tells_nothing(client: Client, furnish: Any) -> None:
    matter = SteadyMatter(error=InferenceFailed("/secret/path/model.onnx broke"))
    furnish(matter, anonymous_per_day=1)
    for _ in range(2):
        response = send(client)
        assert error_of(response) == {"error": "Internal server error", "status": 500}
    matter.error = None
    assert send(client).status_code == 200


def test_exactly_as_many_cut_outs_as_the_day_allows(furnish: Any) -> None:
    furnish(anonymous_per_day=7)
    start = threading.Barrier(20)

    def ask(number: int) -> list[int]:
        start.wait()
        return [send(Client()).status_code for _ in range(5)]

    with ThreadPoolExecutor(20) as pool:
        statuses = [status for answers in pool.map(ask, range(20)) for status in answers]
    assert sorted(set(statuses)) == [200, 429]
    assert statuses.count(200) == 7


def test_each_address_has_its_own_day(client: Client, furnish: Any) -> None:
    furnish(anonymous_per_day=1)
    assert send(client, REMOTE_ADDR="192.0.2.1").status_code == 200
    assert send(client, REMOTE_ADDR="192.0.2.1").status_code == 429
    assert send(client, REMOTE_ADDR="192.0.2.2").status_code == 200
    assert send(client, REMOTE_ADDR="2001:db8::1").status_code == 200
    assert send(client, REMOTE_ADDR="2001:db8::ffff:2").status_code == 429


def test_a_full_queue_is_503_with_retry_after_and_free(furnish: Any) -> None:
    matter = SteadyMatter()
    matter.may_end.clear()
    furnish(matter, workers=1, queue=0, anonymous_per_day=2)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: send(Client()))
        matter.started.acquire()
        response = send(Client())
        wrong = send(Client(), ("w", "abc"))
        matter.may_end.set()
        assert first.result().status_code == 200
    assert response.status_code == 503
    assert error_of(response)["status"] == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert wrong.status_code == 400, "validation comes before busy"
    assert send(Client()).status_code == 200, "the day was given back"


def test_a_client_that_left_while_waiting_is_not_worked_for(furnish: Any) -> None:
    matter = SteadyMatter()
    matter.may_end.clear()
    furnish(matter, workers=1, anonymous_per_day=2)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: send(Client()))
        matter.started.acquire()
        response = send(Client(), openrembg__client_gone=lambda: True)
        matter.may_end.set()
        assert first.result().status_code == 200
    assert response.status_code == 499
    assert matter.calls == 1
    assert send(Client()).status_code == 200, "the day was given back"


def test_a_client_that_left_before_its_answer_is_not_charged(client: Client, furnish: Any) -> None:
    furnish(anonymous_per_day=1)
    assert send(client, openrembg__client_gone=lambda: True).status_code == 499
    assert send(client, openrembg__client_gone=lambda: False).status_code == 200


def test_without_a_model_the_answer_is_503(client: Client) -> None:
    def fail() -> SteadyMatter:
        raise InferenceFailed("broken")

    house = service()
    broken = LocalBackend(fail)
    broken.wait()
    install(Service(broken, house.slots, house.rates))
    response = send(client)
    assert response.status_code == 503
    assert "broken" not in response.content.decode()
    assert "Retry-After" in response.headers
    assert send(client, ("w", "abc")).status_code == 400, "validation comes first"


def test_a_body_over_the_cap_is_told_as_a_file_that_is_too_big(client: Client) -> None:
    response = client.post("/rmbg", **{"openrembg.body_too_large": 73_400_320})
    assert error_of(response) == {
        "error": "File size (70.0 MB) exceeds the maximum allowed size of 50 MB.",
        "field": "image",
        "status": 400,
    }


def test_a_chunked_body_over_the_cap_is_413(client: Client) -> None:
    response = client.post("/rmbg", **{"openrembg.chunked_too_large": True})
    assert response.status_code == 413
    assert error_of(response)["status"] == 413


def test_a_full_spool_is_503(client: Client) -> None:
    response = client.post("/rmbg", **{"openrembg.spool_full": True})
    assert response.status_code == 503
    assert "Retry-After" in response.headers


def test_a_body_that_never_came_is_told_after_credentials_and_limits(
    client: Client, furnish: Any
) -> None:
    furnish(anonymous_per_minute=0)
    flags = {"openrembg.body_too_large": 73_400_320}
    assert client.post("/rmbg", **flags).status_code == 429
    assert client.post("/rmbg", headers={"x-api-key": "k"}, **flags).status_code == 401
    assert client.get("/rmbg", **flags).status_code == 405


@pytest.mark.parametrize("edge_colors", ["on", "off"])
def test_an_operator_may_leave_the_colors_of_soft_edges_alone(
    client: Client, furnish: Any, edge_colors: str
) -> None:
    furnish(edge_colors=edge_colors)
    cut = opened(send(client, ("format", "png")))
    original = Image.open(io.BytesIO(photo()))
    soft = [(x, y) for x in range(40) for y in range(30) if 30 < cut.getpixel((x, y))[3] < 225]
    assert soft
    kept = all(cut.getpixel(at)[:3] == original.getpixel(at) for at in soft)
    assert kept == (edge_colors == "off")
