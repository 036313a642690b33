"""An outage is felt now and then, and told once."""

import logging
import time

import pytest

from openrembg.server.breaker import Breaker


def test_after_a_failure_nobody_is_asked_for_a_while() -> None:
    breaker = Breaker("lost", "back", try_again_after_s=0.05)
    assert breaker.may_ask()
    breaker.failed(OSError())
    assert not breaker.may_ask()
    time.sleep(0.06)
    assert breaker.may_ask()


def test_of_many_who_would_ask_again_one_may() -> None:
    breaker = Breaker("lost", "back", try_again_after_s=0.2)
    breaker.failed(OSError())
    time.sleep(0.21)
    assert [breaker.may_ask() for _ in range(5)] == [True, False, False, False, False]
    breaker.worked()
    assert all(breaker.may_ask() for _ in range(5))


def test_an_outage_and_its_end_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    breaker = Breaker("lost", "back", try_again_after_s=0)
    with caplog.at_level(logging.WARNING, "openrembg.outages"):
        breaker.worked()
        breaker.failed(OSError("redis://:secret@host"))
        breaker.failed(OSError())
        breaker.worked()
        breaker.worked()
        breaker.failed(OSError())
    assert [record.getMessage() for record in caplog.records] == ["lost", "back", "lost"]
    assert "secret" not in caplog.text
