"""One request and its answer, with every fault of the line as an error of ours."""

import os
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import anyio
import h11
import httpx2

from openrembg.client.address import Address
from openrembg.client.connections import CONNECT_S, Connections
from openrembg.client.errors import ConnectionFailed, UnexpectedAnswer
from openrembg.client.line import NoHandshake

START_S: Final = 10.0
_LINE_FAULTS: Final = (httpx2.TransportError, ssl.SSLError)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. body: None, or pieces whose total the Content-Length header says."""

    method: str
    address: Address
    headers: Mapping[str, str]
    body: AsyncIterator[bytes] | None = None


class Answer:
    """A status, headers (names in lower case), and a body that is still to be read."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers = _by_name(response.headers.raw)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes. Raises ConnectionFailed when it ends too early."""
        try:
            async with aclosing(self._response.aiter_raw()) as stream:
                async for piece in stream:
                    yield piece
        except _LINE_FAULTS as error:
            raise ConnectionFailed("The line broke while the answer came.") from error

    async def start(self, limit: int) -> bytes:
        """Return at most the body's first `limit` bytes, fewer if the line breaks or stalls."""
        begun = bytearray()
        with suppress(ConnectionFailed), anyio.move_on_after(START_S):
            async with aclosing(self.pieces()) as pieces:
                async for piece in pieces:
                    begun += piece
                    if len(begun) >= limit:
                        break
        return bytes(begun[:limit])


@asynccontextmanager
async def answered(connections: Connections, request: Request) -> AsyncIterator[Answer]:
    """Send a request and yield its answer.

    Raises ConnectionFailed, or UnexpectedAnswer for what is no HTTP.
    """
    response = await _sent(connections, request)
    try:
        yield Answer(response)
    finally:
        await response.aclose()


async def _sent(connections: Connections, request: Request) -> httpx2.Response:
    address, client = request.address, connections.client()
    try:
        asked = client.build_request(
            request.method, address.url, headers=request.headers, content=request.body
        )
        return await client.send(asked, stream=True)
    except httpx2.RemoteProtocolError as error:
        # The cause tells nonsense from silence.
        if any(isinstance(cause, h11.RemoteProtocolError) for cause in _causes(error)):
            raise UnexpectedAnswer(f"What answers at {address.origin} is no web server.") from error
        raise ConnectionFailed(f"{address.origin} closed the line without an answer.") from error
    except httpx2.ConnectError as error:
        raise _unreachable(address, error) from error
    except httpx2.ConnectTimeout as error:
        message = f"{address.origin} cannot be reached: nothing answers within {CONNECT_S:.0f} s."
        raise ConnectionFailed(message, reached=False) from error
    except httpx2.ProxyError as error:
        message = f"The proxy does not let us reach {address.origin}."
        raise ConnectionFailed(message, reached=False) from error
    except _LINE_FAULTS as error:
        raise ConnectionFailed(f"The line to {address.origin} broke.") from error


def _unreachable(address: Address, error: BaseException) -> ConnectionFailed:
    """Return the error with the system's reason."""
    reason = ""
    for cause in _causes(error):
        if isinstance(cause, NoHandshake):
            return _lasting(
                f"{address.origin} does not speak TLS; if its address begins with http://, give "
                "it so."
            )
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _lasting(
                f"The certificate of {address.origin} cannot be trusted: {cause.verify_message}. "
                "SSL_CERT_FILE may name a file with certificates to trust."
            )
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            return _lasting(f"{address.origin} cannot be reached: there is no such host.")
        if isinstance(cause, OSError) and cause.strerror:
            # asyncio puts the address into its own words; the number has the system's.
            number = cause.errno or 0
            reason = f": {os.strerror(number) if number > 0 else cause.strerror}"
    return ConnectionFailed(f"{address.origin} cannot be reached{reason}.", reached=False)


def _lasting(message: str) -> ConnectionFailed:
    return ConnectionFailed(message, may_pass=False, reached=False)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what led to an error, the nearest first."""
    cause = error.__cause__ or error.__context__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _by_name(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by name; of one that was sent twice, the first."""
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return found
