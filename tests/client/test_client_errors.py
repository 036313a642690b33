"""What a server refuses arrives as the error of the same name."""

import gc
import json
import pickle
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import openrembg.client
from odd_server import WEBP, OddServer, answers, odd_server, read_head
from openrembg.client import (
    APIError,
    DailyLimit,
    EmailNotVerified,
    InvalidKey,
    InvalidRequest,
    InvalidToken,
    MonthlyLimit,
    NotFound,
    RateLimited,
    RembgError,
    ServerFailed,
    TooFast,
    Unavailable,
    UnexpectedAnswer,
)
from openrembg.matting.errors import FieldError
from openrembg.server import errors as server_errors
from pictures import picture
from services import Service


def family(kind: type) -> Iterator[type]:
    for child in kind.__subclasses__():
        yield child
        yield from family(child)


ALL = [kind for kind in family(server_errors.PublicError) if kind is not server_errors.ClientGone]
# A class without a code of its own cannot be told from its parent.
DISTINCT = [kind for kind in ALL if "code" in vars(kind) or kind is server_errors.Internal]


def made(kind: Any) -> server_errors.PublicError:
    """Return one of the server's errors."""
    if issubclass(kind, server_errors.InvalidRequest):
        return kind(FieldError("w", "'w' must be an integer, got: 'abc'"))
    return kind(7) if issubclass(kind, server_errors.TooFast) else kind()


def refused(ask: Any, body: Any, status: int, headers: Mapping[str, str] | None = None) -> Any:
    with odd_server(answers(body, status, headers)) as odd, pytest.raises(RembgError) as caught:
        ask("remove_background", b"photo", base_url=odd.url, key="k", retries=0)
    assert len(odd.requests) == 1
    assert str(caught.value).isprintable()
    return caught.value


def test_every_error_of_the_server_is_looked_at() -> None:
    assert len(DISTINCT) >= 25
    assert {kind.__name__ for kind in ALL} - {kind.__name__ for kind in DISTINCT} == {"AccountGone"}


@pytest.mark.parametrize("kind", DISTINCT, ids=lambda kind: kind.__name__)
def test_an_error_of_the_server_arrives_under_its_name(ask: Any, kind: Any) -> None:
    sent = made(kind)
    body = {**sent.body(), "code": sent.code, "request_id": "an id"}
    error = refused(ask, body, sent.status, sent.headers)
    assert type(error) is getattr(openrembg.client, kind.__name__)
    assert isinstance(error, APIError)
    assert (error.status, error.code, error.request_id) == (sent.status, sent.code, "an id")
    assert error.message == body["error"]
    expected = sent.headers.get("Retry-After")
    assert error.retry_after_s == (None if expected is None else float(expected))
    assert json.loads(error.body) == body


@pytest.mark.parametrize("kind", DISTINCT, ids=lambda kind: kind.__name__)
def test_the_family_of_an_error_is_the_servers(kind: Any) -> None:
    here = getattr(openrembg.client, kind.__name__)
    for parent in kind.__mro__[1:]:
        if parent in DISTINCT:
            assert issubclass(here, getattr(openrembg.client, parent.__name__))


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (401, "invalid api key", InvalidKey),
        (401, "invalid user token", InvalidToken),
        (401, "who are you?", InvalidKey),
        (403, "Email address not verified – please check your inbox", EmailNotVerified),
        (403, "Forbidden", APIError),
        (429, server_errors.TooFast.message, TooFast),
        (429, server_errors.DailyLimit.message, DailyLimit),
        (429, server_errors.MonthlyLimit.message, MonthlyLimit),
        (429, "Slow down", RateLimited),
        (400, "'w' must be an integer, got: 'abc'", InvalidRequest),
        (418, "I am a teapot", APIError),
        (500, "Internal server error", openrembg.client.Internal),
        (503, "Away", Unavailable),
        (502, "Bad gateway", ServerFailed),
        (599, "?", ServerFailed),
    ],
)
def test_a_server_without_codes_is_understood_by_message_and_status(
    ask: Any, status: int, message: str, kind: type
) -> None:
    error = refused(ask, {"error": message, "status": status}, status)
    assert (type(error), error.message, error.code) == (kind, message, None)


def test_an_unknown_code_falls_back_on_the_status(ask: Any) -> None:
    error = refused(ask, {"error": "New", "code": "brand_new", "status": 400}, 400)
    assert (type(error), error.code) == (InvalidRequest, "brand_new")


def test_a_wrong_field_is_named(ask: Any, server: Service, key: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ask("usage", month=13, key=key, base_url=server.url)
    assert caught.value.field == "month"
    assert str(caught.value) == "'month' must be at most 12, got: 13"
    assert caught.value.request_id


def test_several_wrong_fields_are_listed(ask: Any) -> None:
    details = [{"field": "image", "message": "Empty."}, {"field": "w", "message": "Wide."}]
    body = {"error": "Multiple validation errors", "details": details, "status": 400}
    error = refused(ask, body, 400)
    assert error.details == (FieldError("image", "Empty."), FieldError("w", "Wide."))
    assert (error.field, str(error)) == (None, "Multiple validation errors: Empty.; Wide.")


def test_a_bad_key_is_refused_by_the_server(ask: Any, server: Service) -> None:
    for name, arguments in (("remove_background", (picture(),)), ("usage", ())):
        with pytest.raises(InvalidKey, match=r"^invalid api key$"):
            ask(name, *arguments, key="bad", base_url=server.url)


def test_a_wrong_path_is_not_found(ask: Any, server: Service) -> None:
    with pytest.raises(NotFound):
        ask("remove_background", picture(), base_url=f"{server.url}/elsewhere")


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", "The server answered 502."),
        (b"\n\n", "The server answered 502."),
        (
            b"<html><h1>Bad  Gateway</h1>\n<p>nginx</html>",
            "The server answered 502: Bad Gateway nginx",
        ),
        (b"\x1b[31mred\x07\x00\xff", "The server answered 502: [31mred �"),
        (b"x" * 200_000, "The server answered 502: " + "x" * 200),
        (b'["error"]', 'The server answered 502: ["error"]'),
        (b'{"error": 7}', 'The server answered 502: {"error": 7}'),
        (b'{"error": "  "}', 'The server answered 502: {"error": " "}'),
        (b"[" * 60_000, "The server answered 502: " + "[" * 200),
        (b'{"error": "a\\u001b[1m\\nb"}', "a [1m b"),
        (b'{"error": "No", "field": 3, "details": {"a": 1}, "code": []}', "No"),
        (b'{"error": "No", "details": [1, {"field": 2}, null]}', "No"),
    ],
)
def test_an_error_that_is_not_the_apis_is_one_printable_line(
    ask: Any, body: bytes, shown: str
) -> None:
    error = refused(ask, body, 502, {"Content-Type": "text/html"})
    assert type(error) is ServerFailed
    assert (str(error), len(error.body) <= 64 * 1024) == (shown, True)


def test_an_error_whose_body_breaks_off_is_still_told(ask: Any) -> None:
    error = refused(ask, b"{", 401, {"Content-Length": "999"})
    assert (type(error), error.status) == (InvalidKey, 401)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 007 "}, 7),
        ({"Retry-After": "-7"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": "9" * 30}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        (
            {
                "Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT",
                "Date": "Wed, 21 Oct 2015 07:27:20 GMT",
            },
            40,
        ),
        ({"Retry-After": "Wed, 99 Oct 9999 07:28:00 GMT"}, None),
    ],
)
def test_when_to_come_back_is_understood(
    ask: Any, headers: Mapping[str, str], seconds: float | None
) -> None:
    told = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    assert refused(ask, {"error": "Later"}, 503, told).retry_after_s == seconds


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (
            301,
            {"Location": "https://elsewhere.example/rmbg"},
            b"",
            "https://elsewhere.example/rmbg",
        ),
        (302, {}, b"", "leads on to nowhere"),
        (307, {"Location": "\x1b[31m/login"}, b"", r"\[31m/login"),
        (304, {}, b"", "304"),
        (201, {}, b"x", "201, not 200"),
        (204, {}, b"", "204, not 200"),
        (200, {"Content-Type": "text/html"}, b"<html>", "'text/html' in place of a picture"),
        (200, {"Content-Type": ""}, b"x", "without a type"),
        (200, {"Content-Type": "image/svg+xml"}, b"x", "'image/svg"),
        (200, {"Content-Type": "image/\x1b[1mpng"}, b"x", "in place of a picture"),
        (200, {"Content-Encoding": "gzip"}, b"x", "compressed"),
        (200, {}, b"", "empty picture"),
        (200, {"Content-Length": "1073741825"}, b"x", "more than 1 GiB"),
        (200, {"Content-Length": "abc"}, b"x", "no web server"),
        (200, {"Content-Length": "-1"}, b"x", "no web server"),
    ],
)
def test_an_answer_that_is_not_the_apis_is_unexpected(
    ask: Any, status: int, headers: Mapping[str, str], body: bytes, said: str
) -> None:
    error = refused(ask, body, status, headers)
    assert type(error) is UnexpectedAnswer
    with pytest.raises(UnexpectedAnswer, match=said):
        raise error


def test_what_a_server_names_is_printable(ask: Any) -> None:
    named = {"X-Model": "\x1b[31mm", "X-Request-Id": "\x1b", "X-Credits-Source": "a\tb"}
    with odd_server(answers(WEBP, headers=named)) as odd:
        told = ask("remove_background", b"photo", base_url=odd.url)
    assert (told.model, told.request_id, told.credits_source) == ("[31mm", None, "a b")
    body = {"error": "No", "code": "a\x1bb", "request_id": "\x07id"}
    error = refused(ask, body, 400)
    assert (error.code, error.request_id) == ("a b", "id")


def test_an_error_whose_body_stalls_is_still_told(ask: Any) -> None:
    def stalls(server: OddServer, line: socket.socket) -> None:
        read_head(line)
        line.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 99\r\n\r\n{")
        server.stopped.wait()

    with odd_server(stalls) as odd, pytest.raises(InvalidKey):
        ask("remove_background", b"photo", base_url=odd.url, timeout_s=60)


def test_a_key_is_not_taken_along_a_redirect(ask: Any) -> None:
    with odd_server(answers(WEBP)) as other:
        onward = answers(b"", 307, {"Location": f"{other.url}/rmbg"})
        with odd_server(onward) as odd, pytest.raises(UnexpectedAnswer):
            ask("remove_background", b"photo", base_url=odd.url, key="k")
        assert other.requests == []


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"membership": "Free", "credits": "50"}',
        b'{"membership":"F","credits":true,"prepaidCredits":0,"app_usage":0,"api_usage":0}',
        b'{"membership":"F","credits":1,"prepaidCredits":0,"app_usage":0,"api_usage":0,"billingCycle":[]}',
    ],
)
def test_usage_that_is_none_is_unexpected(ask: Any, body: bytes) -> None:
    for name in ("usage", "billing_cycles"):
        with odd_server(answers(body)) as odd, pytest.raises(UnexpectedAnswer):
            ask(name, base_url=odd.url, key="k")


def test_usage_that_is_too_deep_is_unexpected(ask: Any) -> None:
    body = b"[" * 100_000
    # At the bottom of the stack the finalizers of other tests' garbage would have no room to run.
    gc.collect()
    gc.disable()
    try:
        for name in ("usage", "billing_cycles"):
            with odd_server(answers(body)) as odd, pytest.raises(UnexpectedAnswer):
                ask(name, base_url=odd.url, key="k")
    finally:
        gc.enable()


def test_a_period_beyond_all_calendars_is_unexpected(ask: Any) -> None:
    cycle = {"periodStartUnix": 10**30, "periodEndUnix": 0, "appUsage": 0, "apiUsage": 0}
    with odd_server(answers({"billingCycles": [cycle]})) as odd, pytest.raises(UnexpectedAnswer):
        ask("billing_cycles", base_url=odd.url, key="k")


def test_an_error_travels_between_processes() -> None:
    sent = TooFast("Slow", status=429, code="rate_limited", retry_after_s=3.0)
    came = pickle.loads(pickle.dumps(sent))  # noqa: S301
    assert (type(came), str(came), vars(came)) == (TooFast, "Slow", vars(sent))
