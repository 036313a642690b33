import contextlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client


class Page(HTMLParser):
    """Collects what a page loads and what it runs in place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.in_place: list[str] = []
        self._tag = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        for name, value in attrs:
            if name in ("src", "href") and tag != "a":
                self.loads.append(value or "")
            if name == "style" or name.startswith("on"):
                self.in_place.append(name)

    def handle_data(self, data: str) -> None:
        if self._tag in ("script", "style") and data.strip():
            self.in_place.append(data)


def text_of(client: Client, address: str) -> str:
    """Return a static file's text."""
    response = client.get(address)
    assert response.status_code == 200, address
    with contextlib.closing(response):
        return b"".join(response.streaming_content).decode()


@pytest.mark.parametrize("path", ["/api/docs", "/nothing"])
def test_a_page_loads_only_our_own_files_and_runs_nothing_in_place(
    client: Client, path: str
) -> None:
    page = Page(client.get(path).content.decode())
    assert page.loads
    assert page.in_place == []
    for address in page.loads:
        assert address.startswith("/static/")
        assert text_of(client, address)


def test_the_console_reads_our_description(client: Client) -> None:
    assert 'data-description="/api/openapi"' in client.get("/api/docs").content.decode()
    assert client.get("/api/openapi").json()["openapi"].startswith("3.1")


def test_the_console_asks_no_other_server_whether_the_description_is_valid(client: Client) -> None:
    script = text_of(client, "/static/openrembg/console.js")
    assert "validatorUrl: null" in script
    assert re.findall(r"https?://", script) == []


def test_the_policy_lets_a_page_reach_only_this_server(client: Client) -> None:
    policy = client.get("/api/docs").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "connect-src 'self';" in policy
    assert "unsafe" not in policy


def test_the_policy_knows_the_public_address(client: Client, furnish: Any) -> None:
    furnish(public_url="https://api.example:8443/base")
    policy = client.get("/api/docs").headers["Content-Security-Policy"]
    assert "connect-src 'self' https://api.example:8443;" in policy
