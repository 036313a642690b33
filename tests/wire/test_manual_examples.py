"""The documentation's examples, run as their readers run them: copied, with a key put in."""

import json
import re
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from flaky_line import BROKEN, FlakyLine, flaky_line
from manual_reader import (
    EXAMPLE_S,
    HEIGHT,
    PHOTO_NAME,
    PHOTO_STEMS,
    WIDTH,
    Reader,
    data_of,
    finished,
    furnished,
    key_on,
)

from forms import Answer, send
from pictures import opened, picture
from services import (
    HOST,
    StartServer,
    free_port,
    openrembg_admin,
)

pytestmark = pytest.mark.wire

MIB = 1024 * 1024
PIXELS: Final = "(the bytes of photo.jpg)"
CUT_OUT: Final = "(the bytes of the cut-out)"

# Of each example: the picture that it leaves behind, and its format, mode and size.
Left = tuple[str, str, str, tuple[int, int]]
SAME = (WIDTH, HEIGHT)
LEFT_BEHIND: Final[Mapping[str, tuple[Left, ...]]] = {
    "first.sh": (("cutout.webp", "WEBP", "RGBA", SAME),),
    "with_key.sh": (("cutout.webp", "WEBP", "RGBA", SAME),),
    "curl_format.sh": (("cutout.png", "PNG", "RGBA", SAME),),
    "curl_size.sh": (
        ("fitted.webp", "WEBP", "RGBA", (750, 600)),
        ("exact.webp", "WEBP", "RGBA", (800, 600)),
    ),
    "curl_color.sh": (("cutout.jpg", "JPEG", "RGB", SAME),),
    "curl_mask.sh": (("mask.png", "PNG", "L", SAME),),
    "curl_rotate.sh": (
        ("turned.webp", "WEBP", "RGBA", (344, 298)),
        ("cropped.webp", "WEBP", "RGBA", SAME),
    ),
    "curl_pipe.sh": (("cutout.webp", "WEBP", "RGBA", SAME),),
    "curl_headers.sh": (("cutout.webp", "WEBP", "RGBA", SAME),),
    "curl_retry.sh": (("cutout.webp", "WEBP", "RGBA", SAME),),
    "python_simple.py": (("cutout.png", "PNG", "RGBA", SAME),),
    "python_retry.py": (("cutout.webp", "WEBP", "RGBA", SAME),),
    "python_memory.py": (("scene.png", "PNG", "RGBA", SAME),),
    "python_library.py": (("cutout.png", "PNG", "RGBA", (800, 640)),),
    "node_fetch.mjs": (("cutout.png", "PNG", "RGBA", SAME),),
    "node_stream.mjs": (("cutout.webp", "WEBP", "RGBA", SAME),),
    "node_retry.mjs": (("cutout.webp", "WEBP", "RGBA", SAME),),
    "node_client.cjs": (("cutout.png", "PNG", "RGBA", (800, 640)),),
}
SAID: Final[Mapping[str, str]] = {
    "curl_headers.sh": "X-Credits-Charged: 1",
    "python_simple.py": "Credits: 1",
    "python_library.py": "800 640 True",
    "node_fetch.mjs": "Credits: 1",
}
RETRYING: Final = ("curl_retry.sh", "python_retry.py", "node_retry.mjs")
# What may differ between the answer that is shown and the one that comes.
OF_BROWSERS: Final = re.compile(
    r"access-control-.*|content-security-policy|referrer-policy|date|server|connection|via",
    re.IGNORECASE,
)


@pytest.mark.parametrize("name", LEFT_BEHIND)
def test_an_example_makes_the_picture_that_it_speaks_of(reader: Reader, name: str) -> None:
    output = reader.runs(name)
    for file, format_, mode, size in LEFT_BEHIND[name]:
        image = opened(reader.picture(file))
        assert (image.format, image.mode, image.size) == (format_, mode, size), file
    assert SAID.get(name, "") in output


def test_the_pictures_are_cut_out(reader: Reader) -> None:
    for name in ("first.sh", "python_simple.py", "curl_mask.sh", "curl_color.sh"):
        reader.runs(name)
    cutout = opened(reader.picture("cutout.png"))
    assert cutout.getpixel((2, 2))[3] == 0
    assert cutout.getpixel((WIDTH // 2, HEIGHT // 2))[3] > 240
    assert opened(reader.picture("mask.png")).getpixel((WIDTH // 2, HEIGHT // 2)) > 240
    assert min(opened(reader.picture("cutout.jpg")).getpixel((2, 2))) > 235


@pytest.mark.parametrize("name", ["curl_folder.sh", "python_folder.py"])
def test_a_folder_is_worked_off_and_says_what_failed(reader: Reader, name: str) -> None:
    output = reader.runs(name)
    for stem in PHOTO_STEMS:
        assert opened(reader.picture(f"cutouts/{stem}.webp")).size == SAME
    error = reader.folder / "cutouts" / "broken.error.json"
    told = json.loads(error.read_text())["error"] if error.exists() else output
    assert "File does not appear to be a valid image" in told
    assert not (reader.folder / "cutouts" / "broken.webp").exists()


def test_a_folder_stops_when_nothing_is_left_and_goes_on_later(reader: Reader) -> None:
    data = {"OPENREMBG_DATA_DIR": str(data_of(reader.server))}
    openrembg_admin(data, "plan", "Few", "--credits", "2", "--per-minute", "1000")
    openrembg_admin(data, "create-user", "bob@example.com", "--verified", "--plan", "Few")
    key = openrembg_admin(data, "create-key", "bob@example.com").split()[-1]
    bob = Reader(reader.server, key, reader.folder)
    (bob.folder / "photos" / "broken.jpg").unlink()
    at_once = bob.text("curl_folder.sh").replace("--retry 5", "--retry 0")
    bob.runs("curl_folder.sh", at_once)
    cutouts = bob.folder / "cutouts"
    assert len(list(cutouts.glob("*.webp"))) == 2
    (refused,) = cutouts.glob("*.error.json")
    assert json.loads(refused.read_text())["code"] == "monthly_limit"

    openrembg_admin(data, "grant", "bob@example.com", str(len(PHOTO_STEMS) - 2))
    bob.runs("curl_folder.sh", at_once)
    assert {path.stem for path in cutouts.glob("*.webp")} == set(PHOTO_STEMS)


def test_a_folder_tells_of_a_server_that_is_away_in_the_terminal(reader: Reader) -> None:
    away = reader.text("curl_folder.sh").replace(str(reader.server.port), str(free_port()))
    process = reader.begins("curl_folder.sh", away)
    with process:
        _, errors = process.communicate(timeout=EXAMPLE_S)
    assert errors.count("curl: (7)") == len(PHOTO_STEMS) + 1
    assert list((reader.folder / "cutouts").iterdir()) == []


def test_the_status_tells_an_error_from_a_picture(reader: Reader) -> None:
    assert json.loads(reader.runs("curl_status.sh"))["field"] == "w"
    reader.runs("curl_status.sh", reader.text("curl_status.sh").replace(" -F w=abc", ""))
    assert opened(reader.picture("cutout.webp")).size == SAME


def test_a_retry_brings_the_same_picture_and_costs_nothing(reader: Reader) -> None:
    for name in RETRYING:
        reader.runs(name)
        used, first = spent(reader), reader.picture("cutout.webp")
        reader.runs(name)
        assert (spent(reader), reader.picture("cutout.webp")) == (used, first), name


def spent(reader: Reader) -> int:
    """Return what the account has used, as the example asks for it."""
    return int(json.loads(reader.runs("curl_usage.sh"))["api_usage"])


def test_the_usage_is_told(reader: Reader) -> None:
    told = json.loads(reader.runs("curl_usage.sh"))
    assert (told["membership"], told["credits"]) == ("Many", 1000)


def test_the_crop_is_the_subject(reader: Reader) -> None:
    reader.runs("python_crop.py")
    subject = opened(reader.picture("subject.png"))
    assert subject.width < WIDTH
    assert subject.getchannel("A").getbbox() is not None
    alpha = subject.getchannel("A")
    for side in ((0, 0, 1, alpha.height), (0, 0, alpha.width, 1)):
        assert alpha.crop(side).getextrema()[1] > 0, "the box has an empty border"


def test_the_library_says_what_is_wrong(reader: Reader) -> None:
    lines = reader.runs("python_library_errors.py").splitlines()
    assert lines == [
        "File does not appear to be a valid image (invalid file signature)",
        "w 'w' must be at least 1, got: -5",
        "bg_color Invalid color format '#12345'. "
        "Use hex format: #RGB, #RGBA, #RRGGBB, or #RRGGBBAA",
    ]


@pytest.mark.parametrize("name", ["python_retry.py", "node_retry.mjs"])
def test_what_never_passes_is_not_tried_again(reader: Reader, name: str) -> None:
    began = reader.server.text().count('"status": 401')
    stranger = Reader(reader.server, "orbk_unknown", reader.folder)
    process = stranger.begins(name)
    with process:
        _, errors = process.communicate(timeout=EXAMPLE_S)
    assert process.returncode != 0
    assert "invalid api key" in errors
    assert reader.server.text().count('"status": 401') == began + 1


# Of each program: its first pause, and one that a test can wait for.
PAUSES: Final = {"python_retry.py": "max(1, ", "node_retry.mjs": "Math.max(1, "}


def hasty(reader: Reader, name: str, line: FlakyLine) -> str:
    """Return a program that asks through a line and makes short pauses."""
    text = reader.text(name).replace(reader.server.url, line.url)
    assert PAUSES[name] in text
    return text.replace(PAUSES[name], PAUSES[name].replace("1", "0.01"))


@pytest.mark.parametrize("name", PAUSES)
def test_what_may_pass_is_tried_again_as_the_page_of_errors_says(reader: Reader, name: str) -> None:
    with flaky_line(reader.server, BROKEN, 500, 409, 502) as line:
        reader.runs(name, hasty(reader, name, line))
    assert opened(reader.picture("cutout.webp")).size == SAME
    assert len(line.keys) == 5
    assert len(set(line.keys)) == 1, "an attempt had another Idempotency-Key"


@pytest.mark.parametrize("name", PAUSES)
def test_a_program_gives_up_in_the_end(reader: Reader, name: str) -> None:
    with flaky_line(reader.server, *[500] * 9) as line:
        process = reader.begins(name, hasty(reader, name, line))
        with process:
            _, errors = process.communicate(timeout=EXAMPLE_S)
    assert (process.returncode, len(line.keys)) == (1, 5)
    assert "Flaky" in errors


@pytest.mark.parametrize("name", PAUSES)
def test_photos_of_one_name_in_any_script_are_told_apart(reader: Reader, name: str) -> None:
    for folder, format_ in (("one", "JPEG"), ("two", "PNG")):
        path = reader.folder / folder / "写真.jpg"
        path.parent.mkdir()
        path.write_bytes(picture(format_, WIDTH, HEIGHT))
        used = spent(reader)
        reader.runs(name, reader.text(name).replace("photo.jpg", f"{folder}/写真.jpg"))
        assert spent(reader) == used + 1
    assert opened(reader.picture("cutout.webp")).size == SAME


def test_a_full_server_is_asked_again_after_a_while(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server(OPENREMBG_SPOOL_MB="64")
    key = key_on(server)
    with socket.create_connection((HOST, server.port)) as hog:
        hog.sendall(
            f"POST /rmbg HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: multipart/form-data; "
            f"boundary=b\r\nContent-Length: {64 * MIB}\r\n\r\n".encode()
        )
        hog.sendall(bytes(64 * MIB - 1))
        readers = {name: Reader(server, key, furnished(tmp_path / name)) for name in RETRYING}
        for reader in readers.values():
            # What needs no room in the spool would not be refused: a form of 64 KiB or less.
            with (reader.folder / PHOTO_NAME).open("ab") as file:
                file.write(bytes(MIB))
        running = {name: reader.begins(name) for name, reader in readers.items()}
        until = time.monotonic() + EXAMPLE_S
        while server.text().count('"status": 503') < len(RETRYING):
            assert time.monotonic() < until, server.text()
            time.sleep(0.05)
    for name, process in running.items():
        finished(process)
        assert opened(readers[name].picture("cutout.webp")).size == SAME


def test_the_request_is_understood_and_the_answer_is_as_shown(reader: Reader) -> None:
    answer = sent(reader, reader.text("http_request.http"))
    head, _, body = reader.text("http_answer.http").partition("\n\n")
    assert (answer.status, body) == (200, CUT_OUT)
    assert opened(answer.body).format == "PNG"
    assert masked(answer) == masked_text(head)


def test_an_error_is_as_shown(reader: Reader) -> None:
    request = reader.text("http_request.http").replace('"format"\n\npng', '"w"\n\nabc')
    answer = sent(reader, request)
    head, _, body = reader.text("http_error.http").partition("\n\n")
    shown = json.loads(body)
    assert answer.status == shown["status"] == 400
    assert answer.json == {**shown, "request_id": answer.json["request_id"]}
    assert masked_text(head).items() <= masked(answer).items()


def sent(reader: Reader, text: str) -> Answer:
    """Send a request that is written out, with the photo and its true length in it."""
    head, _, rest = text.partition("\n\n")
    body = (rest + "\n").replace("\n", "\r\n").encode()
    body = body.replace(PIXELS.encode(), reader.picture(PHOTO_NAME))
    first, *lines = head.split("\n")
    verb, path, version = first.split()
    headers = dict(line.split(": ", 1) for line in lines)
    assert (version, headers["Host"]) == ("HTTP/1.1", f"{HOST}:{reader.server.port}")
    return send(reader.server, verb, path, body, {**headers, "Content-Length": str(len(body))})


def masked(answer: Answer) -> dict[str, str]:
    """Return the headers of an answer, without numbers and what a browser alone cares for."""
    return {
        name.lower(): same(name, value)
        for name, value in answer.headers.items()
        if not OF_BROWSERS.fullmatch(name)
    }


def masked_text(head: str) -> dict[str, str]:
    """Return the same of an answer that is shown."""
    pairs = (line.split(": ", 1) for line in head.split("\n")[1:])
    return {name.lower(): same(name, value) for name, value in pairs}


def same(name: str, value: str) -> str:
    """Return a header's value without what differs from request to request."""
    if name.lower() in ("x-request-id", "x-provider"):
        return ""
    return re.sub(r"\d+(\.\d+)?", "0", value)
