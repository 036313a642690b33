"""Structured log lines: one JSON object a line, or plain text, on standard error.

No line holds an image, a key, a file's name or a whole client address.
"""

import datetime as dt
import json
import logging
import os
import sys
from contextvars import ContextVar
from typing import Any, Final, TextIO

from openrembg.server.processes.membership import place

REQUEST_ID: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)
TRACE_ID: Final[ContextVar[str | None]] = ContextVar("trace_id", default=None)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the request's ids, the record's fields.

    Of several processes each adds its number.
    """

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


class StandardError(logging.StreamHandler[TextIO]):
    """Write to standard error; while that fails, as on a full disk, count what is lost.

    The stream keeps some lines and writes them later, so that the count is the most that are lost.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, and after lines that could not be written one that says so."""
        before = self._lost
        super().emit(record)
        if before and self._lost == before:
            self._lost = 0
            super().emit(_losses(before))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Count a line that could not be written; a mistake of ours is told as ever."""
        if isinstance(sys.exception(), OSError):
            self._lost += 1
            return
        super().handleError(record)

    def close(self) -> None:
        """Write what is left, if that is possible now."""
        write_or_drop(self.stream)
        super().close()


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
                "()": StandardError,
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


def write_or_drop(stream: TextIO, text: str = "") -> None:
    """Write to a standard stream, or on a full disk drop the text and what waits before it.

    Python tries again when the process ends, and its exit code would tell of nothing else (120).
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _losses(lines: int) -> logging.LogRecord:
    record = logging.LogRecord(
        "openrembg.logs", logging.WARNING, "", 0, "Lines of the log were lost", None, None
    )
    record.fields = {"lines_at_most": lines}
    return record


def _time(record: logging.LogRecord) -> str:
    moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields: dict[str, object] = dict(getattr(record, "fields", {}))
    mine = place()
    if mine is not None:
        fields = {"process": mine.membership.index, **fields}
    ids = {"request_id": REQUEST_ID.get(), "trace_id": TRACE_ID.get()}
    return {name: value for name, value in ids.items() if value} | fields
