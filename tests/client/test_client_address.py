"""Where a client asks, with which key and headers, through which proxy."""

from typing import Any

import pytest
from tls_house import tls_server

from odd_server import WEBP, answers, odd_server
from openrembg.client import (
    AsyncClient,
    Client,
    ConnectionFailed,
    InputError,
    InvalidKey,
    UnexpectedAnswer,
)
from openrembg.client.address import base_address
from services import HOST


@pytest.mark.parametrize(
    ("given", "origin", "path"),
    [
        ("http://h:8000", "http://h:8000", ""),
        ("http://h:80/", "http://h", ""),
        ("https://h:443//", "https://h", ""),
        ("  HTTPS://H.Example/Prefix/  ", "https://h.example", "/Prefix"),
        ("http://h/rmbg", "http://h", ""),
        ("http://h/rmbg/", "http://h", ""),
        ("http://h/prefix/rmbg", "http://h", "/prefix"),
        ("http://h/api", "http://h", "/api"),
        ("http://[::1]:8000/x", "http://[::1]:8000", "/x"),
        (
            "http://bücher.example/é è".replace(" ", "%20"),
            "http://xn--bcher-kva.example",
            "/%C3%A9%20%C3%A8",
        ),
        (None, "http://127.0.0.1:8000", ""),
    ],
)
def test_an_address_is_tidied(given: str | None, origin: str, path: str) -> None:
    address = base_address(given, {})
    assert (address.origin, address.target) == (origin, path)


BAD = ["", "h", "ftp://h", "http://", "https:///x", "http://h:99999", "http://h:x", "http://[::1"]
BAD += ["http://h/?a=b", "http://h/#x", "http://h ost/", "http://h/\r\nX: y", "http://h\0", "//h"]
BAD += ["http://h:0", "http://" + "x" * 300, "file:///etc/passwd", 7]


@pytest.mark.parametrize("given", BAD)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_an_address_that_is_none_is_refused_at_once(kind: Any, given: Any) -> None:
    with pytest.raises(InputError, match="server's address") as caught:
        kind(base_url=given)
    assert str(caught.value).isprintable()


def test_the_environment_names_server_and_key(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with odd_server(answers(WEBP)) as odd:
        monkeypatch.setenv("REMBG_API_URL", f"{odd.url}/rmbg/")
        monkeypatch.setenv("REMBG_API_KEY", "from-the-environment")
        ask("remove_background", b"photo")
        ask("remove_background", b"photo", key="given", base_url=f"{odd.url}/other")
    first, second = odd.requests
    assert (first.line, first.headers["x-api-key"]) == (
        "POST /rmbg HTTP/1.1",
        "from-the-environment",
    )
    assert (second.line, second.headers["x-api-key"]) == ("POST /other/rmbg HTTP/1.1", "given")


def test_empty_variables_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMBG_API_URL", "")
    monkeypatch.setenv("REMBG_API_KEY", "")
    Client().close()


@pytest.mark.parametrize("name", ["REMBG_API_URL", "REMBG_API_KEY"])
def test_bad_variables_are_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "not good")
    with pytest.raises(InputError):
        Client()


@pytest.mark.parametrize(
    "key", ["", " ", "se cret", "secret\nmore", "sécret", "secret\0", b"secret", 7]
)
def test_a_key_that_cannot_be_sent_is_refused_and_not_repeated(key: Any) -> None:
    with pytest.raises(InputError, match="API key") as caught:
        Client(key)
    assert "cret" not in str(caught.value)


def test_white_space_around_a_key_does_not_matter(ask: Any) -> None:
    with odd_server(answers(WEBP)) as odd:
        ask("remove_background", b"photo", key=" secret\r\n", base_url=odd.url)
    assert odd.requests[0].headers["x-api-key"] == "secret"


def test_a_key_is_in_no_representation() -> None:
    with Client("secret-key", headers={"X-Other": "secret-too"}) as client:
        assert "secret" not in repr(client) + str(client)


def test_extra_headers_are_sent_to_the_api_alone(ask: Any) -> None:
    headers = {"X-Tenant": "7", "User-Agent": "mine", "Authorization": "Bearer token"}
    with odd_server(answers(b"photo")) as web, odd_server(answers(WEBP)) as odd:
        ask("remove_background", web.url, base_url=odd.url, headers=headers)
    came = odd.requests[0].headers
    assert (came["x-tenant"], came["user-agent"], came["authorization"]) == (
        *("7", "mine", "Bearer token"),
    )
    assert "idempotency-key" in came, "a user's token pays too"
    assert not {"x-tenant", "authorization"} & set(web.requests[0].headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Evil": "a\r\nb"},
        {"X-Evil\r\n": "a"},
        {"": "a"},
        {"X-Evil": "é"},
        {"X-Evil": 7},
        {7: "a"},
        {"Content-Length": "1"},
        {"content-type": "x"},
        {"Host": "x"},
        {"Transfer-Encoding": "chunked"},
        {"X-API-Key": "k"},
        {"idempotency-key": "k"},
    ],
)
def test_headers_that_would_break_a_request_are_refused(headers: Any) -> None:
    with pytest.raises(InputError) as caught:
        Client(headers=headers)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("key", ["", "a\r\nb", "é", 7])
def test_an_idempotency_key_that_cannot_be_sent_is_refused(ask: Any, key: Any) -> None:
    with pytest.raises(InputError, match="idempotency key"):
        ask("remove_background", b"photo", idempotency_key=key)


@pytest.mark.parametrize(
    "settings",
    [
        {"timeout_s": 0},
        {"timeout_s": -1},
        {"timeout_s": float("nan")},
        {"timeout_s": float("inf")},
        {"timeout_s": "3"},
        {"timeout_s": True},
        {"retries": -1},
        {"retries": 1.5},
        {"retries": None},
        {"retries": True},
    ],
)
def test_impatience_that_makes_no_sense_is_refused(settings: Any) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        Client(**settings)


def test_user_and_password_of_an_address_are_sent_and_not_shown(ask: Any) -> None:
    with odd_server(answers(b"", 302)) as odd, pytest.raises(UnexpectedAnswer) as caught:
        ask("remove_background", b"photo", base_url=f"http://ada:pa%20ss@{HOST}:{odd.port}/x")
    assert odd.requests[0].headers["authorization"] == "Basic YWRhOnBhIHNz"
    assert odd.requests[0].headers["host"] == f"{HOST}:{odd.port}"
    assert "pa%20ss" not in str(caught.value)


def test_a_proxy_of_the_environment_is_asked(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with odd_server(answers(WEBP)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://ada:pass@{HOST}:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "other.example")
        ask("remove_background", b"photo", base_url="http://photos.example/prefix")
    (request,) = proxy.requests
    assert request.line == "POST http://photos.example/prefix/rmbg HTTP/1.1"
    assert request.headers["proxy-authorization"] == "Basic YWRhOnBhc3M="
    assert request.headers["host"] == "photos.example"


def test_no_proxy_is_obeyed(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with odd_server(answers(WEBP)) as odd, odd_server(answers(WEBP + b"y")) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", HOST)
        assert ask("remove_background", b"photo", base_url=odd.url).data == WEBP


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://[::1", "http://h:x", "ftp://h"])
def test_a_proxy_that_cannot_be_used_is_said(
    ask: Any, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(InputError, match="proxy"):
        ask("remove_background", b"photo", base_url="http://photos.example")


def test_a_certificate_that_nobody_signed_is_refused_once(ask: Any, tmp_path: Any) -> None:
    told = r"certificate of https://\S+ cannot be trusted: self.signed .* SSL_CERT_FILE"
    untrusted = pytest.raises(ConnectionFailed, match=told)
    with tls_server(tmp_path) as (url, handshakes), untrusted:
        ask("remove_background", b"photo", base_url=url)
    assert len(handshakes) == 1


def test_certificates_that_cannot_be_read_are_said(
    ask: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(InputError, match="SSL_CERT_FILE"):
        ask("remove_background", b"photo", base_url="https://photos.example")


def test_an_encrypted_line_is_used_and_listened_to(
    ask: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_server(tmp_path) as (url, _):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        named = {"base_url": url, "retries": 0, "timeout_s": 60}
        assert ask("remove_background", bytes(5 << 20), **named).data == WEBP
        with pytest.raises(InvalidKey):
            ask("remove_background", bytes(5 << 20), key="early", **named)
