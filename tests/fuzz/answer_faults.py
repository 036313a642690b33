"""What is wrong with an answer of /rmbg, by the contract."""

import http.client
import io
import json
from collections.abc import Iterator
from typing import Final

from PIL import Image

FIRST_BYTES: Final = {"png": b"\x89PNG", "webp": b"RIFF", "jpeg": b"\xff\xd8", "bmp": b"BM"}
# The server's limits are what is judged here, not Pillow's.
Image.MAX_IMAGE_PIXELS = None


def answer_faults(answer: http.client.HTTPResponse, body: bytes, format_: str) -> Iterator[str]:
    """Yield each fault in a sentence. format_: what was asked for."""
    if answer.status == 200:
        yield from _picture_faults(answer, body, format_)
    elif answer.status == 400:
        yield from _refusal_faults(answer, body)
    else:
        yield f"status {answer.status}: {body[:120]!r}"


def _picture_faults(answer: http.client.HTTPResponse, body: bytes, format_: str) -> Iterator[str]:
    headers = answer.headers
    if not body.startswith(FIRST_BYTES[format_]):
        yield f"not the {format_} that was asked for: {body[:8]!r}"
        return
    try:
        with Image.open(io.BytesIO(body)) as image:
            image.load()
            size, visible = tuple(map(str, image.size)), _is_visible(image)
    except Exception as error:
        yield f"the answer does not decode: {error}"
        return
    if size != (headers.get("X-Width"), headers.get("X-Height")):
        yield f"{size} is not what X-Width and X-Height say"
    found = headers.get("X-Foreground-Detected") == "true"
    if headers.get("X-Credits-Charged") != str(int(found)):
        yield f"charged {headers.get('X-Credits-Charged')}, found {found}"
    if found and not visible:
        yield "a foreground is said to be there, and every pixel is transparent"


def _is_visible(image: Image.Image) -> bool:
    """Tell whether any pixel is; one without alpha always is."""
    if "A" not in image.getbands():
        return True
    return image.getchannel("A").getbbox() is not None


def _refusal_faults(answer: http.client.HTTPResponse, body: bytes) -> Iterator[str]:
    try:
        told = json.loads(body)
    except ValueError:
        yield f"the 400 is no JSON: {body[:120]!r}"
        return
    if not isinstance(told, dict) or told.get("status") != 400 or not told.get("error"):
        yield f"the 400 has another shape: {body[:120]!r}"
    elif not (told.get("field") or told.get("details")):
        yield f"the 400 names no field: {body[:120]!r}"
    if answer.headers.get("X-Credits-Charged") != "0":
        yield "the 400 does not say that it costs nothing"
