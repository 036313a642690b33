import json

import numpy as np
import pytest

from openrembg.server.inference import frames
from openrembg.server.inference.frames import FrameError, Identity, Kind, NoAnswer, Verdict

NOTE = {"shape": [2, 2], "detected": False, "retried": True}
NAMES = {"model": "m", "provider": "P CPU f32", "precision": "f32"}
FOUR = np.array([0, 0.25, 0.5, 1], np.float32).tobytes()


def noted(note: object, alpha: bytes = FOUR) -> bytes:
    words = json.dumps(note).encode()
    return len(words).to_bytes(4, "big") + words + alpha


def test_a_head_is_read_as_it_was_written() -> None:
    head = frames.read_head(frames.head(Kind.MATTE, 2**40, 12))
    assert (head.kind, head.call, head.size) == (Kind.MATTE, 2**40, 12)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad ",
        frames.head(Kind.CALL, 1, 1).replace(frames.WORD, b"rmb0"),
        frames.head(Kind.CALL, 1, frames.MOST_BYTES + 1),
        frames.head(9, 1, 1),  # type: ignore[arg-type]
    ],
)
def test_a_head_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError):
        frames.read_head(data)


def test_an_answer_is_read_as_it_was_written() -> None:
    answer = frames.read_answer(frames.written_answer({**NOTE, **NAMES}, FOUR))
    assert answer.matte.alpha.tolist() == [[0, 0.25], [0.5, 1]]
    assert not answer.matte.detected
    assert answer.by == Identity("m", "P CPU f32", "f32")
    assert answer.retried


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xff\xff\xff",
        noted(NOTE),
        noted([1]),
        noted({**NOTE, **NAMES}, b"123"),
        noted({**NOTE, **NAMES}, b""),
        noted({**NOTE, **NAMES, "shape": [-1, 2]}),
        noted({**NOTE, **NAMES, "shape": [4, 1, 1]}),
        noted({**NOTE, **NAMES, "shape": [10**9, 0]}, b""),
        noted({**NOTE, **NAMES, "shape": "many"}),
    ],
)
def test_an_answer_that_makes_no_sense_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError):
        frames.read_answer(data)


def test_a_trouble_is_read_as_it_was_written_and_never_long() -> None:
    data = frames.written_trouble("lost", "x" * 10_000, retried=True)
    assert frames.read_trouble(data) == NoAnswer("lost", "x" * 500, retried=True)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"trouble": "joy", "detail": "", "retried": 0}'])
def test_a_trouble_that_makes_no_sense_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError):
        frames.read_trouble(data)


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict("loading", "It comes."),
        Verdict("failed", "It went.", "Somewhere.", None, 0),
        Verdict("ready", by=Identity("m", "P", "f32"), replicas=3),
    ],
)
def test_a_verdict_is_read_as_it_was_written(verdict: Verdict) -> None:
    assert frames.read_verdict(frames.written_verdict(verdict)) == verdict


@pytest.mark.parametrize(
    "data",
    [b"", b"3", b'{"status": "splendid"}', frames.written_verdict(Verdict("ready"))],
)
def test_a_verdict_that_makes_no_sense_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError):
        frames.read_verdict(data)
