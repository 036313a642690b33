import ipaddress
from typing import Any

import pytest
from django.test import RequestFactory
from pytest_django.fixtures import Settings as DjangoSettings

from openrembg.server.accounts.address import client_address, client_block, client_network
from openrembg.server.settings import Settings


def asked(peer: str, forwarded: str | None = None) -> Any:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return RequestFactory().get("/", headers=headers, REMOTE_ADDR=peer)


def trust(settings: DjangoSettings, *networks: str) -> None:
    trusted = tuple(ipaddress.ip_network(network) for network in networks)
    settings.OPENREMBG = Settings(trusted_proxies=trusted)


def test_the_client_is_the_peer() -> None:
    assert str(client_address(asked("203.0.113.7"))) == "203.0.113.7"


def test_a_stranger_cannot_claim_another_address() -> None:
    assert str(client_address(asked("203.0.113.7", "198.51.100.1"))) == "203.0.113.7"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("6.6.6.6, 198.51.100.1, 10.0.0.9", "198.51.100.1"),
        ("10.0.0.8, 10.0.0.9", "10.0.0.8"),
        ("198.51.100.1:4711", "198.51.100.1"),
        ('"[2001:db8::1]:4711"', "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("198.51.100.1, garbage", "10.0.0.1"),
        ("unknown", "10.0.0.1"),
        ("", "10.0.0.1"),
        (",,,", "10.0.0.1"),
        ("198.51.100.1, 10.0.0.9, ::1%eth0", "::1"),
        ("x" * 10000, "10.0.0.1"),
    ],
)
def test_a_trusted_proxy_is_walked_past(
    settings: DjangoSettings, forwarded: str, client: str
) -> None:
    trust(settings, "10.0.0.0/8")
    assert str(client_address(asked("10.0.0.1", forwarded))) == client


def test_a_trusted_proxy_on_a_mapped_address(settings: DjangoSettings) -> None:
    trust(settings, "10.0.0.0/8")
    assert str(client_address(asked("::ffff:10.0.0.1", "198.51.100.1"))) == "198.51.100.1"


@pytest.mark.parametrize("peer", ["", "garbage", "/run/socket"])
def test_a_peer_without_an_address_crashes_nothing(peer: str) -> None:
    assert client_block(asked(peer)) == "0.0.0.0/32"


@pytest.mark.parametrize(
    ("peer", "block", "network"),
    [
        ("203.0.113.7", "203.0.113.7/32", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.7/32", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
    ],
)
def test_limits_count_a_block_and_the_log_names_a_network(
    peer: str, block: str, network: str
) -> None:
    assert client_block(asked(peer)) == block
    assert client_network(asked(peer)) == network
