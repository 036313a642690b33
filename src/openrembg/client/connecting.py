"""From a host's name to a line to it."""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest
from typing import Final

import anyio
import httpcore2

from openrembg.client.abandonable import abandonable

# RFC 8305, section 5: so long an address is tried alone.
HEAD_START_S: Final = 0.25

Line = httpcore2.AsyncNetworkStream


async def addresses(host: str, port: int) -> tuple[str, ...]:
    """Return a host's addresses in the order to try them, IPv6 and IPv4 in turn.

    The system may take its time; a call that is over does not wait for it. Raises ConnectError.
    """
    if _is_address(host):
        return (host,)
    try:
        found = await abandonable(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(str(error)) from error
    named = dict.fromkeys((kind, str(place[0])) for kind, _, _, _, place in found)
    first = next(iter(named))[0] if named else None
    preferred = [address for kind, address in named if kind == first]
    others = [address for kind, address in named if kind != first]
    in_turn = chain.from_iterable(zip_longest(preferred, others))
    return tuple(address for address in in_turn if address is not None)


async def first_line(hosts: Sequence[str], open_to: Callable[[str], Awaitable[Line]]) -> Line:
    """Return a line to the first address that answers, each with a head start over the next.

    Raises the ConnectError of the address that was tried first.
    """
    lines: list[Line] = []
    errors: dict[str, httpcore2.ConnectError] = {}

    async def race(host: str, over: anyio.Event) -> None:
        try:
            line = await open_to(host)
        except httpcore2.ConnectError as error:
            errors[host] = error
        else:
            lines.append(line)
            racers.cancel_scope.cancel()
        over.set()

    try:
        async with anyio.create_task_group() as racers:
            for host in hosts:
                over = anyio.Event()
                racers.start_soon(race, host, over)
                with anyio.move_on_after(HEAD_START_S):
                    await over.wait()
    except BaseException:
        await _close(lines)
        raise
    if not lines:
        raise next((errors[host] for host in hosts), httpcore2.ConnectError("No address."))
    await _close(lines[1:])
    return lines[0]


async def _close(lines: Sequence[Line]) -> None:
    with anyio.CancelScope(shield=True):
        for line in lines:
            await line.aclose()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
