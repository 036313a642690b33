"""What each of several processes says of itself, in memory that all of them share.

The memory belongs to no file: nothing stays behind, however they end, and no disk can be full.
"""

import mmap
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from typing import Final

from openrembg.server.processes.fill import EMPTY, Fill

_WORD_BYTES: Final = 64
# How many processes were started anew, and the supervisor's process id.
_HEAD: Final = struct.Struct("=2q")
# When it was written, by time.monotonic(), which all processes of a machine have in common.
_TIME: Final = struct.Struct("=d")
_NUMBERS: Final = 5 + len(fields(Fill))
_RECORD: Final = struct.Struct(f"=d{_NUMBERS}q{_WORD_BYTES}s{_WORD_BYTES}s")
# Who has not written for so long does not take part now: it hangs, or was stopped.
STALE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Standing:
    """One process: its number, what it computes, and with what; the two words end at 64 bytes."""

    pid: int
    is_ready: bool
    computing: int
    waiting: int
    pixels_in_flight: int
    model: str
    provider: str
    fill: Fill = EMPTY


class Board:
    """A place for each process. Each writes its own; the supervisor makes one empty again."""

    def __init__(self, descriptor: int, places: int) -> None:
        self.descriptor = descriptor
        self._places = places
        self._memory = mmap.mmap(descriptor, _HEAD.size + places * _RECORD.size)

    @classmethod
    def new(cls, places: int) -> "Board":
        """Return an empty board; its descriptor is handed to the processes."""
        descriptor = _unnamed_file()
        # Written and not only made longer: what is not there yet could be refused later.
        os.write(descriptor, bytes(_HEAD.size + places * _RECORD.size))
        board = cls(descriptor, places)
        _HEAD.pack_into(board._memory, 0, 0, os.getpid())
        return board

    @property
    def restarts(self) -> int:
        """How many processes were started in the place of others."""
        return int(_HEAD.unpack_from(self._memory)[0])

    @property
    def supervisor(self) -> int:
        """The process id of the supervisor."""
        return int(_HEAD.unpack_from(self._memory)[1])

    def count_restart(self) -> None:
        """Count one more process that was started in the place of another."""
        _HEAD.pack_into(self._memory, 0, self.restarts + 1, self.supervisor)

    def write(self, place: int, now: Standing) -> None:
        """Say how the process in a place stands."""
        numbers = (now.pid, now.is_ready, now.computing, now.waiting, now.pixels_in_flight)
        numbers += astuple(now.fill)
        words = _word(now.model), _word(now.provider)
        self._put(place, _RECORD.pack(time.monotonic(), *map(int, numbers), *words))

    def clear(self, place: int) -> None:
        """Say that there is no process in a place."""
        self._put(place, bytes(_RECORD.size))

    def written_at(self, place: int) -> float:
        """Return when the process in a place wrote last, by time.monotonic(); 0: it never did."""
        return float(_TIME.unpack_from(self._memory, _offset(place))[0])

    def standings(self, now: float | None = None) -> Iterator[tuple[int, Standing]]:
        """Yield the places whose process has written of late, and how it stands.

        now: by time.monotonic(); None: the present.
        """
        since = (time.monotonic() if now is None else now) - STALE_S
        for place in range(self._places):
            record = _RECORD.unpack_from(self._memory, _offset(place))
            written_at, pid, is_ready, computing, waiting, pixels, *fill, model, provider = record
            if pid and written_at >= since:
                yield (
                    place,
                    Standing(
                        pid=pid,
                        is_ready=bool(is_ready),
                        computing=computing,
                        waiting=waiting,
                        pixels_in_flight=pixels,
                        model=_text(model),
                        provider=_text(provider),
                        fill=Fill(*fill),
                    ),
                )

    def _put(self, place: int, record: bytes) -> None:
        # At once, not by pack_into(), which first fills with zeros that another process may read.
        self._memory[_offset(place) : _offset(place) + _RECORD.size] = record

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()
        os.close(self.descriptor)


def _offset(place: int) -> int:
    return _HEAD.size + place * _RECORD.size


def _word(text: str) -> bytes:
    return text.encode()[:_WORD_BYTES]


def _text(word: bytes) -> str:
    return word.rstrip(b"\0").decode(errors="ignore")


def _unnamed_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("openrembg-board")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
