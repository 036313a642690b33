"""A finished picture and its facts, which the answer's headers tell."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from openrembg.client.plain_text import printable
from openrembg.matting.box import Box

MAX_TEXT: Final = 200
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_TIMING: Final = re.compile(r"\s*([\w-]+)\s*;\s*dur=([0-9]+(?:\.[0-9]+)?)\s*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is told about a picture; None is what the server did not tell.

    foreground_box: in the picture's own pixels, all zero when nothing was found. credits_charged:
    0 for a replayed answer, whose first sending was charged. credits_source: included, prepaid or
    anonymous. timings: seconds by the server's step.
    """

    media_type: str
    width: int | None
    height: int | None
    foreground_detected: bool | None
    foreground_box: Box | None
    model: str | None
    credits_charged: int | None
    credits_source: str | None
    request_id: str | None
    replayed: bool
    timings: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutout(Facts):
    """A finished picture. data: the file's bytes."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedCutout(Facts):
    """A finished picture that is in a file."""

    path: Path
    size_bytes: int


def facts_of(headers: Mapping[str, str]) -> Facts:
    """Return what headers (names in lower case) tell; nothing that is garbled."""
    return Facts(
        media_type=media_type_of(headers),
        width=_number(headers, "x-width"),
        height=_number(headers, "x-height"),
        foreground_detected=_truth(headers.get("x-foreground-detected")),
        foreground_box=_box(headers),
        model=_text(headers, "x-model"),
        credits_charged=_number(headers, "x-credits-charged"),
        credits_source=_text(headers, "x-credits-source"),
        request_id=_text(headers, "x-request-id"),
        replayed=_truth(headers.get("idempotent-replayed")) is True,
        timings=_timings(headers.get("server-timing", "")),
    )


def media_type_of(headers: Mapping[str, str]) -> str:
    """Return the Content-Type without its parameters, in lower case."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _text(headers: Mapping[str, str], name: str) -> str | None:
    return printable(headers.get(name, ""), MAX_TEXT) or None


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "")
    return int(text) if _NUMBER.fullmatch(text) else None


def _truth(text: str | None) -> bool | None:
    return {"true": True, "false": False}.get((text or "").lower())


def _box(headers: Mapping[str, str]) -> Box | None:
    sides = [
        _number(headers, f"x-foreground-{side}") for side in ("top", "left", "width", "height")
    ]
    known = [side for side in sides if side is not None]
    return Box(*known) if len(known) == len(sides) else None


def _timings(text: str) -> dict[str, float]:
    """Return seconds by step (W3C Server Timing, whose durations are milliseconds)."""
    found = (_TIMING.fullmatch(part) for part in text.split(","))
    timings = {step[1]: float(step[2]) / 1000 for step in found if step}
    return {step: spent_s for step, spent_s in timings.items() if math.isfinite(spent_s)}
