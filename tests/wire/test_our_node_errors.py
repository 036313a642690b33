"""Our Node client: each error of the server arrives as the class that is called like it."""

import email.utils
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from node_client_calls import PACKAGE, Outcome, call_node

from odd_server import answers, odd_server, refuses_early
from openrembg.server import errors
from services import Service

pytestmark = pytest.mark.wire

ERROR_TREE = (PACKAGE / "src" / "errors.ts").read_text("utf-8")


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"a photo")
    return path


def public_errors(
    root: type[errors.PublicError] = errors.PublicError,
) -> Iterator[type[errors.PublicError]]:
    """Yield every error that somebody can be answered with."""
    for kind in root.__subclasses__():
        if kind is not errors.ClientGone:
            yield kind
            yield from public_errors(kind)


def named_for_its_code(kind: type[errors.PublicError]) -> str:
    """Return the name of the class that a code belongs to: a subclass may share its parent's."""
    return next(
        at.__name__ for at in reversed(kind.__mro__) if getattr(at, "code", "") == kind.code
    )


def refused(folder: Path, status: int, body: object, **headers: str) -> Outcome:
    """Return what the client makes of a refusal."""
    raw = body if isinstance(body, bytes) else {"status": status, **dict(body)}  # type: ignore[call-overload]
    with odd_server(answers(raw, status, headers)) as odd:
        return call_node(folder, odd.url, "path", folder / "photo.jpg", retries=0)


ALL_ERRORS = sorted(public_errors(), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda kind: kind.__name__)
def test_each_error_of_the_server_has_its_class(
    tmp_path: Path, photo_file: Path, kind: type[errors.PublicError]
) -> None:
    body = {"error": kind.message, "code": kind.code, "request_id": "the id"}
    error = refused(tmp_path, kind.status, body).error
    name = "Internal" if kind is errors.Internal else named_for_its_code(kind)
    assert (error["name"], error["status"], error["code"]) == (name, kind.status, kind.code)
    assert (error["error"], error["requestId"]) == (kind.message, "the id")
    assert error["classes"][-4:] == ["APIError", "RembgError", "Error", "Object"]
    # The server's own tree, as far as its classes are this client's too.
    parents = [at.__name__ for at in kind.__mro__[1:] if at.__name__ in error["classes"]]
    assert [at for at in error["classes"] if at in parents and at != name] == [
        at for at in parents if at not in (name, "Exception")
    ]


def test_the_comment_draws_every_class() -> None:
    comment, _, code = ERROR_TREE.partition("*/")
    classes = re.findall(r"^export class (\w+)", code, re.MULTILINE)
    assert re.findall(r"─ (\w+)|^ \*     (RembgError)", comment, re.MULTILINE)
    assert [name for name in classes if not re.search(rf"\b{name}\b", comment)] == []


@pytest.mark.parametrize(
    ("status", "message", "name"),
    [
        (400, "Anything", "InvalidRequest"),
        (400, errors.BothCredentials.message, "BothCredentials"),
        (401, errors.InvalidKey.message, "InvalidKey"),
        (401, errors.InvalidToken.message, "InvalidToken"),
        (401, "Anything", "InvalidKey"),
        (403, errors.EmailNotVerified.message, "EmailNotVerified"),
        (403, "Anything", "APIError"),
        (404, "Anything", "NotFound"),
        (405, "Anything", "MethodNotAllowed"),
        (409, "Anything", "StillRunning"),
        (413, "Anything", "BodyTooLarge"),
        (418, "Anything", "APIError"),
        (422, "Anything", "OtherPayload"),
        (429, errors.TooFast.message, "TooFast"),
        (429, errors.DailyLimit.message, "DailyLimit"),
        (429, errors.MonthlyLimit.message, "MonthlyLimit"),
        (429, "Anything", "RateLimited"),
        (500, "Anything", "Internal"),
        (502, "Anything", "ServerFailed"),
        (503, "Anything", "Unavailable"),
        (599, "Anything", "ServerFailed"),
    ],
)
def test_without_a_code_the_sentence_and_the_status_decide(
    tmp_path: Path, photo_file: Path, status: int, message: str, name: str
) -> None:
    error = refused(tmp_path, status, {"error": message}).error
    assert (error["name"], error["code"], error["error"]) == (name, None, message)
    body = f'{{"status": {status}, "error": "'
    assert error["message"].startswith(f"❌ {status} {body}")


@pytest.mark.parametrize("code", ["of the future", "constructor", "__proto__"])
def test_an_unknown_code_falls_back_on_the_status(
    tmp_path: Path, photo_file: Path, code: str
) -> None:
    for status, name in ((418, "APIError"), (400, "InvalidRequest"), (507, "ServerFailed")):
        error = refused(tmp_path, status, {"error": "New", "code": code}).error
        assert (error["name"], error["code"]) == (name, code)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (
            b"<html>\n<h1>Bad\tgateway</h1>\x1b[31m</html>",
            "<html> <h1>Bad gateway</h1> [31m</html>",
        ),
        (b"", "Bad Gateway"),
        (b"\x00\xff\xfe", "Bad Gateway"),
        (b'{"error": 5}', '{"error": 5}'),
        (b"[]", "[]"),
        (b"null", "null"),
        (b"x" * 300, "x" * 199 + "…"),
        (b"y" * 1_000_000, "y" * 199 + "…"),
    ],
)
def test_what_is_not_the_apis_is_shown_in_part(
    tmp_path: Path, photo_file: Path, body: bytes, shown: str
) -> None:
    error = refused(tmp_path, 502, body, **{"X-Request-Id": "the id"}).error
    assert (error["name"], error["message"]) == ("ServerFailed", f"❌ 502 {shown}")
    assert (error["error"], error["body"], error["requestId"]) == (shown, shown, "the id")


def test_details_that_are_garbled_are_left_out(tmp_path: Path, photo_file: Path) -> None:
    details = [{"field": "w", "message": "Too wide"}, 5, None, {"field": 1}]
    error = refused(tmp_path, 400, {"error": "Wrong", "details": details, "field": []}).error
    assert error["details"] == [{"field": "w", "message": "Too wide"}]
    assert error["field"] is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("0", 0), ("soon", None), ("-5", None), ("1.5", None), ("", None)],
)
def test_retry_after_is_seconds(
    tmp_path: Path, photo_file: Path, text: str, seconds: int | None
) -> None:
    error = refused(tmp_path, 503, {"error": "Later"}, **{"Retry-After": text}).error
    assert error["retryAfter"] == seconds


def test_retry_after_may_be_a_date(tmp_path: Path, photo_file: Path) -> None:
    for ahead_s, low, high in ((1000, 800, 1001), (-1000, 0, 0)):
        date = email.utils.formatdate(time.time() + ahead_s, usegmt=True)
        error = refused(tmp_path, 503, {"error": "Later"}, **{"Retry-After": date}).error
        assert low <= error["retryAfter"] <= high


@pytest.mark.parametrize("size", [10, 50 * 1024 * 1024])
def test_a_refusal_that_comes_early_is_read(tmp_path: Path, size: int) -> None:
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        file.truncate(size)
    body = {"error": errors.InvalidKey.message, "code": errors.InvalidKey.code}
    with odd_server(refuses_early(body, 401)) as odd:
        outcome = call_node(tmp_path, odd.url, "path", path, retries=0)
    assert outcome.error["name"] == "InvalidKey"


def test_the_servers_own_refusal_of_a_large_upload_is_read(server: Service, tmp_path: Path) -> None:
    path = tmp_path / "large.bmp"
    path.write_bytes(b"BM" + bytes(20_000_000))
    for _ in range(3):
        outcome = call_node(tmp_path, server.url, "path", path, apiKey="wrong", retries=0)
        assert outcome.error["name"] == "InvalidKey", outcome.error


def test_an_unknown_route_is_not_found(server: Service, tmp_path: Path, photo_file: Path) -> None:
    outcome = call_node(tmp_path, f"{server.url}/api/nothing", "path", photo_file)
    assert outcome.error["name"] == "NotFound"
