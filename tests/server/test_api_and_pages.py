"""The API's routes are no pages: no cookie, no token of a form, no page for an answer."""

import logging
from typing import Any

import pytest
from django.test import Client

from openrembg.server.observability.logs import NoPaths
from people import person

pytestmark = [
    pytest.mark.usefixtures("database"),
    # Cookies and methods are the same on every database.
    pytest.mark.parametrize("prepared_database", ["sqlite"], indirect=True),
]

API = (
    "/rmbg",
    "/api/membership-usage",
    "/api/openapi",
    "/api/docs",
    "/api/nope",
    "/health",
    "/metrics",
)


@pytest.mark.parametrize("path", API)
@pytest.mark.parametrize("session", ["x", "bogus-but-long-enough-to-be-one-00"])
def test_the_api_neither_sets_nor_varies_by_cookies(path: str, session: str) -> None:
    client = Client(raise_request_exception=False)
    client.cookies["openrembg_session"] = session
    key = person().key_text
    for method in ("get", "post"):
        response = getattr(client, method)(path, headers={"X-Api-Key": key})
        assert not response.cookies
        assert "Cookie" not in response.headers.get("Vary", "")


def test_a_dead_session_is_no_cookie_of_the_api() -> None:
    client = Client()
    client.cookies["openrembg_session"] = "bogus-but-long-enough-to-be-one-00"
    response = client.post("/api/user-token")
    assert response.status_code == 401
    assert "openrembg_session" not in response.cookies


@pytest.mark.parametrize(
    "path", ["/api/openapi", "/api/docs", "/metrics", "/static/openrembg/site.css"]
)
@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_a_wrong_method_is_told_in_json(path: str, method: str) -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    response = getattr(client, method)(path)
    assert response.status_code == 405
    assert response.json()["error"] == "Method not allowed"
    assert "GET" in response.headers["Allow"]


def test_a_mailed_link_does_not_reach_the_log(client: Client) -> None:
    heard: list[logging.LogRecord] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record)

    ear = Ear()
    ear.addFilter(NoPaths())
    logger: Any = logging.getLogger("django.security.csrf")
    logger.addHandler(ear)
    try:
        strict = Client(enforce_csrf_checks=True)
        strict.post("/en/account/password/reset/key/1-geheim/")
    finally:
        logger.removeHandler(ear)
    assert len(heard) == 1
    assert "geheim" not in heard[0].getMessage()
    assert "password/reset/key" in heard[0].getMessage()
