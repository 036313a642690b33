"""The picture that comes back: believed only if it is what the API sends."""

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import BinaryIO, Final

from openrembg.client.cutout import media_type_of
from openrembg.client.errors import UnexpectedAnswer
from openrembg.client.exchange import Answer
from openrembg.client.plain_text import printable
from openrembg.client.progress import Meter, Progress
from openrembg.matting.options import FORMATS
from openrembg.matting.sniff import sniff

MAX_BYTES: Final = 1 << 30
_TYPES: Final = frozenset(f"image/{format_}" for format_ in FORMATS)
_BEGINNING_BYTES: Final = 12
_LENGTH: Final = re.compile(r"[0-9]{1,18}", re.ASCII)

# Tells whoever wants to know how far a body is.
Notify = Callable[[Progress], Awaitable[None]]


async def receive(answer: Answer, wanted: str, file: BinaryIO, notify: Notify) -> int:
    """Write a picture's bytes to an empty file and return how many they are.

    wanted: the media type that was asked for. Raises UnexpectedAnswer for anything but such a
    picture, ConnectionFailed for half of one, OSError when the file does not take it.
    """
    total = expected_bytes(answer.headers)
    kind = media_type_of(answer.headers)
    if kind != wanted:
        raise UnexpectedAnswer(f"The server sent {kind}, not the {wanted} that was asked for.")
    meter, size, beginning = Meter(total), 0, b""
    await notify(meter.add(0))
    async with aclosing(answer.pieces()) as pieces:
        async for piece in pieces:
            beginning += piece[: _BEGINNING_BYTES - len(beginning)]
            size += len(piece)
            if size > MAX_BYTES:
                raise _too_large()
            file.write(piece)
            await notify(meter.add(len(piece)))
    if size == 0:
        raise UnexpectedAnswer("The server sent an empty picture.")
    if f"image/{sniff(beginning)}" != kind:
        raise UnexpectedAnswer(f"The server sent something that is not the {kind} it promised.")
    return size


def expected_bytes(headers: Mapping[str, str]) -> int | None:
    """Return a picture's length; None for one that is chunked, whose end is marked otherwise.

    Raises UnexpectedAnswer when the headers promise no picture, or one whose end nobody can see.
    """
    kind = media_type_of(headers)
    if kind not in _TYPES:
        named = f"'{printable(kind, 60)}'" if kind else "something without a type"
        raise UnexpectedAnswer(f"The server sent {named} in place of a picture.")
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise UnexpectedAnswer("The server sent a compressed picture, which nobody asked for.")
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return None
    length = headers.get("content-length", "").strip()
    if not _LENGTH.fullmatch(length):
        raise UnexpectedAnswer("The server sent a picture without its length.")
    if int(length) > MAX_BYTES:
        raise _too_large()
    return int(length)


def _too_large() -> UnexpectedAnswer:
    return UnexpectedAnswer("The server sent more than 1 GiB, which no picture of its has.")
