"""Where the server listens: a socket for each address of its host.

ServeError
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

# How many clients may wait to be accepted; the kernel takes the smaller of this and its own limit.
BACKLOG = 1024


class ServeError(Exception):
    """The server cannot start; the message is a sentence for the operator."""


def listen(host: str, port: int) -> tuple[socket.socket, ...]:
    """Return sockets that listen and never block, one for each address of `host`; * means all.

    Raises ServeError when there is no such address or somebody else listens there.
    """
    where = f"{host}:{port}"
    try:
        addresses = list(_addresses(host, port))
    except (OSError, UnicodeError, OverflowError) as error:
        raise ServeError(f"Cannot listen on {where}: no such host or port.") from error
    with ExitStack() as stack:
        try:
            sockets = tuple(stack.enter_context(_listening(*address)) for address in addresses)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ServeError(f"Cannot listen on {where}: {reason}.") from error
        stack.pop_all()
    return sockets


def url_of(host: str, sockets: tuple[socket.socket, ...]) -> str:
    """Return the address for people, with the real port when the configured one is 0."""
    name = host.strip("[]")
    return f"http://{f'[{name}]' if ':' in name else name}:{sockets[0].getsockname()[1]}"


def _addresses(host: str, port: int) -> Iterator[tuple[socket.AddressFamily, tuple[object, ...]]]:
    name = None if host == "*" else host.strip("[]")
    found = socket.getaddrinfo(
        name, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
    )
    # A name may have the same address twice, which can be bound but once.
    yield from dict.fromkeys((family, address) for family, _, _, _, address in found)


def _listening(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Else a server could not start anew while connections of the last one are forgotten.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setblocking(False)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made
