"""A picture that somebody else's web server has."""

from collections.abc import Callable
from contextlib import aclosing
from typing import Final
from urllib.parse import unquote, urljoin

from openrembg.client.address import Address, parse_address
from openrembg.client.connections import Connections
from openrembg.client.cutout import media_type_of
from openrembg.client.errors import ConnectionFailed, InputError, UnexpectedAnswer
from openrembg.client.exchange import Answer, Request, answered
from openrembg.client.plain_text import printable

MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


async def fetch(address: Address, connections: Connections, add: Callable[[bytes], None]) -> str:
    """Give a picture's bytes to `add` and return its file name, "" if the address has none.

    It is asked for once: a fault is not tried again. No key is sent. user:password in the address
    goes to that address alone. Raises InputError when the picture does not come, when what comes is
    text, after more than five redirects, and as `add` does.
    """
    current = address
    for _ in range(MAX_REDIRECTS + 1):
        onward = await _step(current, connections, add)
        if onward is None:
            return unquote(current.target.partition("?")[0].rpartition("/")[2])
        current = onward
    raise InputError(f"{address.shown} leads on more than {MAX_REDIRECTS} times.")


async def _step(
    address: Address, connections: Connections, add: Callable[[bytes], None]
) -> Address | None:
    """Fetch one address, or return the one that it leads to."""
    headers = {"User-Agent": "openrembg", "Accept": "image/*"}
    if address.authorization is not None:
        headers["Authorization"] = address.authorization
    try:
        async with answered(connections, Request("GET", address, headers)) as answer:
            if answer.status in _REDIRECTS:
                return _onward(address, answer)
            if answer.status != 200:
                raise InputError(f"{address.shown} answers {answer.status}, not with a picture.")
            kind = media_type_of(answer.headers)
            if kind.startswith("text/") or kind == "application/json":
                raise InputError(f"{address.shown} has {printable(kind, 60)}, not a picture.")
            async with aclosing(answer.pieces()) as pieces:
                async for piece in pieces:
                    add(piece)
    except (ConnectionFailed, UnexpectedAnswer) as error:
        raise InputError(f"The picture cannot be fetched: {error}") from error
    return None


def _onward(address: Address, answer: Answer) -> Address:
    """Return where a redirect leads (RFC 9110, section 10.2.2)."""
    what = f"The address that {address.shown} leads to"
    where = answer.headers.get("location", "")
    if not where:
        raise InputError(f"{what} is missing.")
    try:
        absolute = urljoin(address.url, where)
    except ValueError as error:
        raise InputError(f"{what} cannot be read.") from error
    return parse_address(absolute.partition("#")[0], what)
