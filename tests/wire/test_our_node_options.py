"""Our Node client: what its options ask for, and what it tells about the way and the result."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from node_client_calls import WEBP, call_node

from odd_server import answers, drips, odd_server
from pictures import HEIGHT, WIDTH, empty_picture, opened, picture
from services import Service

pytestmark = pytest.mark.wire

NOWHERE = "http://127.0.0.1:9"  # Nothing is sent there.
HEADER_KINDS = "a plain object, Headers, a Map or a list of [name, value]"


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(picture("JPEG"))
    return path


@pytest.mark.parametrize(
    ("options", "format_", "mode", "size"),
    [
        ({}, "WEBP", "RGBA", (WIDTH, HEIGHT)),
        ({"format": "png"}, "PNG", "RGBA", (WIDTH, HEIGHT)),
        ({"format": "jpg"}, "JPEG", "RGB", (WIDTH, HEIGHT)),
        ({"format": "Bmp"}, "BMP", "RGB", (WIDTH, HEIGHT)),
        ({"format": "", "w": 0, "h": None}, "WEBP", "RGBA", (WIDTH, HEIGHT)),
        ({"format": "PNG", "returnMask": True}, "PNG", "L", (WIDTH, HEIGHT)),
        ({"format": "png", "w": 160}, "PNG", "RGBA", (160, 120)),
        ({"format": "png", "h": 60}, "PNG", "RGBA", (80, 60)),
        ({"format": "png", "w": 50, "h": 50, "exact_resize": True}, "PNG", "RGBA", (50, 50)),
        ({"format": "png", "angle": 90}, "PNG", "RGBA", (HEIGHT, WIDTH)),
        ({"format": "png", "angle": 90, "expand": False}, "PNG", "RGBA", (WIDTH, HEIGHT)),
    ],
)
def test_options_do_what_they_say(
    server: Service,
    tmp_path: Path,
    photo_file: Path,
    options: dict[str, object],
    format_: str,
    mode: str,
    size: tuple[int, int],
) -> None:
    outcome = call_node(tmp_path, server.url, "path", photo_file, options=options)
    image = opened(outcome.picture)
    assert (image.format, image.mode, image.size) == (format_, mode, size)
    # Named as the published client names it: the format as it was written.
    end = re.escape(str(options.get("format") or "WEBP"))
    name = outcome.said["outputImagePath"]
    assert Path(name).parent == tmp_path / "tmp"
    assert re.fullmatch(rf"rembg-\d+-[0-9a-f]+\.{end}", Path(name).name)
    assert (outcome.said["mode"], outcome.left) == (0o600, [])


def test_a_background_is_painted(server: Service, tmp_path: Path, photo_file: Path) -> None:
    options = {"format": "png", "bg_color": "#00f"}
    outcome = call_node(tmp_path, server.url, "path", photo_file, options=options)
    red, green, blue, alpha = opened(outcome.picture).convert("RGBA").getpixel((2, 2))
    assert (alpha, blue > 200, max(red, green) < 60) == (255, True, True)


@pytest.mark.parametrize(("format_", "type_"), [("png", "png"), ("jpg", "jpeg"), ("webp", "webp")])
def test_a_data_url_has_the_real_media_type(
    server: Service, tmp_path: Path, photo_file: Path, format_: str, type_: str
) -> None:
    options = {"format": format_, "returnBase64": True}
    outcome = call_node(tmp_path, server.url, "path", photo_file, options=options)
    head, _, text = outcome.said["base64Image"].partition(",")
    assert head == f"data:image/{type_};base64"
    assert opened(base64.b64decode(text)).format == type_.upper()
    assert outcome.left == []


@pytest.mark.parametrize("format_", ["gif", "../../x", "png\0", "webp/../../x", 5, {"a": 1}])
def test_another_format_is_refused_before_anything_is_written(
    tmp_path: Path, photo_file: Path, format_: object
) -> None:
    options = {"format": format_}
    outcome = call_node(tmp_path, NOWHERE, "path", photo_file, options=options)
    assert outcome.error["name"] == "InputError"
    assert "format" in outcome.error["message"]
    assert outcome.left == []


@pytest.mark.parametrize(
    ("options", "field", "message"),
    [
        ({"w": "abc"}, "w", "'w' must be an integer, got: 'abc'"),
        ({"w": -5}, "w", "'w' must be at least 1, got: -5"),
        ({"angle": 500}, "angle", "'angle' must be between -360 and 360 degrees, got: 500.0"),
        (
            {"returnMask": "maybe"},
            "mask",
            "'mask' must be a boolean (true or false), got: 'maybe'",
        ),
    ],
)
def test_a_wrong_option_is_the_servers_to_refuse(
    server: Service,
    tmp_path: Path,
    photo_file: Path,
    options: dict[str, object],
    field: str,
    message: str,
) -> None:
    error = call_node(tmp_path, server.url, "path", photo_file, options=options).error
    assert (error["name"], error["field"], error["error"]) == ("InvalidRequest", field, message)
    assert error["message"].startswith(f'❌ 400 {{"error": "{message}"')


def test_several_wrong_options_are_all_told(
    server: Service, tmp_path: Path, photo_file: Path
) -> None:
    options = {"w": "abc", "h": 20_000}
    error = call_node(tmp_path, server.url, "path", photo_file, options=options).error
    assert error["error"] == "Multiple validation errors"
    assert [problem["field"] for problem in error["details"]] == ["w", "h"]


def test_a_cut_out_comes_with_its_facts(server: Service, tmp_path: Path, photo_file: Path) -> None:
    info = call_node(tmp_path, server.url, "path", photo_file).info
    assert (info["width"], info["height"], info["mediaType"]) == (WIDTH, HEIGHT, "image/webp")
    assert info["foregroundDetected"] is True
    assert 0 < info["foregroundBox"]["width"] <= WIDTH
    assert (info["creditsCharged"], info["creditsSource"]) == (1, "anonymous")
    assert (bool(info["model"]), bool(info["requestId"]), info["replayed"]) == (True, True, False)


def test_nothing_found_has_no_box(server: Service, tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.write_bytes(empty_picture())
    info = call_node(tmp_path, server.url, "path", path).info
    assert (info["foregroundDetected"], info["foregroundBox"]) == (False, None)
    assert info["creditsCharged"] == 0


def test_facts_that_are_garbled_are_none(tmp_path: Path, photo_file: Path) -> None:
    garbled = {"X-Width": "wide", "X-Height": "-1", "X-Foreground-Detected": "perhaps"}
    with odd_server(answers(WEBP, headers=garbled)) as odd:
        info = call_node(tmp_path, odd.url, "path", photo_file).info
    assert info.pop("mediaType") == "image/webp"
    assert info.pop("replayed") is False
    assert set(info.values()) == {None}


def loaded(events: list[dict[str, Any]]) -> list[int]:
    return [event["loaded"] for event in events]


def test_progress_is_told_in_both_directions(
    server: Service, tmp_path: Path, photo_file: Path
) -> None:
    progress = call_node(tmp_path, server.url, "path", photo_file).said["progress"]
    for events in progress.values():
        last = events[-1]
        assert (last["loaded"], last["progress"]) == (last["total"], 1)
        assert sum(event["bytes"] for event in events) == last["total"]
        assert loaded(events) == sorted(loaded(events))
        assert all(event["lengthComputable"] for event in events)
    assert progress["up"][0]["loaded"] == 0
    assert progress["up"][-1]["total"] > photo_file.stat().st_size
    assert all(event["upload"] and "download" not in event for event in progress["up"])
    assert all(event["download"] and "upload" not in event for event in progress["down"])


def test_a_slow_download_has_a_rate_and_a_time_that_is_left(
    tmp_path: Path, photo_file: Path
) -> None:
    with odd_server(drips(WEBP + b"and more")) as odd:
        events = call_node(tmp_path, odd.url, "path", photo_file).said["progress"]["down"]
    assert 0 < events[-2]["rate"] < 1000
    assert events[-2]["estimated"] > 0
    assert events[-1]["estimated"] == 0


def test_a_large_upload_is_smooth_and_keeps_memory_flat(tmp_path: Path) -> None:
    path = tmp_path / "large.bmp"
    size = 50 * 1024 * 1024
    with path.open("wb") as file:
        file.truncate(size)
    with odd_server(answers(WEBP)) as odd:
        outcome = call_node(tmp_path, odd.url, "path", path)
    assert odd.requests[0].size == int(odd.requests[0].headers["content-length"])
    events = outcome.said["progress"]["up"]
    assert sum(event["bytes"] for event in events) == odd.requests[0].size > size
    # Not one for each of the 800 pieces; this does not take five seconds.
    assert 2 <= len(events) < 100
    assert outcome.said["grown"] < 60 * 1024 * 1024


def test_a_large_stream_keeps_memory_flat(tmp_path: Path) -> None:
    path = tmp_path / "large.bmp"
    with path.open("wb") as file:
        file.truncate(50 * 1024 * 1024)
    with odd_server(answers(WEBP)) as odd:
        outcome = call_node(tmp_path, odd.url, "readstream", path)
    assert outcome.said["grown"] < 60 * 1024 * 1024


def test_a_large_cut_out_keeps_memory_flat(tmp_path: Path, photo_file: Path) -> None:
    with odd_server(answers(WEBP.ljust(100 * 1024 * 1024))) as odd:
        outcome = call_node(tmp_path, odd.url, "path", photo_file)
    assert len(outcome.picture) == 100 * 1024 * 1024
    # Measured before the driver reads the file.
    assert outcome.said["grown"] < 80 * 1024 * 1024


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"options": 5}, "options must be an object."),
        ({"options": {"w": {"a": 1}}}, "'w' must be a text, a number or a boolean."),
        ({"timeout": 0}, "timeout must be a number of milliseconds over 0."),
        ({"timeout": "soon"}, "timeout must be a number of milliseconds over 0."),
        ({"retries": -1}, "retries must be a whole number, 0 or more."),
        ({"retries": 1.5}, "retries must be a whole number, 0 or more."),
        ({"signal": {}}, "signal must be an AbortSignal."),
        ({"onUploadProgress": "log"}, "onUploadProgress must be a function."),
        ({"idempotencyKey": ""}, "idempotencyKey must be a text of printable ASCII characters."),
        (
            {"idempotencyKey": "a\nb"},
            "idempotencyKey must be a text of printable ASCII characters.",
        ),
        ({"headers": "x"}, f"headers must be {HEADER_KINDS}."),
        ({"headers": [["x"]]}, f"headers must be {HEADER_KINDS}."),
        ({"headers": ["ab"]}, f"headers must be {HEADER_KINDS}."),
        ({"headers": [[1, "b"]]}, "The name of a header must be text."),
        ({"headers": {"X-Api-Key": "k"}}, "Give the header x-api-key as apiKey."),
        ({"headers": {"Content-Length": "5"}}, "The header content-length cannot be given."),
        ({"headers": {"x y": "secret"}}, "The header 'x y' is not one that HTTP allows."),
        ({"headers": {"x": "secret\r\nEvil: 1"}}, "The header 'x' is not one that HTTP allows."),
        ({"headers": {"x": None}}, "The header 'x' is not one that HTTP allows."),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused(
    tmp_path: Path, photo_file: Path, call: dict[str, object], message: str
) -> None:
    outcome = call_node(tmp_path, NOWHERE, "path", photo_file, **call)
    assert outcome.summary == ("InputError", f"❌ {message}")
    assert "secret" not in outcome.error["all"]


def test_more_headers_are_sent(tmp_path: Path, photo_file: Path) -> None:
    with odd_server(answers(WEBP)) as odd:
        call_node(tmp_path, odd.url, "path", photo_file, headers={"X-Trace": "abc"})
    assert odd.requests[0].headers["x-trace"] == "abc"
    assert odd.requests[0].headers["user-agent"] == "openrembg-node/0.1.0"


BAD_ADDRESSES = ["", "localhost:8000", "ftp://example.com", "http://", "nonsense", "http://a b"]


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_an_address_that_is_none_is_refused(tmp_path: Path, photo_file: Path, address: str) -> None:
    sentence = "must be an address that begins with http:// or https://."
    outcome = call_node(tmp_path, address, "path", photo_file)
    assert outcome.summary == ("InputError", f"❌ baseUrl {sentence}")
    if address:
        call: dict[str, Any] = {"baseUrl": None, "environment": {"REMBG_API_URL": address}}
        outcome = call_node(tmp_path, call.pop("baseUrl"), "path", photo_file, **call)
        assert outcome.summary == ("InputError", f"❌ REMBG_API_URL {sentence}")


def test_an_address_with_a_query_is_refused(tmp_path: Path, photo_file: Path) -> None:
    outcome = call_node(tmp_path, f"{NOWHERE}/?a=1", "path", photo_file)
    assert outcome.summary == ("InputError", "❌ baseUrl must be an address without ? and #.")


@pytest.mark.parametrize(
    ("end", "path"),
    [
        ("", "/rmbg"),
        ("/", "/rmbg"),
        ("//", "/rmbg"),
        ("/rmbg", "/rmbg"),
        ("/rmbg/", "/rmbg"),
        ("/api/rmbg", "/rmbg"),
        ("/prefix/api/rmbg/", "/prefix/rmbg"),
        ("/a/prefix", "/a/prefix/rmbg"),
        ("/a%20b/é/", "/a%20b/%C3%A9/rmbg"),
    ],
)
def test_a_base_address_is_read_with_tolerance(
    tmp_path: Path, photo_file: Path, end: str, path: str
) -> None:
    with odd_server(answers(WEBP)) as odd:
        assert call_node(tmp_path, odd.url + end, "path", photo_file).picture == WEBP
    assert odd.requests[0].line == f"POST {path} HTTP/1.1"


def test_a_password_in_the_address_is_sent_and_never_shown(
    tmp_path: Path, photo_file: Path
) -> None:
    with odd_server(answers({"error": "no", "status": 404}, 404)) as odd:
        address = odd.url.replace("//", "//ada:pass%20word@")
        outcome = call_node(tmp_path, address, "path", photo_file)
    expected = base64.b64encode(b"ada:pass word").decode()
    assert odd.requests[0].headers["authorization"] == f"Basic {expected}"
    nobody = call_node(
        tmp_path, "http://ada:pass%20word@127.0.0.1:9", "path", photo_file, retries=0
    )
    broken = call_node(tmp_path, "http://ada:pass%zz@127.0.0.1:9", "path", photo_file, retries=0)
    assert broken.error["name"] == "InputError"
    for error in (outcome.error, nobody.error, broken.error):
        assert "pass" not in error["message"]


NO_KEY = " ⚠️⚠️⚠️ WARNING ⚠️⚠️⚠️: API key not provided, trials will be very limited."


@pytest.mark.parametrize(
    ("environment", "call", "sent"),
    [
        ({}, {}, None),
        ({"REMBG_API_KEY": "from there"}, {}, "from there"),
        ({"REMBG_API_KEY": ""}, {}, None),
        ({"REMBG_API_KEY": " \n"}, {}, None),
        ({"REMBG_API_KEY": "from there\r\n"}, {}, "from there"),
        ({}, {"apiKey": "\t from here\n"}, "from here"),
        ({"REMBG_API_KEY": "from there"}, {"apiKey": "from here"}, "from here"),
        ({"REMBG_API_KEY": "from there"}, {"apiKey": None}, None),
    ],
)
def test_the_key_comes_from_the_call_or_the_environment(
    tmp_path: Path,
    photo_file: Path,
    environment: dict[str, str],
    call: dict[str, Any],
    sent: str | None,
) -> None:
    with odd_server(answers(WEBP)) as odd:
        call_node(tmp_path, odd.url, "path", photo_file, environment=environment, **call)
    headers = odd.requests[0].headers
    assert headers.get("x-api-key") == sent
    assert ("idempotency-key" in headers) == (sent is not None)


def test_a_key_that_is_given_but_empty_is_no_anonymous_call(
    tmp_path: Path, photo_file: Path
) -> None:
    environment = {"REMBG_API_KEY": "another"}
    for key in ("", " \n"):
        call: dict[str, Any] = {"environment": environment, "apiKey": key}
        outcome = call_node(tmp_path, NOWHERE, "path", photo_file, **call)
        assert outcome.summary == ("InputError", NO_KEY)


def test_a_key_that_is_no_text_is_refused(tmp_path: Path, photo_file: Path) -> None:
    outcome = call_node(tmp_path, NOWHERE, "path", photo_file, apiKey=12)
    assert outcome.summary == ("InputError", "❌ apiKey must be text.")


@pytest.mark.parametrize("key", ["secret\r\nX-Evil: 1", "sécret", "sec\0ret"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(
    tmp_path: Path, photo_file: Path, key: object
) -> None:
    outcome = call_node(tmp_path, NOWHERE, "path", photo_file, apiKey=key)
    assert outcome.summary == (
        "InputError",
        "❌ apiKey has characters that no API key has, a line break for instance.",
    )
    assert "cret" not in outcome.error["all"]
