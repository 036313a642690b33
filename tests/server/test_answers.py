from typing import Any

import pytest
from django.core.exceptions import RequestDataTooBig
from django.db import InternalError, OperationalError
from django.http import Http404, HttpResponse
from django.test import Client, RequestFactory
from psycopg.errors import ReadOnlySqlTransaction
from pytest_django.fixtures import Settings as DjangoSettings
from rmbg_client import error_of, send

from fakes.steady_matter import SteadyMatter
from openrembg.matting.errors import (
    CorruptModel,
    FieldError,
    ImageTooLarge,
    InferenceFailed,
    InvalidOptions,
)
from openrembg.server.answers import public, server_error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidOptions((FieldError("w", "no"),)), 400, "invalid_request"),
        (ImageTooLarge("wide", "high"), 400, "invalid_request"),
        (InferenceFailed("x"), 500, "internal"),
        (CorruptModel("x"), 503, "not_ready"),
        (Http404(), 404, "not_found"),
        (RequestDataTooBig(), 413, "body_too_large"),
        (ZeroDivisionError(), 500, "internal"),
    ],
)
def test_each_error_has_one_status_and_code(error: Exception, status: int, code: str) -> None:
    assert (public(error).status, public(error).code) == (status, code)


@pytest.mark.parametrize("path", ["/api/nothing", "/api/", "/api/rmbg/x", "/api/openapi/"])
def test_an_unknown_path_under_api_is_json(client: Client, path: str) -> None:
    assert error_of(client.get(path)) == {"error": "Not found", "status": 404}


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_an_unknown_path_is_json_for_everything_but_get(client: Client, method: str) -> None:
    response = getattr(client, method)("/nothing")
    assert error_of(response) == {"error": "Not found", "status": 404}


def test_an_unknown_page_is_a_page(client: Client) -> None:
    response = client.get("/nothing")
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.headers["X-Credits-Charged"] == "0"
    assert "nothing at this address" in response.content.decode()


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("get", "/rmbg", "OPTIONS, POST"),
        ("head", "/rmbg", "OPTIONS, POST"),
        ("put", "/api/rmbg/", "OPTIONS, POST"),
        ("post", "/health", "GET, HEAD, OPTIONS"),
        ("delete", "/ready", "GET, HEAD, OPTIONS"),
        ("post", "/metrics", "GET, HEAD, OPTIONS"),
        ("post", "/api/openapi", "GET, HEAD, OPTIONS"),
        ("post", "/api/docs", "GET, HEAD, OPTIONS"),
        ("post", "/", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_method_that_is_not_answered(client: Client, method: str, path: str, allow: str) -> None:
    response = getattr(client, method)(path)
    assert response.status_code == 405
    assert response.headers["Allow"] == allow
    assert response.headers["X-Credits-Charged"] == "0"
    if method != "head":
        assert error_of(response) == {"error": "Method not allowed", "status": 405}


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/api/openapi", "/api/docs"])
def test_head_is_answered_like_get_without_the_body(client: Client, path: str) -> None:
    got, headed = client.get(path), client.head(path)
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["Content-Type"] == got.headers["Content-Type"]
    if path != "/metrics":
        assert headed.headers["Content-Length"] == got.headers["Content-Length"]


def test_a_crash_of_ours_is_told_without_its_cause(
    client: Client, furnish: Any, caplog: pytest.LogCaptureFixture
) -> None:
    furnish(SteadyMatter(error=ZeroDivisionError("/home/secret")))
    response = send(client)
    assert error_of(response) == {"error": "Internal server error", "status": 500}
    assert "secret" not in response.content.decode()
    assert "ZeroDivisionError" in caplog.text, "the log says what happened"


def crash(path: str, error: Exception) -> HttpResponse:
    """Return what Django answers when something raised."""
    try:
        raise error
    except Exception:
        return server_error(RequestFactory().get(path))


def test_a_crash_outside_the_api_has_the_shape_too() -> None:
    response = crash("/metrics", ZeroDivisionError("secret"))
    assert response.status_code == 500
    assert b'"error": "Internal server error"' in response.content
    assert b"secret" not in response.content


def read_only() -> InternalError:
    """What Django raises when PostgreSQL takes no changes."""
    error = InternalError("secret")
    error.__cause__ = ReadOnlySqlTransaction()
    return error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ZeroDivisionError("secret"), 500),
        (InternalError("secret"), 500),
        (OperationalError("secret"), 503),
        (read_only(), 503),
    ],
)
def test_a_person_gets_a_page_when_something_failed(error: Exception, status: int) -> None:
    response = crash("/en/account/", error)
    assert response.status_code == status
    assert b"<h1>This did not work</h1>" in response.content
    assert b"secret" not in response.content
    assert ("Retry-After" in response.headers) == (status == 503)


def test_a_host_that_is_not_served_here(client: Client, settings: DjangoSettings) -> None:
    settings.ALLOWED_HOSTS = ["api.example"]
    assert send(client, headers={"host": "api.example"}).status_code == 200
    response = send(client, headers={"host": "evil.example"})
    assert error_of(response) == {"error": "Bad request", "status": 400}


@pytest.mark.parametrize(
    ("flag", "status"),
    [
        ("openrembg.body_too_large", 413),
        ("openrembg.chunked_too_large", 413),
        ("openrembg.spool_full", 503),
    ],
)
def test_a_body_that_was_not_taken_on_another_route(client: Client, flag: str, status: int) -> None:
    response = client.get("/health", **{flag: 99_999_999})
    assert response.status_code == status
    assert error_of(response)["status"] == status
    assert client.post("/api/nothing", **{flag: 99_999_999}).status_code == 404
    assert client.post("/health", **{flag: 99_999_999}).status_code == 405
