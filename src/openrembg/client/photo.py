"""The picture that is sent: whatever the caller has, as a file with a length that can be reread."""

import inspect
import io
import os
import stat
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol, TypeAlias

import anyio
import anyio.lowlevel
import anyio.to_thread

from openrembg.client.abandonable import abandonable
from openrembg.client.address import is_web_address, parse_address
from openrembg.client.connections import Connections
from openrembg.client.errors import InputError
from openrembg.client.fetching import fetch
from openrembg.client.plain_text import printable
from openrembg.client.spool import Spool

if TYPE_CHECKING:
    from PIL.Image import Image

PIECE: Final = 64 * 1024
# A hop to a thread costs more than 64 KiB of reading.
BLOCK: Final = 512 * 1024
NO_NAME: Final = "image"
EXTENSIONS: Final = frozenset({".webp", ".bmp", ".png", ".jpg", ".jpeg"})


class AsyncReadable(Protocol):
    """A file whose read() is a coroutine, as aiofiles and anyio have them."""

    async def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, none at the end."""
        ...


# What both clients take: a path, an http(s) address, bytes, a file, an iterable of bytes, or a
# Pillow image.
PhotoInput: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Iterable[bytes] | Image"
)
# What the asynchronous client takes.
AsyncPhotoInput: TypeAlias = "PhotoInput | AsyncReadable | AsyncIterable[bytes]"


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture that is ready to be sent. name: the file name that is told. size: in bytes."""

    name: str
    size: int
    file: BinaryIO

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the bytes from the start, at most 64 KiB at once.

        Raises InputError when they are not `size` bytes any more.
        """
        left = self.size
        await self._do(self.file.seek, 0)
        while left > 0:
            block = await self._do(self.file.read, min(BLOCK, left))
            if not block:
                raise InputError(self._changed)
            left -= len(block)
            for start in range(0, len(block), PIECE):
                yield block[start : start + PIECE]
        if await self._do(self.file.read, 1):
            raise InputError(self._changed)

    @property
    def _changed(self) -> str:
        return f"The picture {printable(self.name, 100)} changed while it was read."

    async def _do(self, step: Callable[[int], Any], number: int) -> Any:
        if isinstance(self.file, io.BytesIO):
            return step(number)
        try:
            return await anyio.to_thread.run_sync(step, number, abandon_on_cancel=True)
        except OSError as error:
            raise InputError(_unreadable(self.name, error)) from error


@asynccontextmanager
async def opened(photo: object, connections: Connections) -> AsyncIterator[Upload]:
    """Yield the picture ready to be sent; what was put aside is removed at the end.

    Raises InputError for everything that is no picture's file.
    """
    upload = await _upload(photo, connections)
    try:
        yield upload
    finally:
        upload.file.close()


async def _upload(photo: object, connections: Connections) -> Upload:
    if isinstance(photo, str) and is_web_address(photo):
        return await _from_web(photo, connections)
    if isinstance(photo, str | os.PathLike):
        return await _from_path(photo)
    if isinstance(photo, bytes | bytearray | memoryview):
        data = bytes(photo)
        return Upload(NO_NAME, len(data), io.BytesIO(data))
    if _is_image(photo):
        return await _from_image(photo)
    if callable(getattr(photo, "read", None)):
        return await _spooled(_read_to_end(photo), _name_of(photo))
    if isinstance(photo, AsyncIterable):
        return await _spooled(photo)
    if isinstance(photo, Iterable) and not isinstance(photo, Mapping):
        return await _spooled(_each_of(photo))
    raise InputError(
        "A picture is a path, an address, bytes, a file opened for reading bytes, an iterable "
        "of bytes, or an image, "
        f"not {type(photo).__name__}."
    )


async def _from_path(given: "str | os.PathLike[str]") -> Upload:
    text: object = os.fspath(given)
    if not isinstance(text, str) or not text or "\0" in text:
        raise InputError("The picture's path is empty, not text, or has a NUL character in it.")
    # Without O_NONBLOCK the opening of a pipe waits for somebody who writes to it.
    wanted = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(text, wanted)
    except (OSError, ValueError) as error:
        raise InputError(_unreadable(text, error)) from error
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return Upload(Path(text).name, status.st_size, os.fdopen(descriptor, "rb"))
    try:
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{_shown(text)} is a folder, not a picture.")
        return await _spooled(_read_pipe(descriptor))
    finally:
        os.close(descriptor)


async def _from_web(text: str, connections: Connections) -> Upload:
    address = parse_address(text, "The picture's address")
    spool = Spool()
    with _closed_on_error(spool):
        name = await fetch(address, connections, spool.add)
    return Upload(_usable(name), spool.size, spool.file)


async def _from_image(image: Any) -> Upload:
    from openrembg.client.png import write_png  # only who has an image needs it

    spool = Spool()
    with _closed_on_error(spool):
        await abandonable(lambda: write_png(image, spool))
    return Upload(f"{NO_NAME}.png", spool.size, spool.file)


async def _spooled(pieces: AsyncIterable[object], name: str = NO_NAME) -> Upload:
    """Put aside what a stream of the caller's gives. Raises InputError for all that it raises."""
    spool = Spool()
    with _closed_on_error(spool):
        try:
            async for piece in pieces:
                spool.add(_checked(piece))
        except InputError:
            raise
        except Exception as error:
            raise InputError(_unreadable(name, error)) from error
    return Upload(name, spool.size, spool.file)


async def _read_to_end(file: Any) -> AsyncIterator[object]:
    while data := await _read(file):
        yield data
    if data is None:
        raise InputError("The picture's file is non-blocking and has nothing yet.")


async def _read(file: Any) -> Any:
    if inspect.iscoroutinefunction(file.read):
        return await file.read(PIECE)
    # A file may keep us waiting for as long as it likes; the call's time does not wait for it.
    data = await abandonable(lambda: file.read(PIECE))
    return await data if inspect.isawaitable(data) else data


async def _each_of(pieces: Iterable[object]) -> AsyncIterator[object]:
    iterator, end = iter(pieces), object()
    while (piece := await abandonable(lambda: next(iterator, end))) is not end:
        yield piece


async def _read_pipe(descriptor: int) -> AsyncIterator[bytes]:
    """Yield what comes from a pipe or a device, without a thread that waits for it."""
    while True:
        try:
            await anyio.wait_readable(descriptor)
        except PermissionError:  # a device that is always ready, such as /dev/zero
            await anyio.lowlevel.checkpoint()
        try:
            data = os.read(descriptor, PIECE)
        except BlockingIOError:
            continue
        if not data:
            return
        yield data


def _checked(piece: object) -> bytes:
    if isinstance(piece, bytes | bytearray | memoryview):
        return bytes(piece)
    kind = type(piece).__name__
    raise InputError(f"The picture's file gives {kind}, not bytes; open it with mode 'rb'.")


@contextmanager
def _closed_on_error(spool: Spool) -> Iterator[None]:
    try:
        yield
    except BaseException:
        spool.file.close()
        raise


def _is_image(photo: object) -> bool:
    """Say whether it is a Pillow image, without loading Pillow for those who have none."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(photo, pillow.Image)


def _name_of(file: object) -> str:
    name = getattr(file, "name", None)
    return _usable(os.path.basename(name) if isinstance(name, str) else "")  # noqa: PTH119


def _usable(name: str) -> str:
    """Return a stream's name if the server takes its extension; else its bytes must speak."""
    return name if Path(name).suffix.lower() in EXTENSIONS else NO_NAME


def _unreadable(name: str, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or type(error).__name__
    return f"{_shown(name)} cannot be read: {reason}."


def _shown(name: str) -> str:
    return "The picture" if name == NO_NAME else printable(name, 200)
