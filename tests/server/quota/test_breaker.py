"""An outage is felt now and then, and told once."""

import logging
import time

import pytest

from openrembg.server.quota.breaker import Breaker


def test_after_a_failure_nobody_is_asked_for_a_while() -> None:
    breaker = Breaker("lost", "back", try_again_after_s=0.05)
    assert not breaker.is_open()
    breaker.failed(OSError())
    assert breaker.is_open()
    time.sleep(0.06)
    assert not breaker.is_open()


def test_an_outage_and_its_end_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    breaker = Breaker("lost", "back", try_again_after_s=0)
    with caplog.at_level(logging.WARNING, "openrembg.quota"):
        breaker.worked()
        breaker.failed(OSError("redis://:secret@host"))
        breaker.failed(OSError())
        breaker.worked()
        breaker.worked()
        breaker.failed(OSError())
    assert [record.getMessage() for record in caplog.records] == ["lost", "back", "lost"]
    assert "secret" not in caplog.text
