"""How one request is received: waitress' strict parser with our limits on bodies.

A request whose body we will not take is complete as soon as that is known. It carries a `refusal`,
and the application is called at once with an empty body, so that its own checks keep their order.
"""

import logging
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from waitress.adjustments import Adjustments  # type: ignore[import-untyped]
from waitress.parser import HTTPRequestParser, ParsingError  # type: ignore[import-untyped]
from waitress.receiver import ChunkedReceiver, FixedStreamReceiver  # type: ignore[import-untyped]
from waitress.utilities import BadRequest  # type: ignore[import-untyped]

from openrembg.server.spool import MEMORY_BYTES, BodyTooLarge, Budget, SpooledBody, SpoolFull

log = logging.getLogger(__name__)

# Beyond the grace period a body must arrive at this average rate, so that a trickle of single
# bytes does not hold its part of the spool for ever. GPRS is four times as fast.
MIN_BYTES_PER_S = 1024
# What comes after the first megabyte must come faster: it is more than a photo on a poor line
# needs, and a disk full of uploads that barely move would keep others out.
FIRST_BYTES = 1024 * 1024
MIN_LATER_BYTES_PER_S = 16 * 1024
# A body that comes faster than this on average has its whole length reserved in the spool once
# its first megabyte is there, and one that falls behind loses what is reserved ahead. So whoever
# wants to keep 64 MiB from others has to send a megabyte each 13 seconds, for each of them.
BRISK_BYTES_PER_S = 128 * 1024
BRISK_GRACE_S = 5.0
# Chunk sizes, extensions and trailers are not payload. A client that sends more of them than this
# means harm: waitress scans them in quadratic time.
MAX_CHUNK_LINE_BYTES = 8 * 1024
CHUNK_OVERHEAD_BYTES = 64 * 1024
# The chunk scanner copies what is left after every chunk: small slices keep that cheap.
CHUNKED_SLICE_BYTES = 8 * 1024

_TRANSFER_ENCODING = re.compile(rb"\r\ntransfer-encoding:([^\r]*)", re.IGNORECASE)
_FOLDED_LINE = re.compile(rb"\r\n[ \t]")


@dataclass(frozen=True, slots=True)
class Reception:
    """The limits that every request of one server is received under."""

    budget: Budget
    spool_dir: Path | None
    body_cap_bytes: int

    def body(self, cap_bytes: int) -> SpooledBody:
        """Return an empty body that may become so long."""
        return SpooledBody(self.budget, self.spool_dir, cap_bytes=cap_bytes)


class IncomingRequest(HTTPRequestParser):  # type: ignore[misc]
    """Receive one request; see the module's docstring for requests that are refused."""

    def __init__(self, adj: Adjustments, *, reception: Reception) -> None:
        super().__init__(adj)
        self._reception = reception
        # Key and value for the WSGI environ, when the body is not taken.
        self.refusal: tuple[str, int | bool] | None = None
        self.began = time.monotonic()
        # waitress logs it even of a request whose head could not be read.
        self.path = ""

    @property
    def answered_early(self) -> bool:
        """Whether the answer is sent although the client may still be sending."""
        return self.refusal is not None or self.error is not None

    def is_too_slow(self, now: float, grace_s: float, head_s: float) -> bool:
        """Tell whether the client takes longer than the lowest rates allow beyond `grace_s`.

        head_s: how long its head may take.
        """
        if not self.headers_finished:
            return bool(now - self.began > min(grace_s, head_s))
        first = min(self.body_bytes_received, FIRST_BYTES)
        later = self.body_bytes_received - first
        allowed_s = grace_s + first / MIN_BYTES_PER_S + later / MIN_LATER_BYTES_PER_S
        return bool(now - self.began > allowed_s)

    def is_brisk(self, now: float) -> bool:
        """Tell whether the body comes at a rate that others can be made to wait for."""
        due_bytes = (now - self.began - BRISK_GRACE_S) * BRISK_BYTES_PER_S
        return bool(self.body_bytes_received >= due_bytes)

    def give_way(self, now: float) -> None:
        """Let go of what is reserved for bytes that are late."""
        if self.body_rcv is not None and not self.is_brisk(now):
            self.body_rcv.getbuf().release_ahead()

    def received(self, data: bytes) -> int:
        """Take bytes from the client; return how many of them belong to this request."""
        if self.completed:
            return 0
        consumed = self._guarded(data)
        if not self.answered_early:
            return consumed
        # What follows is the rest of a body that nobody reads. It must never be taken for the
        # next request (request smuggling).
        return len(data)

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header block; refuse framing that two servers could read differently."""
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            # urlsplit on a bad host, int() on thousands of digits: waitress lets both through.
            raise ParsingError("Invalid request line or Content-Length") from error
        self._check_framing(header_plus)
        self.body_rcv = None
        if self.chunked:
            self.body_rcv = ChunkedReceiver(self._reception.body(self._reception.body_cap_bytes))
        elif self.content_length:
            self._expect_body(self.content_length)
        if self.body_rcv is None:
            # Nothing will be received, so nothing is waited for. waitress would answer
            # "100 Continue" and then wait for a body that never comes.
            self.expect_continue = False

    def _check_framing(self, header_plus: bytes) -> None:
        """RFC 9112, 5.2 and 6.1: no folded lines, one framing, `chunked` once, not in HTTP/1.0."""
        if _FOLDED_LINE.search(header_plus):
            raise ParsingError("Folded header line")
        encodings = _TRANSFER_ENCODING.findall(header_plus)
        if not encodings:
            return
        if "CONTENT_LENGTH" in self.headers or not self.chunked:
            raise ParsingError("Ambiguous framing")
        if [encoding.strip(b" \t").lower() for encoding in encodings] != [b"chunked"]:
            raise ParsingError("Chunked more than once")

    def _expect_body(self, size: int) -> None:
        if size > self._reception.body_cap_bytes:
            # Nobody sends as much; who counts with it shall not have to think of overflows.
            self._refuse("openrembg.body_too_large", min(size, sys.maxsize))
            return
        if size > MEMORY_BYTES and not self._reception.budget.has_room_for(size):
            # Nothing is reserved yet, but what has no room now need not be sent for nothing.
            self._refuse("openrembg.spool_full", True)
            return
        self.body_rcv = FixedStreamReceiver(size, self._reception.body(size))

    def _guarded(self, data: bytes) -> int:
        receive = self._received_in_slices if self.chunked else self._received_whole
        try:
            return receive(data)
        except BodyTooLarge:
            self._refuse("openrembg.chunked_too_large", True)
        except SpoolFull:
            self._refuse("openrembg.spool_full", True)
        except OSError as error:
            fields = {"detail": error.strerror}
            log.warning("An upload could not be written to the spool", extra={"fields": fields})
            self._refuse("openrembg.spool_full", True)
        return len(data)

    def _received_whole(self, data: bytes) -> int:
        consumed: int = super().received(data)
        receiver = self.body_rcv
        is_promising = self.body_bytes_received >= FIRST_BYTES and self.is_brisk(time.monotonic())
        if receiver is not None and is_promising:
            receiver.getbuf().reserve_whole()
        return consumed

    def _received_in_slices(self, data: bytes) -> int:
        receive: Callable[[bytes], int] = super().received
        consumed = 0
        while consumed < len(data) and not self.completed:
            consumed += receive(data[consumed : consumed + CHUNKED_SLICE_BYTES])
            if self.body_rcv is not None:
                self._check_chunk_overhead(self.body_rcv)
                self._check_chunk_size(self.body_rcv)
        return consumed

    def _check_chunk_size(self, receiver: ChunkedReceiver) -> None:
        if len(receiver) + receiver.chunk_remainder > self._reception.body_cap_bytes:
            raise BodyTooLarge  # it says so itself, so that its bytes need not come

    def _check_chunk_overhead(self, receiver: ChunkedReceiver) -> None:
        unfinished = len(receiver.control_line) + len(receiver.trailer)
        overhead = self.body_bytes_received - len(receiver)
        allowed = CHUNK_OVERHEAD_BYTES + len(receiver) // 4
        if unfinished > MAX_CHUNK_LINE_BYTES or overhead > allowed:
            self.error = BadRequest("Chunks are mostly not payload")
            self.completed = True

    def _refuse(self, key: str, value: int | bool) -> None:
        self.close()
        self.body_rcv = None
        self.refusal = (key, value)
        self.headers["CONTENT_LENGTH"] = "0"  # what the application will find in wsgi.input
        self.expect_continue = False
        self.completed = True
