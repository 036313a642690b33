from typing import Any

import pytest
from django.test import Client
from rmbg_client import send

from openrembg.server.cors import EXPOSED

ROUTES = [
    *("/rmbg", "/rmbg/", "/api/rmbg", "/api/rmbg/", "/api/openapi"),
    *("/health", "/ready", "/metrics"),
]


@pytest.mark.parametrize("path", ROUTES)
def test_a_preflight_is_204_for_everybody(client: Client, path: str) -> None:
    response = client.options(
        path,
        headers={
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key",
        },
    )
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "X-Api-Key" in response.headers["Access-Control-Allow-Headers"]
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_a_page_answers_the_method_that_it_allows(client: Client) -> None:
    assert "OPTIONS" in client.post("/").headers["Allow"]
    response = client.options("/")
    assert response.status_code == 204
    assert "Access-Control-Allow-Origin" not in response.headers


def test_a_preflight_needs_no_credentials_and_counts_for_no_limit(
    client: Client, furnish: Any
) -> None:
    furnish(anonymous_per_minute=1)
    for _ in range(3):
        assert client.options("/rmbg").status_code == 204
    assert send(client).status_code == 200


def test_errors_can_be_read_from_other_origins_too(client: Client) -> None:
    for response in (
        send(client, ("w", "abc")),
        send(client, headers={"x-api-key": "k"}),
        client.get("/rmbg"),
        client.get("/api/nothing"),
    ):
        assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_every_header_of_ours_is_exposed(client: Client) -> None:
    plain = {
        "access-control-allow-origin", "access-control-expose-headers", "cache-control",
        "content-type", "content-security-policy", "referrer-policy", "x-content-type-options",
    }  # fmt: skip
    response = send(client)
    sent = {name.lower() for name in response.headers} - plain
    assert sent <= {name.lower() for name in EXPOSED}
    assert response.headers["Access-Control-Expose-Headers"] == ", ".join(EXPOSED)


def test_origins_can_be_limited(client: Client, furnish: Any) -> None:
    furnish(cors_origins=("https://shop.example",))
    friend = client.options("/rmbg", headers={"Origin": "https://shop.example"})
    assert friend.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    stranger = client.options("/rmbg", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in stranger.headers
    assert friend.headers["Vary"] == stranger.headers["Vary"] == "Origin"
