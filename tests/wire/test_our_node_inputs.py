"""Our Node client: everything that it takes for a picture, and what it refuses before it sends."""

import http.server
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from node_client_calls import WEBP, call_node

from forms import photo, post
from odd_server import answers, dies_after, odd_server
from pictures import picture
from services import HOST, Service

pytestmark = pytest.mark.wire

NOWHERE = "http://127.0.0.1:9"  # Nothing is sent there.
KINDS = [
    *("path", "buffer", "view", "arraybuffer", "base64", "dataurl", "blob", "file"),
    *("readstream", "readable", "webstream", "iterable", "fileurl"),
]
LIMIT = 50 * 1024 * 1024
# What people call their photos, and what ends a header line or a quoted word.
NAMES = ["a b.jpg", 'the "best".jpg', "写真 #1.jpg", "line\r\nX-Evil: 1.jpg", "back\\slash\\.jpg"]


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(picture("JPEG"))
    return path


@pytest.fixture(scope="module")
def cut_out(server: Service) -> bytes:
    """What the server makes of the photo."""
    return post(server, photo(picture("JPEG"), "photo.jpg")).body


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_input_gives_the_same_bytes(
    server: Service, tmp_path: Path, photo_file: Path, cut_out: bytes, kind: str
) -> None:
    driver: dict[str, object] = {"name": "photo.jpg"}
    outcome = call_node(tmp_path, server.url, kind, photo_file, driver=driver)
    assert outcome.picture == cut_out
    assert outcome.left == []


@pytest.mark.parametrize("name", NAMES)
def test_no_name_breaks_the_form(
    server: Service, tmp_path: Path, photo_file: Path, cut_out: bytes, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(photo_file.read_bytes())
    assert call_node(tmp_path, server.url, "path", path).picture == cut_out
    driver: dict[str, object] = {"name": f"\0{name}"}
    assert call_node(tmp_path, server.url, "file", path, driver=driver).picture == cut_out


def test_a_name_stays_within_its_quotes(tmp_path: Path, photo_file: Path) -> None:
    with odd_server(answers(WEBP)) as odd:
        driver: dict[str, object] = {"name": 'a"; filename="b\r\n\r\nc\\'}
        call_node(tmp_path, odd.url, "file", photo_file, driver=driver)
    assert b'; filename="a%22; filename=%22b%0D%0A%0D%0Ac%5C"\r\n' in odd.requests[0].body


def test_a_named_pipe_is_a_stream(
    server: Service, tmp_path: Path, photo_file: Path, cut_out: bytes
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(photo_file.read_bytes()))
    writer.start()
    outcome = call_node(tmp_path, server.url, "path", pipe)
    writer.join()
    assert (outcome.picture, outcome.left) == (cut_out, [])


def test_a_pipe_that_nobody_writes_to_ends_with_the_time(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    outcome = call_node(tmp_path, NOWHERE, "path", pipe, timeout=300)
    assert outcome.summary == ("TimedOut", "❌ The call was not over within 0.3 s.")
    assert outcome.left == []


@pytest.mark.parametrize(
    ("name", "message", "code"),
    [
        ("", "The path of the picture is empty.", None),
        (
            "missing.jpg",
            "ENOENT: no such file or directory, open '{folder}/missing.jpg'",
            "ENOENT",
        ),
        ("photo.jpg/x", "ENOTDIR: not a directory, open '{folder}/photo.jpg/x'", "ENOTDIR"),
        (".", "EISDIR: illegal operation on a directory, read '{folder}'", "EISDIR"),
        (
            "a\0b",
            "The argument 'path' must be a string, Uint8Array, or URL without null bytes. "
            "Received '{folder}/a\\x00b'",
            "ERR_INVALID_ARG_VALUE",
        ),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, message: str, code: str | None
) -> None:
    folder = tmp_path_factory.mktemp("f")
    (folder / "photo.jpg").write_bytes(b"")
    value = f"{folder}/{name}" if name not in ("", ".") else (name and str(folder))
    outcome = call_node(folder, NOWHERE, "path", value)
    assert outcome.summary == ("InputError", "❌ " + message.format(folder=folder))
    assert outcome.error.get("code") == code


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    # Even root cannot open a socket as a file.
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"{tmp_path}/socket.jpg")
        outcome = call_node(tmp_path, NOWHERE, "path", f"{tmp_path}/socket.jpg")
    assert outcome.summary == (
        "InputError",
        f"❌ ENXIO: no such device or address, open '{tmp_path}/socket.jpg'",
    )


def test_a_path_that_is_too_long_is_shown_in_part(tmp_path: Path) -> None:
    name, message = call_node(tmp_path, NOWHERE, "path", "x" * 100_000).summary
    assert name == "InputError"
    assert message.startswith("❌ ENAMETOOLONG: name too long, open 'xxx")
    assert len(message) < 400


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("nothing", None, "Invalid input type. Must be a file path"),
        ("json", 12, "Invalid input type. Must be a file path"),
        ("json", {}, "Invalid input type. Must be a file path"),
        ("json", [1, 2], "Invalid input type. Must be a file path"),
        ("json", {"base64": 5}, "base64 must be a string."),
        ("json", {"base64": "not base64!"}, "base64 is not valid base64"),
        ("json", {"base64": "AAAAA"}, "base64 is not valid base64"),
        ("json", {"base64": "data:image/png,raw%20"}, "base64 is not valid base64"),
        ("json", "data:image/png;base64,AAAA", "ENOENT: no such file or directory, open 'data:"),
        ("json", "file:///missing", "ENOENT: no such file or directory, open 'file:"),
        ("json", "http://", "The picture's address is not a valid URL."),
        ("url", "ftp://example.com/a.jpg", "The picture's URL must begin with http:"),
        ("url", "data:,x", "The picture's URL must begin with http:"),
        ("texts", None, "The stream must give bytes (Buffer, Uint8Array), not a string."),
        ("failing", None, "The stream cannot be read: the tape is torn"),
        ("used", None, "The stream has been read or closed already."),
        ("readstream", "/missing", "The stream cannot be read: ENOENT"),
        ("endless", None, "The picture is larger than 50 MB."),
    ],
)
def test_what_is_no_picture_is_refused_before_it_is_sent(
    tmp_path: Path, kind: str, value: object, message: str
) -> None:
    outcome = call_node(tmp_path, NOWHERE, kind, value)
    assert outcome.error["name"] == "InputError"
    assert outcome.error["message"].startswith(f"❌ {message}")
    assert outcome.left == []


@pytest.mark.parametrize("kind", ["path", "buffer", "blob", "readstream"])
def test_an_empty_picture_is_the_servers_to_refuse(
    server: Service, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()
    outcome = call_node(tmp_path, server.url, kind, path)
    assert outcome.error["classes"][0] == "InvalidRequest"
    assert outcome.error["error"] == "Uploaded file is empty (0 bytes)."


def test_a_large_file_is_the_servers_to_refuse(server: Service, tmp_path: Path) -> None:
    path = tmp_path / "large.bmp"
    with path.open("wb") as file:
        file.truncate(LIMIT + 1024 * 1024)
    outcome = call_node(tmp_path, server.url, "path", path)
    assert outcome.error["error"] == (
        "File size (51.0 MB) exceeds the maximum allowed size of 50 MB."
    )


def test_a_file_that_grows_while_it_is_sent_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "growing.jpg"
    path.write_bytes(bytes(300_000))
    with odd_server(answers(WEBP)) as odd:
        outcome = call_node(tmp_path, odd.url, "growing", path)
    assert outcome.summary == ("InputError", "❌ 'growing.jpg' changed while it was read.")
    assert odd.requests == []


class Web(http.server.BaseHTTPRequestHandler):
    """Pictures, redirects and what else a web server may have. seen: the headers that came."""

    seen: ClassVar[list[dict[str, str]]] = []

    def do_GET(self) -> None:
        self.seen.append({name.lower(): value for name, value in self.headers.items()})
        step = self.path.removeprefix("/hop/")
        if step == "0":
            self.sent(302, b"", Location="/a%20photo.jpg?secret=1")
        elif step.isdigit():
            self.sent(302, b"", Location=f"/hop/{int(step) - 1}")
        elif self.path == "/away":
            self.sent(302, b"", Location="file:///etc/passwd")
        elif self.path == "/large":
            self.sent(200, bytes(LIMIT + 1))
        elif "photo" in self.path:
            self.sent(200, picture("JPEG"))
        else:
            self.sent(404, b"no such page")

    def sent(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        pass


@pytest.fixture
def web() -> Iterator[str]:
    """The address of a web server."""
    Web.seen = []
    with http.server.ThreadingHTTPServer((HOST, 0), Web) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        try:
            yield f"http://{HOST}:{site.server_port}"
        finally:
            site.shutdown()
            thread.join()


@pytest.mark.parametrize("path", ["/photo.jpg", "/photo.php?id=1", "/hop/4"])
def test_an_address_is_fetched_over_redirects(
    server: Service, tmp_path: Path, web: str, cut_out: bytes, path: str
) -> None:
    outcome = call_node(tmp_path, server.url, "json", web + path)
    assert (outcome.picture, outcome.left) == (cut_out, [])
    assert call_node(tmp_path, server.url, "url", web + path).picture == cut_out


def test_the_key_is_for_the_api_alone(tmp_path: Path, web: str) -> None:
    with odd_server(answers(WEBP)) as odd:
        call_node(tmp_path, odd.url, "json", f"{web}/photo.jpg", apiKey="the key")
    assert odd.requests[0].headers["x-api-key"] == "the key"
    assert not any("key" in value + name for seen in Web.seen for name, value in seen.items())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/missing?token=secret", "{web}/missing answered 404, not a picture."),
        ("/hop/5", "{web}/hop/5 leads on more than 5 times."),
        ("/away", "{web}/away leads to what is no address of the web."),
        ("/large", "The picture is larger than 50 MB."),
    ],
)
def test_an_address_without_a_picture_is_refused(
    tmp_path: Path, web: str, path: str, message: str
) -> None:
    outcome = call_node(tmp_path, NOWHERE, "json", web + path)
    assert outcome.summary == ("InputError", "❌ " + message.format(web=web))
    assert "secret" not in outcome.error["all"]
    assert outcome.left == []


def test_an_address_that_breaks_off_is_refused(tmp_path: Path) -> None:
    with odd_server(dies_after(bytes(1000), 5000)) as odd:
        outcome = call_node(tmp_path, NOWHERE, "json", f"{odd.url}/a.jpg")
    assert outcome.summary == (
        "InputError",
        "❌ The picture cannot be fetched: The answer broke off before its end.",
    )
    assert outcome.left == []


def test_an_address_where_nobody_is_is_refused(tmp_path: Path) -> None:
    outcome = call_node(tmp_path, NOWHERE, "json", f"{NOWHERE}/a.jpg")
    assert outcome.error["name"] == "InputError"
    assert "ECONNREFUSED" in outcome.error["message"]
