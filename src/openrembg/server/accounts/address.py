"""Which network a request comes from: the unit that anonymous limits count by."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NOWHERE = ipaddress.IPv4Address(0)


def client_address(request: HttpRequest) -> Address:
    """Return the client's address.

    It is the peer's. When the peer is a trusted proxy, it is the last address in X-Forwarded-For
    that is not a trusted proxy: everything to the left of it is the client's own claim. Garbage
    in the header ends the walk at the last address that could be read.
    """
    address = _parse(request.META.get("REMOTE_ADDR", "")) or _NOWHERE
    trusted: tuple[Network, ...] = settings.OPENREMBG.trusted_proxies
    hops = request.headers.get("X-Forwarded-For", "").split(",")
    for hop in reversed(hops):
        if not _is_in(address, trusted):
            return address
        before = _parse(hop)
        if before is None:
            return address
        address = before
    return address


def client_block(request: HttpRequest) -> str:
    """Return the client's network as limits count it: an IPv4 address, an IPv6 /64."""
    address = client_address(request)
    return str(_around(address, 32 if address.version == 4 else 64))


def client_network(request: HttpRequest) -> str:
    """Return the network that a log may name: IPv4 /24, IPv6 /48.

    That is enough to see where abuse comes from, and too little to name a person.
    """
    address = client_address(request)
    return str(_around(address, 24 if address.version == 4 else 48))


def _around(address: Address, prefix: int) -> Network:
    return ipaddress.ip_network((address, prefix), strict=False)


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _parse(text: str) -> Address | None:
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
