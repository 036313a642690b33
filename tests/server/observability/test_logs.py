import json
import logging
import sys
from typing import Any

from openrembg.server.observability.logs import (
    REQUEST_ID,
    JsonFormatter,
    OwnLines,
    TextFormatter,
    logging_config,
)


def record(**fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("openrembg.x", logging.INFO, __file__, 1, "hello %s", ("you",), None)
    made.fields = fields
    made.created = 1_795_255_200.5
    return made


def test_a_json_line_has_its_facts_and_fields() -> None:
    assert json.loads(JsonFormatter().format(record(status=200))) == {
        "time": "2026-11-21T10:00:00.500Z",
        "level": "info",
        "logger": "openrembg.x",
        "message": "hello you",
        "status": 200,
    }


def test_a_json_line_is_one_line_whatever_is_in_it() -> None:
    line = JsonFormatter().format(record(detail="a\nb\u2028"))
    assert "\n" not in line


def test_the_request_id_is_in_every_line_of_the_request() -> None:
    token = REQUEST_ID.set("abc")
    try:
        assert json.loads(JsonFormatter().format(record()))["request_id"] == "abc"
        assert "request_id=abc" in TextFormatter().format(record())
    finally:
        REQUEST_ID.reset(token)


def test_an_exception_comes_with_its_traceback() -> None:
    try:
        raise ZeroDivisionError("no")
    except ZeroDivisionError:
        made = record()
        made.exc_info = sys.exc_info()
    assert "ZeroDivisionError: no" in json.loads(JsonFormatter().format(made))["exception"]
    assert "ZeroDivisionError: no" in TextFormatter().format(made)


def test_django_speaks_only_of_what_nobody_caught() -> None:
    made = record()
    assert not OwnLines().filter(made)
    made.exc_info = (ZeroDivisionError, ZeroDivisionError(), None)
    assert OwnLines().filter(made)


def test_shape_and_level_are_chosen() -> None:
    chosen = logging_config("text", "debug")
    assert chosen["formatters"]["line"]["()"] is TextFormatter
    assert chosen["loggers"]["openrembg"]["level"] == "DEBUG"
    assert logging_config("json", "info")["formatters"]["line"]["()"] is JsonFormatter
