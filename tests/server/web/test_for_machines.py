"""What browsers and search engines ask for by a fixed name."""

from urllib.robotparser import RobotFileParser

import pytest
from django.test import Client

LANGUAGES = ("en", "fa", "id", "ja", "ko")


@pytest.fixture
def rules(client: Client) -> RobotFileParser:
    answer = client.get("/robots.txt")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    parser = RobotFileParser()
    parser.parse(answer.content.decode().splitlines())
    return parser


@pytest.mark.parametrize("language", LANGUAGES)
def test_search_engines_may_read_the_public_pages(rules: RobotFileParser, language: str) -> None:
    for path in ("/", "/plans", "/api-usage", "/api-usage/curl"):
        assert rules.can_fetch("*", f"/{language}{path}"), path
        assert rules.can_fetch("*", path), path
    assert rules.can_fetch("*", "/static/openrembg/site.css")


@pytest.mark.parametrize("language", LANGUAGES)
def test_they_leave_alone_what_is_somebody_s_own(rules: RobotFileParser, language: str) -> None:
    for path in ("/account/", "/account/login/", "/account/keys"):
        assert not rules.can_fetch("*", f"/{language}{path}"), path
        assert not rules.can_fetch("*", path), path
    for path in ("/admin/", "/api/docs", "/api/openapi", "/rmbg", "/metrics", "/health", "/ready"):
        assert not rules.can_fetch("*", path), path


def test_a_browser_that_looks_for_an_icon_finds_ours(client: Client) -> None:
    answer = client.get("/favicon.ico")
    assert answer.headers["Location"] == "/static/openrembg/mark.svg"
    icon = client.get(answer.headers["Location"])
    icon.close()
    assert icon.headers["Content-Type"] == "image/svg+xml"
