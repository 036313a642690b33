"""Lines to servers that hear an answer while they still send.

A server may refuse an upload when it has read its head. Whoever sends everything first and listens
then may find the line cut and the answer lost, or wait for ever for a server that reads no more.
"""

import ssl
from collections.abc import Iterable
from typing import Any, Final

import anyio
import httpcore2

from openrembg.client.connecting import addresses, first_line

READ_BYTES: Final = 64 * 1024
HEAR_S: Final = 0.05
NO_TLS: Final = "The other side does not speak TLS."
# What OpenSSL calls it when the first thing that comes is no TLS.
_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE", "PACKET_LENGTH_TOO_LONG")
SPOKEN: Final = "The other side has spoken."
_INTERIM: Final = (b"HTTP/1.1 1", b"HTTP/1.0 1")
_HEAD_END: Final = b"\r\n\r\n"


class NoHandshake(httpcore2.ConnectError):
    """The other side does not speak TLS."""


class ListeningStream(httpcore2.AsyncNetworkStream):
    """A line whose `write` ends with WriteError as soon as the other side has spoken.

    httpcore then reads what was said. Interim answers (RFC 9110, section 15.2) are passed over.
    """

    def __init__(self, line: httpcore2.AsyncNetworkStream) -> None:
        self._line = line
        self._heard = b""
        self._ended = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what came: first what was heard while sending. Empty at the end."""
        if self._heard:
            heard, self._heard = self._heard[:max_bytes], self._heard[max_bytes:]
            return heard
        if self._ended:
            return b""
        try:
            return await self._line.read(max_bytes, timeout)
        except OSError as error:
            raise httpcore2.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all, or raise WriteError when the line is broken or the other side speaks."""
        if self._line.get_extra_info("is_readable"):
            # What came may be no word of HTTP but TLS's own.
            with anyio.move_on_after(HEAR_S) as moment:
                await self._listen(moment)
        if self._spoken:
            raise httpcore2.WriteError(SPOKEN)
        fault: Exception | None = None
        async with anyio.create_task_group() as both:
            both.start_soon(self._listen, both.cancel_scope)
            try:
                await self._line.write(buffer, timeout)
            except Exception as error:
                fault = error
            both.cancel_scope.cancel()
        if self._spoken:
            raise httpcore2.WriteError(SPOKEN)
        if isinstance(fault, OSError):
            raise httpcore2.WriteError(str(fault)) from fault
        if fault is not None:
            raise fault

    async def aclose(self) -> None:
        """Close the line."""
        await self._line.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Return the same line, encrypted. Raises NoHandshake when no TLS comes back."""
        try:
            secure = await self._line.start_tls(ssl_context, server_hostname, timeout)
        except httpcore2.ConnectTimeout as error:
            raise NoHandshake(NO_TLS) from error
        except httpcore2.ConnectError as error:
            if getattr(error.__cause__, "reason", None) in _NOT_TLS:
                raise NoHandshake(NO_TLS) from error
            raise
        except BaseException:
            # httpcore forgets the line when the handshake is cancelled.
            with anyio.CancelScope(shield=True):
                await self._line.aclose()
            raise
        return ListeningStream(secure)

    def get_extra_info(self, info: str) -> Any:
        """Return what the line knows of itself."""
        return self._line.get_extra_info(info)

    @property
    def _spoken(self) -> bool:
        return self._ended or _is_final(self._heard)

    async def _listen(self, scope: anyio.CancelScope) -> None:
        """Stop the sending when a final answer begins to come, or the line ends."""
        try:
            while not self._spoken:
                more = await self._line.read(READ_BYTES)
                self._heard = _without_interim(self._heard + more)
                self._ended = not more
        except (httpcore2.ReadError, OSError):
            self._ended = True
        scope.cancel()


def _is_final(heard: bytes) -> bool:
    """Say whether this begins an answer after which no other comes, or nothing that makes sense."""
    if len(heard) >= READ_BYTES:
        return True
    return len(heard) >= len(_INTERIM[0]) and not heard.startswith(_INTERIM)


def _without_interim(heard: bytes) -> bytes:
    """Return what was heard without the interim answers that are complete."""
    while heard.startswith(_INTERIM):
        _, end, rest = heard.partition(_HEAD_END)
        if not end:
            break
        heard = rest
    return heard


class ListeningBackend(httpcore2.AsyncNetworkBackend):
    """Opens such lines."""

    def __init__(self) -> None:
        self._opener = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Open a line over TCP to the first of the host's addresses that answers."""

        async def to(address: str) -> httpcore2.AsyncNetworkStream:
            return await self._opener.connect_tcp(
                address, port, None, local_address, socket_options
            )

        try:
            with anyio.fail_after(timeout):
                return ListeningStream(await first_line(await addresses(host, port), to))
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)
