"""Forms and pictures for the tests of the server, as a client would send them."""

import io
import zlib
from typing import Any

from django.test import Client
from PIL import Image

BOUNDARY = "a-boundary-of-ours"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


def photo(width: int = 40, height: int = 30, format_: str = "PNG") -> bytes:
    """Return a small picture file with something in its middle."""
    image = Image.new("RGB", (width, height), (90, 140, 200))
    if width > 3 and height > 3:
        image.paste((200, 60, 30), (width // 4, height // 4, width * 3 // 4, height * 3 // 4))
    file = io.BytesIO()
    image.save(file, format_)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and has no pixels to match."""
    data = bytearray(photo())
    data[16:20] = width.to_bytes(4, "big")
    data[20:24] = height.to_bytes(4, "big")
    crc = zlib.crc32(data[12:29])
    data[29:33] = crc.to_bytes(4, "big")
    return bytes(data)


def form(*parts: tuple[str, str], image: tuple[str, bytes] | None = None) -> bytes:
    """Return a multipart body: text parts in order, then the image (file name, bytes)."""
    lines = b""
    for name, value in parts:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        lines += head.encode() + value.encode() + b"\r\n"
    if image is not None:
        filename, data = image
        head = (
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
            f'name="image"; filename="{filename}"\r\n\r\n'
        )
        lines += head.encode() + data + b"\r\n"
    return lines + f"--{BOUNDARY}--\r\n".encode()


def send(
    client: Client,
    *parts: tuple[str, str],
    image: tuple[str, bytes] | None = ("photo.png", photo()),
    path: str = "/rmbg",
    headers: dict[str, str] | None = None,
    **environ: Any,
) -> Any:
    """POST a form to /rmbg and return the answer; `environ` is what our server would add."""
    body = form(*parts, image=image)
    extra = {name.replace("__", "."): value for name, value in environ.items()}
    return client.post(path, body, content_type=MULTIPART, headers=headers, **extra)


def error_of(response: Any) -> dict[str, Any]:
    """Return an error answer's contract part: without code and request id, which must be there."""
    body = response.json()
    assert isinstance(body.pop("code"), str)
    assert body.pop("request_id") == response.headers["X-Request-Id"]
    assert body["status"] == response.status_code
    assert response.headers["X-Credits-Charged"] == "0"
    return dict(body)
