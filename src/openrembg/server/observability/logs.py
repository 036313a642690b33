"""Structured log lines: one JSON object a line, or plain text, on standard error.

No line holds an image, a key, a file's name or a whole client address.
"""

import datetime as dt
import json
import logging
from contextvars import ContextVar
from typing import Any, Final

REQUEST_ID: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request id, and a record's `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """The same facts for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as `time LEVEL message key=value …`."""
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{_time(record)} {record.levelname:<7} {record.getMessage()}{fields}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class OwnLines(logging.Filter):
    """Drop Django's own line about an answered error: the request's line says it already."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record tells of an exception that nobody caught."""
        return record.exc_info is not None


class NoPaths(logging.Filter):
    """Take paths out of Django's own lines: a link that opens an account is one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the route into a record's words in the place of the request's path."""
        path = getattr(getattr(record, "request", None), "path", None)
        if path is not None and isinstance(record.args, tuple):
            match = getattr(record, "request").resolver_match  # noqa: B009 (mypy knows no request)
            known = "/" + match.route if match else "a path"
            record.args = tuple(known if word == path else word for word in record.args)
        return True


def logging_config(shape: str, level: str) -> dict[str, Any]:
    """Return the `logging.config` dictionary for a shape (json or text) and a level."""
    formatter = JsonFormatter if shape == "json" else TextFormatter
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter}},
        "filters": {"own": {"()": OwnLines}, "no_paths": {"()": NoPaths}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "filters": ["no_paths"],
            }
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "openrembg": {"level": level.upper()},
            "django.request": {"filters": ["own"]},
        },
    }


def _time(record: logging.LogRecord) -> str:
    moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields: dict[str, object] = dict(getattr(record, "fields", {}))
    request_id = REQUEST_ID.get()
    return {"request_id": request_id, **fields} if request_id else fields
