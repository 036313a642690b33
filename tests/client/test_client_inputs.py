"""Every kind of picture that a caller may have, and what is no picture."""

import asyncio
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms

from odd_server import WEBP, OddServer, answers, dies_after, odd_server
from openrembg.client import AsyncClient, Client, InputError, TimedOut
from pictures import picture
from services import Service

MIB = 1 << 20


def sent(request: Any) -> tuple[str, bytes]:
    """Return the picture's name and bytes in a form that came."""
    head, _, rest = request.body.partition(b'name="image"; filename="')[2].partition(b"\r\n\r\n")
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    return head.partition(b'"')[0].decode(), rest.removesuffix(b"\r\n--" + boundary + b"--\r\n")


def one_sent(ask: Any, photo: Any) -> tuple[str, bytes]:
    with odd_server(answers(WEBP)) as odd:
        ask("remove_background", photo, base_url=odd.url)
    (request,) = odd.requests
    assert int(request.headers["content-length"]) == request.size
    return sent(request)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_sent_without_an_extension(ask: Any, kind: type) -> None:
    assert one_sent(ask, kind(b"\x00photo\xff")) == ("image", b"\x00photo\xff")


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("photo.jpg", "photo.jpg"),
        ("notes.txt", "notes.txt"),
        ('a "b".png', "a %22b%22.png"),
        ("a\r\nX-Evil: 1.png", "a%0D%0AX-Evil: 1.png"),
        ("تصویر ژ.webp", "تصویر ژ.webp"),
        ("tab\tbell\a.png", "tab_bell_.png"),
        ("http:photo.png", "http:photo.png"),
    ],
)
def test_a_path_is_sent_under_its_own_name(
    ask: Any, tmp_path: Path, kind: Any, name: str, told: str
) -> None:
    (tmp_path / name).write_bytes(b"photo")
    assert one_sent(ask, kind(tmp_path / name)) == (told, b"photo")


@pytest.mark.parametrize(
    "name",
    ['quote".jpg', "crlf\r\n.jpg", "naïve 日本.jpg", "x" * 250 + ".jpg", os.fsdecode(b"\xff.jpg")],
)
def test_our_server_takes_every_name(
    ask: Any, server: Service, key: str, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(picture("JPEG"))
    assert ask("remove_background", path, key=key, base_url=server.url).width == 320


def test_an_empty_file_is_left_to_the_server(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    assert one_sent(ask, tmp_path / "empty.png") == ("empty.png", b"")


@pytest.mark.parametrize("name", ["", "a\0b.png", "missing.png", "folder", b"bytes.png"])
def test_a_path_to_no_picture_is_refused(ask: Any, tmp_path: Path, name: Any) -> None:
    (tmp_path / "folder").mkdir()
    photo = str(tmp_path / name) if name in ("missing.png", "folder") else name
    if isinstance(photo, bytes):
        photo = _BytesPath(photo)
    with pytest.raises(InputError) as caught:
        ask("remove_background", photo)
    assert str(caught.value).isprintable()
    if isinstance(name, str) and name.isalpha():
        assert name in str(caught.value)


class _BytesPath:
    def __init__(self, path: bytes) -> None:
        self._path = path

    def __fspath__(self) -> bytes:
        return self._path


def test_a_file_that_may_not_be_read_is_named(ask: Any, tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(b"photo")
    path.chmod(0)
    if os.getuid() == 0:  # root may read all but a socket
        path.unlink()
        with socket.socket(socket.AF_UNIX) as door:
            os.chdir(tmp_path)
            door.bind("secret.png")
    with pytest.raises(InputError, match=r"secret\.png cannot be read"):
        ask("remove_background", path)


@pytest.mark.parametrize("photo", [None, 3, {"path": "x"}, object()])
def test_other_things_are_refused(ask: Any, photo: object) -> None:
    with pytest.raises(InputError, match="A picture is a path"):
        ask("remove_background", photo)


@pytest.mark.parametrize("kind", [list, iter, lambda pieces: (piece for piece in pieces)])
def test_pieces_are_sent_as_one(ask: Any, kind: Any) -> None:
    assert one_sent(ask, kind([b"pho", bytearray(), b"to"])) == ("image", b"photo")
    with pytest.raises(InputError, match="gives str, not bytes"):
        ask("remove_background", kind(["photo"]))


def test_a_file_that_has_nothing_yet_is_refused(ask: Any) -> None:
    source, sink = os.pipe()
    os.set_blocking(source, False)
    with (
        os.fdopen(source, "rb", buffering=0) as file,
        os.fdopen(sink, "wb"),
        pytest.raises(InputError, match="is non-blocking and has nothing yet"),
    ):
        ask("remove_background", file)


def test_a_file_is_sent_from_where_it_stands(ask: Any, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        file.seek(4)
        assert one_sent(ask, file) == ("photo.png", b"456789")
        assert not file.closed


@pytest.mark.parametrize("name", ["/etc/x.tmp", "<stdin>", 7, None, "a/b\0.gif"])
def test_a_file_with_a_name_that_says_nothing_has_none(ask: Any, name: object) -> None:
    file = io.BytesIO(b"photo")
    file.name = name  # type: ignore[attr-defined]
    assert one_sent(ask, file) == ("image", b"photo")


def test_a_text_file_is_refused(ask: Any) -> None:
    with pytest.raises(InputError, match="gives str, not bytes; open it with mode 'rb'"):
        ask("remove_background", io.StringIO("photo"))


def test_a_closed_file_is_refused(ask: Any) -> None:
    file = io.BytesIO(b"photo")
    file.close()
    with pytest.raises(InputError, match="cannot be read: ValueError"):
        ask("remove_background", file)


def test_a_file_that_raises_is_refused_with_its_error(ask: Any) -> None:
    class Broken(io.RawIOBase):
        def read(self, _: int = -1) -> bytes:
            raise ZeroDivisionError

    with pytest.raises(InputError) as caught:
        ask("remove_background", Broken())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_pipe_is_sent_whole(ask: Any, tmp_path: Path) -> None:
    path = tmp_path / "pipe.tmp"
    os.mkfifo(path)
    data = os.urandom(300_000)
    writer = threading.Thread(target=path.write_bytes, args=(data,))
    writer.start()
    assert one_sent(ask, path) == ("image", data)
    writer.join()


def test_a_pipe_that_nobody_writes_to_ends_with_the_time(ask: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TimedOut, match=r"within 0\.3 seconds"):
        ask("remove_background", tmp_path / "pipe", timeout_s=0.3)


def test_a_file_that_keeps_us_waiting_ends_with_the_time() -> None:
    source, sink = os.pipe()
    with os.fdopen(source, "rb") as file, os.fdopen(sink, "wb"):
        with Client(timeout_s=0.3) as client, pytest.raises(TimedOut):
            client.remove_background(file)
        os.write(sink, b"at last, so that the thread ends")


def test_a_device_without_an_end_is_too_large(ask: Any) -> None:
    with pytest.raises(InputError, match=r"larger than 50 MB"):
        ask("remove_background", "/dev/zero")


def test_a_stream_of_50_mib_is_sent_and_one_byte_more_is_not(ask: Any) -> None:
    assert len(one_sent_size(ask, 50 * MIB)) == 1
    with pytest.raises(InputError, match=r"larger than 50 MB"):
        ask("remove_background", io.BytesIO(bytes(50 * MIB + 1)))


def one_sent_size(ask: Any, size: int) -> list[Any]:
    with odd_server(answers(WEBP)) as odd:
        ask("remove_background", io.BytesIO(bytes(size)), base_url=odd.url)
    return [request for request in odd.requests if request.size > size]


def test_what_is_put_aside_is_removed(ask: Any, tmp_path: Path, descriptors: Any) -> None:
    tempfile.tempdir = str(tmp_path)
    try:
        before = descriptors()
        one_sent(ask, io.BytesIO(bytes(MIB)))
        with pytest.raises(InputError):
            ask("remove_background", io.BytesIO(bytes(50 * MIB + 1)))
        assert descriptors() == before
        assert list(tmp_path.iterdir()) == []
    finally:
        tempfile.tempdir = None


def test_no_room_for_putting_aside_is_said(ask: Any, tmp_path: Path) -> None:
    tempfile.tempdir = str(tmp_path / "missing")
    try:
        with pytest.raises(InputError, match="cannot be put aside for sending"):
            ask("remove_background", io.BytesIO(b"photo"))
    finally:
        tempfile.tempdir = None


@pytest.mark.parametrize("size", [10, MIB])
def test_a_file_that_changes_its_size_is_noticed(ask: Any, tmp_path: Path, size: int) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(bytes(MIB // 2))

    def change(progress: Any) -> None:
        os.truncate(path, size)

    with odd_server(answers(WEBP)) as odd, pytest.raises(InputError, match="changed while"):
        ask("remove_background", path, base_url=odd.url, on_upload=change)
    assert odd.requests == []


def test_a_stream_is_sent_again_in_a_second_attempt(ask: Any) -> None:
    with odd_server(dies_after(b"part", 100), answers(WEBP)) as odd:
        ask("remove_background", io.BytesIO(b"photo"), base_url=odd.url)
    assert [sent(request) for request in odd.requests] == [("image", b"photo")] * 2


@pytest.mark.parametrize("kind", ["iterable", "file", "awaitable file"])
def test_the_asynchronous_client_takes_asynchronous_streams(kind: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"pho", b"", b"to"):
            await asyncio.sleep(0)
            yield piece

    class File:
        name = "photo.png"

        def __init__(self) -> None:
            self._file = io.BytesIO(b"photo")

        async def read(self, size: int = -1) -> bytes:
            return self._file.read(size)

    class Awaitable(File):
        def read(self, size: int = -1) -> Any:
            return super().read(size)

    photos: dict[str, Any] = {"iterable": pieces, "file": File, "awaitable file": Awaitable}

    async def call(odd: OddServer) -> None:
        async with AsyncClient(base_url=odd.url) as client:
            await client.remove_background(photos[kind]())

    with odd_server(answers(WEBP)) as odd:
        asyncio.run(call(odd))
    assert sent(odd.requests[0]) == ("image" if kind == "iterable" else "photo.png", b"photo")


MODES = ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB"]
MODES += ["HSV", "I", "F", "I;16", "I;16B", "I;16L"]


@pytest.mark.parametrize("mode", MODES)
def test_a_pillow_image_of_every_mode_becomes_a_png(mode: str) -> None:
    image = Image.new(mode, (30, 20))
    before = (image.mode, image.size, dict(image.info), image.tobytes())
    with odd_server(answers(WEBP)) as odd, Client(base_url=odd.url) as client:
        client.remove_background(image)
    name, data = sent(odd.requests[0])
    assert name == "image.png"
    assert Image.open(io.BytesIO(data)).size == (30, 20)
    assert (image.mode, image.size, dict(image.info), image.tobytes()) == before


def test_a_pillow_image_is_turned_and_keeps_its_colours_and_tells_nothing(ask: Any) -> None:
    image = Image.new("RGB", (30, 20), "red")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    image.save(file, "JPEG", exif=exif, icc_profile=profile)
    came = Image.open(io.BytesIO(one_sent(ask, Image.open(file))[1]))
    assert came.size == (20, 30)
    assert came.info["icc_profile"] == profile
    assert "exif" not in came.info


def test_16_bits_of_grey_stay_16(ask: Any) -> None:
    image = Image.new("I;16", (4, 4), 40_000)
    came = Image.open(io.BytesIO(one_sent(ask, image)[1]))
    assert came.getpixel((0, 0)) == 40_000


def test_a_transparent_palette_stays_transparent(ask: Any) -> None:
    image = Image.new("P", (4, 4), 3)
    image.info["transparency"] = 3
    came = Image.open(io.BytesIO(one_sent(ask, image)[1])).convert("RGBA")
    assert came.getpixel((0, 0))[3] == 0


def test_our_server_takes_a_pillow_image(ask: Any, server: Service, key: str) -> None:
    image = Image.open(io.BytesIO(picture("JPEG"))).convert("CMYK")
    cutout = ask("remove_background", image, key=key, base_url=server.url)
    assert (cutout.width, cutout.foreground_detected) == (320, True)


def test_a_pillow_image_of_more_than_50_mib_is_refused(ask: Any, tmp_path: Path) -> None:
    image = Image.frombytes("RGB", (4300, 4300), os.urandom(3 * 4300 * 4300))
    with pytest.raises(InputError, match="larger than 50 MB"):
        ask("remove_background", image)
    with pytest.raises(TimedOut):
        ask("remove_background", image, timeout_s=0.05)


def test_a_pillow_image_that_is_broken_is_refused(ask: Any) -> None:
    image = Image.open(io.BytesIO(picture("PNG")[:200]))
    with pytest.raises(InputError, match="cannot be written as a PNG"):
        ask("remove_background", image)
    with pytest.raises(InputError, match="cannot be written as a PNG"):
        ask("remove_background", Image.new("RGB", (0, 0)))


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/a/photo.png", "photo.png"),
        ("/photo.png?w=300&x=/y.exe", "photo.png"),
        ("/caf%C3%A9%22.JPG", "café%22.JPG"),
        ("/download.php", "image"),
        ("/", "image"),
        ("", "image"),
        ("/ünï code.webp", "ünï code.webp"),
    ],
)
def test_an_address_is_fetched_and_named_by_its_end(ask: Any, path: str, told: str) -> None:
    with odd_server(answers(b"photo")) as web, odd_server(answers(WEBP)) as odd:
        ask(
            "remove_background",
            f"HTTP://127.0.0.1:{web.port}{path.replace(' ', '%20')}",
            key="secret",
            base_url=odd.url,
        )
        assert sent(odd.requests[0]) == (told, b"photo")
    (request,) = web.requests
    assert not {"x-api-key", "idempotency-key", "authorization"} & set(request.headers)
    assert "secret" not in str(request.headers)


def test_redirects_of_a_picture_are_followed_five_times(ask: Any) -> None:
    def onward(where: str) -> Any:
        return answers(b"", 302, {"Location": where})

    five = [onward(where) for where in ("/b", "c?d", "../../e", "#f", "/g.png")]
    with odd_server(answers(WEBP)) as odd:
        with odd_server(*five, answers(b"photo")) as web:
            ask("remove_background", f"{web.url}/a", base_url=odd.url)
        paths = [request.line.split()[1] for request in web.requests]
        assert paths == ["/a", "/b", "/c?d", "/e", "/e", "/g.png"]
        assert sent(odd.requests[0]) == ("g.png", b"photo")
        with odd_server(onward("/again")) as web, pytest.raises(InputError, match="more than 5"):
            ask("remove_background", f"{web.url}/a", base_url=odd.url)
        assert len(odd.requests) == 1


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://x/y", "http://[::1", "http://", ""])
def test_redirects_to_nowhere_are_refused(ask: Any, where: str) -> None:
    with odd_server(answers(b"", 302, {"Location": where})) as web, pytest.raises(InputError):
        ask("remove_background", web.url)


def test_a_picture_that_cannot_be_fetched_is_an_input_error(ask: Any) -> None:
    with odd_server(answers(b"<html>", 404)) as web, pytest.raises(InputError, match="answers 404"):
        ask("remove_background", f"{web.url}/x.png?token=secret")
    with odd_server(dies_after(b"part", 100)) as web, pytest.raises(InputError, match="fetched"):
        ask("remove_background", f"{web.url}/x.png")
    with pytest.raises(InputError, match="cannot be reached") as caught:
        ask("remove_background", f"{web.url}/x.png?token=secret")
    assert "secret" not in str(caught.value)
    for kind in ("text/html; charset=utf-8", "application/json"):
        page = answers(b"<html>", 200, {"Content-Type": kind})
        with odd_server(page) as web, pytest.raises(InputError, match=f"has {kind[:9]}.*not a pic"):
            ask("remove_background", f"{web.url}/x.png")
        assert len(web.requests) == 1
    with odd_server(answers(bytes(50 * MIB + 1))) as web, pytest.raises(InputError, match="50 MB"):
        ask("remove_background", web.url)


@pytest.mark.parametrize(
    "address",
    ["http://", "https:///x", "http://a b/", "http://x:99999/", "http://[::1", "http://é\0/"],
)
def test_an_address_that_is_none_is_refused(ask: Any, address: str) -> None:
    with pytest.raises(InputError, match="picture's address"):
        ask("remove_background", address)


def test_a_password_in_an_address_goes_to_that_address_alone(ask: Any) -> None:
    with odd_server(answers(b"photo")) as other, odd_server(answers(WEBP)) as odd:
        onward = answers(b"", 302, {"Location": f"{other.url}/photo.png"})
        with odd_server(onward) as web:
            ask("remove_background", f"http://ada:p%40ss@127.0.0.1:{web.port}/", base_url=odd.url)
        assert web.requests[0].headers["authorization"] == "Basic YWRhOnBAc3M="
        assert "authorization" not in other.requests[0].headers
        assert "authorization" not in odd.requests[0].headers


def test_standard_input_may_be_the_picture(tmp_path: Path) -> None:
    with odd_server(answers(WEBP)) as odd:
        code = f"import sys; from openrembg.client import Client; Client(base_url={odd.url!r})"
        code += ".remove_background(sys.stdin.buffer)"
        subprocess.run([sys.executable, "-c", code], input=b"photo", check=True, timeout=60)
    assert sent(odd.requests[0]) == ("image", b"photo")
