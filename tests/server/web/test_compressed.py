"""Static files are sent compressed to whoever takes them so, and nothing else is."""

import gzip
from typing import Any

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

SHEET = "/static/openrembg/site.css"


def sheet(client: Client, **headers: str) -> Any:
    """Return the answer and close its file, if it has one."""
    answer = client.get(SHEET, headers=headers)
    body = answer.getvalue()
    answer.close()
    return answer, body


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "deflate, GZIP"])
def test_a_script_or_style_is_compressed(client: Client, accepted: str) -> None:
    _, plain = sheet(client)
    answer, packed = sheet(client, **{"Accept-Encoding": accepted})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Content-Length"] == str(len(packed))
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain) / 2


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "br, gzip; q=0.0, zstd"])
def test_whoever_takes_no_gzip_gets_the_file_as_it_is(client: Client, accepted: str) -> None:
    answer, body = sheet(client, **{"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Content-Length"] == str(len(body))
    assert "Accept-Encoding" in answer.headers["Vary"]


def test_a_file_that_has_not_changed_is_not_sent_again(client: Client) -> None:
    first, _ = sheet(client, **{"Accept-Encoding": "gzip"})
    since = {"If-Modified-Since": first.headers["Last-Modified"], "Accept-Encoding": "gzip"}
    answer, body = sheet(client, **since)
    assert (answer.status_code, body) == (304, b"")


def test_pages_are_not_compressed(client: Client) -> None:
    answer = client.get("/en/account/login/", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
