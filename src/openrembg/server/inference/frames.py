"""What the server and its bridge to a Ray cluster say to each other over a socket.

A frame is a head (a word that begins every one, kind, call, size) and that many bytes. Neither side
believes the other: a head that is none, a size over the limit or an answer that makes no sense is a
FrameError, after which nothing on that socket can be trusted.

    ValueError
    └── FrameError          the other side speaks another language, or garbage
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Literal

import numpy as np

from openrembg.matting.matter import Matte

# What replicas, bridges and servers of one version say. Another meaning gets another number.
VERSION: Final = 1
WORD: Final = b"rmb1"
# An upload has at most 50 MiB; a matte of 2048 x 2048 has 16.
MOST_BYTES: Final = 64 << 20
MOST_SIDE: Final = 4096
_HEAD: Final = struct.Struct("!4sBQI")
HEAD_BYTES: Final = _HEAD.size
_NOTE: Final = struct.Struct("!I")

Trouble = Literal["busy", "lost", "timeout", "undecodable", "failed", "another_version"]
TROUBLES: Final = ("busy", "lost", "timeout", "undecodable", "failed", "another_version")


class FrameError(ValueError):
    """What came is no frame of ours."""


class Kind(IntEnum):
    """What a frame is."""

    CALL = 1  # to the bridge: a picture's file
    MATTE = 2  # to the server: a note and the alpha
    TROUBLE = 3  # to the server: a note that says why there is none
    VERDICT = 4  # to the server: how the cluster stands; again and again, as a sign of life


@dataclass(frozen=True, slots=True)
class Head:
    """What a frame begins with. call: whose it is, 0 for a verdict. size: of the rest in bytes."""

    kind: Kind
    call: int
    size: int


@dataclass(frozen=True, slots=True)
class Identity:
    """What really computed a matte, as a replica says it."""

    model: str
    provider: str
    precision: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A matte, what made it, and whether a second replica had to be asked."""

    matte: Matte
    by: Identity
    retried: bool


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why there is no matte. detail: for the log."""

    trouble: Trouble
    detail: str
    retried: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the cluster stands. reason: why it cannot compute, for everybody to read.

    replicas: how many run, None while that is not known.
    """

    status: Literal["loading", "ready", "failed"]
    reason: str = ""
    detail: str = ""
    by: Identity | None = None
    replicas: int | None = None


def head(kind: Kind, call: int, size: int) -> bytes:
    """Return the bytes that a frame begins with."""
    return _HEAD.pack(WORD, kind, call, size)


def read_head(data: bytes) -> Head:
    """Return what HEAD_BYTES bytes say. Raises FrameError."""
    word, kind, call, size = _HEAD.unpack(data)
    if word != WORD or kind not in list(Kind) or size > MOST_BYTES:
        raise FrameError("the head of a frame makes no sense")
    return Head(Kind(kind), call, size)


def written_answer(note: Mapping[str, object], alpha: bytes) -> bytes:
    """Return what a MATTE frame carries: a note with what Answer has, and float32 bytes."""
    words = json.dumps(note).encode()
    return b"".join((_NOTE.pack(len(words)), words, alpha))


def read_answer(data: bytes | bytearray) -> Answer:
    """Return what a MATTE frame carries. Raises FrameError."""
    try:
        size = _NOTE.unpack_from(data)[0]
        note = json.loads(data[_NOTE.size : _NOTE.size + size])
        height, width = map(int, note["shape"])
        alpha = np.frombuffer(data, np.float32, offset=_NOTE.size + size)
        if not 0 < min(height, width) <= max(height, width) <= MOST_SIDE:
            raise FrameError("a matte's shape makes no sense")
        matte = Matte(alpha.reshape(height, width), bool(note["detected"]))
        return Answer(matte, _identity(note), bool(note["retried"]))
    except (struct.error, ValueError, TypeError, KeyError) as error:
        raise FrameError(f"a matte makes no sense: {error}") from error


def written_trouble(trouble: Trouble, detail: str, *, retried: bool) -> bytes:
    """Return what a TROUBLE frame carries."""
    return json.dumps({"trouble": trouble, "detail": detail[:500], "retried": retried}).encode()


def read_trouble(data: bytes | bytearray) -> NoAnswer:
    """Return what a TROUBLE frame carries. Raises FrameError."""
    try:
        note = json.loads(data)
        if note["trouble"] not in TROUBLES:
            raise FrameError("a trouble has no name")
        return NoAnswer(note["trouble"], str(note["detail"]), bool(note["retried"]))
    except (ValueError, TypeError, KeyError) as error:
        raise FrameError(f"a trouble makes no sense: {error}") from error


def written_verdict(verdict: Verdict) -> bytes:
    """Return what a VERDICT frame carries."""
    by = verdict.by
    names = {} if by is None else {name: getattr(by, name) for name in Identity.__slots__}
    note = {"status": verdict.status, "reason": verdict.reason, "detail": verdict.detail[:2000]}
    return json.dumps({**note, "replicas": verdict.replicas, "by": names}).encode()


def read_verdict(data: bytes) -> Verdict:
    """Return what a VERDICT frame carries. Raises FrameError."""
    try:
        note = json.loads(data)
        if note["status"] not in ("loading", "ready", "failed"):
            raise FrameError("a verdict has no status")
        by = _identity(note["by"]) if note["by"] else None
        if note["status"] == "ready" and by is None:
            raise FrameError("a verdict does not say what computes")
        replicas = None if note["replicas"] is None else int(note["replicas"])
        return Verdict(note["status"], str(note["reason"]), str(note["detail"]), by, replicas)
    except (ValueError, TypeError, KeyError) as error:
        raise FrameError(f"a verdict makes no sense: {error}") from error


def _identity(note: Mapping[str, Any]) -> Identity:
    return Identity(str(note["model"]), str(note["provider"]), str(note["precision"]))
