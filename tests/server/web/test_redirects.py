"""Addresses without a language lead to one of the reader's; the API's addresses lead nowhere."""

from typing import Any

import pytest
from django.test import Client

# Only what shows a page reads the database.
shows_a_page = pytest.mark.usefixtures("database")

# What is asked for, and where it is in a language.
WITHOUT = (
    ("/", "/"),
    ("/api-usage", "/api-usage"),
    ("/api-usage/curl", "/api-usage/curl"),
    ("/plans", "/plans"),
    ("/account/login/", "/account/login/"),
)
ACCEPTED = (
    ("", "en"),
    ("*", "en"),
    ("fa", "fa"),
    ("fa-IR", "fa"),
    ("FA-ir,fa;q=0.9,en;q=0.8", "fa"),
    ("ko-KR,ko;q=0.9,en-US;q=0.8", "ko"),
    ("en;q=0.1,ja;q=0.5", "ja"),
    ("de-DE,de;q=0.9,id;q=0.3", "id"),
    ("de,fr;q=0.5", "en"),
    ("en-GB", "en"),
    ("ja;q=nonsense", "en"),
    (";;;,,,", "en"),
    ("fa;q=0,ja;q=0.1", "ja"),
)
API = (
    "/rmbg",
    "/rmbg/",
    "/api/rmbg",
    "/api/rmbg/",
    "/api/membership-usage",
    "/api/user-token",
    "/api/webhooks/stripe",
    "/api/openapi",
    "/api/docs",
    "/health",
    "/ready",
    "/metrics",
)


def stranger(accepts: str = "", cookie: str = "") -> Client:
    """Return a browser whose reader wants some languages."""
    client = Client(raise_request_exception=False, headers={"Accept-Language": accepts})
    if cookie:
        client.cookies["openrembg_language"] = cookie
    return client


def varies_by(response: Any) -> set[str]:
    return {name.strip() for name in response.headers.get("Vary", "").split(",")}


@pytest.mark.parametrize(("path", "there"), WITHOUT)
@pytest.mark.parametrize(("accepts", "language"), ACCEPTED)
def test_a_page_is_shown_in_the_browser_s_language(
    path: str, there: str, accepts: str, language: str
) -> None:
    response = stranger(accepts).get(path)
    assert (response.status_code, response.headers["Location"]) == (302, f"/{language}{there}")
    assert {"Accept-Language", "Cookie"} <= varies_by(response)


@pytest.mark.parametrize(("path", "there"), WITHOUT)
def test_a_choice_by_hand_counts_for_more_than_the_browser(path: str, there: str) -> None:
    response = stranger("fa", cookie="ko").get(path)
    assert response.headers["Location"] == f"/ko{there}"
    assert {"Accept-Language", "Cookie"} <= varies_by(response)


@pytest.mark.parametrize("cookie", ["", "xx", "../..", "//evil.example", "de", "x" * 9999])
def test_a_cookie_that_is_no_choice_is_none(cookie: str) -> None:
    response = stranger("ja", cookie=cookie).get("/plans")
    assert response.headers["Location"] == "/ja/plans"


@shows_a_page
def test_a_page_in_a_language_stays_there_and_is_remembered() -> None:
    client = stranger("fa", cookie="ko")
    assert client.get("/ja/plans").status_code == 200
    assert client.get("/plans").headers["Location"] == "/ja/plans"


@shows_a_page
def test_a_page_in_the_language_that_is_asked_for_anyway_leaves_no_cookie() -> None:
    client = stranger("fa")
    response = client.get("/fa/plans")
    assert "openrembg_language" not in response.cookies


@pytest.mark.parametrize(("path", "there"), WITHOUT)
def test_the_query_comes_along(path: str, there: str) -> None:
    response = stranger("fa").get(f"{path}?a=1&b=%D8%B3&next=/en/")
    assert response.headers["Location"] == f"/fa{there}?a=1&b=%D8%B3&next=/en/"


def test_a_head_is_answered_as_its_get() -> None:
    response = stranger("ko").head("/plans")
    assert (response.status_code, response.headers["Location"]) == (302, "/ko/plans")
    assert response.content == b""


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/en", "/en/"),
        ("/fa", "/fa/"),
        ("/en/plans/", "/en/plans"),
        ("/ja/api-usage/", "/ja/api-usage"),
        ("/ko/api-usage/curl/", "/ko/api-usage/curl"),
        ("/id/account", "/id/account/"),
        ("/fa/account/login", "/fa/account/login/"),
        ("/en/account/keys/", "/en/account/keys"),
        ("/en/account/billing?x=1", "/en/account/billing/?x=1"),
    ],
)
def test_a_slash_too_many_or_too_few_leads_to_the_page(path: str, there: str) -> None:
    response = stranger().get(path)
    assert (response.status_code, response.headers["Location"]) == (302, there)


@shows_a_page
@pytest.mark.parametrize("path", ["/plans/", "/api-usage/", "/account", "/account/keys/"])
def test_a_wrong_slash_without_a_language_leads_to_the_page_too(path: str) -> None:
    client = stranger("ja")
    response = client.get(path, follow=True)
    assert response.redirect_chain[-1][0].startswith("/ja/")
    assert len(response.redirect_chain) <= 3
    assert response.status_code == 200


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "//evil.example/", "//evil.example/plans", "///plans", "/\\evil.example/"],
)
def test_no_address_leads_to_another_host(path: str) -> None:
    response = stranger("en").get(path)
    place = response.headers.get("Location", "")
    assert not place.startswith(("//", "/\\", "http"))
    assert response.status_code in (302, 404)


@pytest.mark.parametrize(
    "path", ["/nothing", "/en/nothing", "/en/plans/nothing", "/de/", "/xx/plans"]
)
def test_what_is_not_there_is_not_there(path: str) -> None:
    response = stranger("fa").get(path, follow=True)
    assert response.status_code == 404
    assert response.redirect_chain in ([], [(f"/fa{path}", 302)])
    assert response.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("path", API)
@pytest.mark.parametrize("method", ["get", "post", "delete", "options", "head"])
def test_the_api_leads_nowhere(path: str, method: str) -> None:
    response = getattr(stranger("fa", cookie="ko"), method)(path)
    assert not 300 <= response.status_code < 400
    assert "openrembg_language" not in response.cookies
    assert varies_by(response).isdisjoint({"Accept-Language", "Cookie"})


@pytest.mark.parametrize("path", ["/en/rmbg", "/fa/api/rmbg", "/en/health", "/ja/api/openapi"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_the_api_is_under_no_language(path: str, method: str) -> None:
    assert getattr(stranger("fa"), method)(path).status_code == 404


@pytest.mark.parametrize("path", ["/", "/plans", "/api-usage", "/nothing", "/api/nothing"])
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_what_is_posted_elsewhere_is_refused_in_json(path: str, method: str) -> None:
    response = getattr(stranger("fa"), method)(path)
    assert response.status_code in (404, 405)
    body = response.json()
    assert body["request_id"]
    assert body["code"] in ("not_found", "method_not_allowed")
    assert response.headers["X-Credits-Charged"] == "0"


@pytest.mark.parametrize("path", ["/en/", "/fa/plans", "/ja/api-usage"])
def test_a_page_for_reading_takes_no_post(path: str) -> None:
    response = Client(raise_request_exception=False).post(path)
    assert response.status_code == 405
    assert response.json()["code"] == "method_not_allowed"
