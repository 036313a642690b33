import time
from typing import Any

import pytest
from django.test import Client
from rmbg_client import send

NAMES = [
    "RateLimit",
    "RateLimit-Policy",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
]


def test_the_headers_count_down(client: Client, furnish: Any) -> None:
    furnish(anonymous_per_minute=5, anonymous_per_day=20)
    for left in (4, 3):
        headers = send(client).headers
        assert headers["RateLimit-Policy"] == '"minute";q=5;w=60, "day";q=20;w=86400'
        assert headers["RateLimit"].startswith(f'"minute";r={left};t=')
        assert f'"day";r={left + 15};t=' in headers["RateLimit"]
        assert headers["X-RateLimit-Limit"] == "5"
        assert headers["X-RateLimit-Remaining"] == str(left)
        assert 0 < int(headers["X-RateLimit-Reset"]) - time.time() <= 61


def test_the_x_headers_speak_of_the_limit_that_refuses_first(client: Client, furnish: Any) -> None:
    furnish(anonymous_per_minute=5, anonymous_per_day=1)
    headers = send(client).headers
    assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("1", "0")
    assert int(headers["X-RateLimit-Reset"]) - time.time() > 86000


@pytest.mark.parametrize("path", ["/rmbg", "/rmbg/", "/api/rmbg", "/api/rmbg/"])
def test_every_answer_has_them(client: Client, furnish: Any, path: str) -> None:
    furnish(anonymous_per_minute=2, anonymous_per_day=20)
    answers = [
        send(client, path=path, headers={"x-api-key": "k"}),
        client.get(path),
        client.options(path),
        client.post(path, **{"openrembg.spool_full": True}),
        send(client, ("w", "abc"), path=path),
        send(client, path=path),
    ]
    assert [answer.status_code for answer in answers] == [401, 405, 204, 503, 400, 429]
    for answer in answers:
        assert [name for name in NAMES if name not in answer.headers] == []


def test_other_routes_do_not(client: Client) -> None:
    assert [name for name in NAMES if name in client.get("/health").headers] == []


def test_no_limit_is_a_number_that_every_client_can_read(client: Client) -> None:
    assert send(client).headers["X-RateLimit-Remaining"] == "2147483647"
