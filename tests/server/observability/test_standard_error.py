"""Where log lines go when standard error cannot be written: nowhere, and nobody minds."""

import io
import logging
from pathlib import Path

import pytest

from openrembg.server.observability.logs import StandardError, write_or_drop

FULL = Path("/dev/full")


class Disk(io.StringIO):
    """A stream that is full at times."""

    is_full = False

    def flush(self) -> None:
        """Fail as a file on a full disk does."""
        if self.is_full:
            self.truncate(0)
            self.seek(0)
            raise OSError(28, "No space left on device")


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("openrembg.x", logging.INFO, __file__, 1, text, None, None)


def test_lost_lines_are_counted_and_told_when_there_is_room() -> None:
    disk = Disk()
    handler = StandardError(disk)
    for disk.is_full in (True, True, False, False):
        handler.handle(record("a line"))
    lines = disk.getvalue().splitlines()
    assert lines == ["a line", "Lines of the log were lost", "a line"]


def test_a_full_disk_raises_nothing_neither_now_nor_when_the_stream_is_closed() -> None:
    with FULL.open("w") as stream:
        handler = StandardError(stream)
        handler.handle(record("a line"))
        handler.close()
    with FULL.open("w") as stream:
        write_or_drop(stream, "ready")


def test_a_mistake_in_a_line_is_still_told(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    broken = record("%d of them")
    broken.args = ("three",)
    StandardError(stream).handle(broken)
    assert "Logging error" in capsys.readouterr().err
