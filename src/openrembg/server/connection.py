"""One client's connection: when it is read, when it is closed, and how."""

import contextlib
import fcntl
import math
import select
import socket
import struct
import termios
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from waitress.adjustments import Adjustments  # type: ignore[import-untyped]
from waitress.channel import (  # type: ignore[import-untyped]
    ClientDisconnected,
    HTTPChannel,
)

from openrembg.server.http_request import MIN_BYTES_PER_S, IncomingRequest
from openrembg.server.http_response import ApplicationTask, RefusalTask, hold
from openrembg.server.sending import Receipt, Sending

if TYPE_CHECKING:
    from openrembg.server.serve import Listener

# Smaller parts of an answer are copied together, larger ones are sent from where they lie.
HOLD_FROM_BYTES = 64 * 1024
# Linux tells "the client has closed its side" apart from "there is more to read".
_CLIENT_CLOSED = getattr(select, "POLLRDHUP", 0)


class Connection(HTTPChannel):  # type: ignore[misc]
    """Add to waitress' channel: early answers, draining, deadlines, large answers without copies.

    The main loop's thread calls the handle_* methods, a worker thread calls service().
    """

    task_class = ApplicationTask
    error_task_class = RefusalTask

    def __init__(
        self,
        server: "Listener",
        sock: socket.socket,
        addr: Any,
        adj: Adjustments,
        map: dict[int, Any] | None = None,  # noqa: A002 - waitress' name
    ) -> None:
        self.parser_class = partial(IncomingRequest, reception=server.reception)
        self.requests: list[IncomingRequest] = []
        # How often service() is still to end; counted under requests_lock.
        self.tasks = 0
        # Set once the last answer is sent, while the rest of the request is read and thrown away.
        self._drain_until: float | None = None
        self._drain_left_bytes = 0
        # What became of the answers; used under outbuf_lock.
        self._sending = Sending()
        self._is_cut_off = False
        # Since when there is something to send without a break, and what the client had before.
        self._sending_since = (math.inf, 0)
        # What the client had when that was last looked at, see _reads_nothing().
        self._taken = 0
        super().__init__(server, sock, addr, adj, map=map)

    @property
    def last_activity(self) -> float:
        """When something came or went, in seconds of time.monotonic()."""
        return self._last_activity

    @last_activity.setter
    def last_activity(self, _time: float) -> None:
        # waitress sets this to time.time(), which jumps when somebody sets the clock.
        self._last_activity = time.monotonic()

    def client_gone(self) -> bool:
        """Tell whether the client has closed its side of the connection; never blocks.

        waitress has `channel_request_lookahead` for this. It reads on while a request is
        served, so it also buffers what a client pipelines, and it closes the connection of a
        client that only shut down its writing side and still reads. One poll() on demand does
        neither. Any thread may call it.
        """
        sock = self.socket
        if not self.connected or sock is None:
            return True
        poller = select.poll()
        try:
            poller.register(sock, _CLIENT_CLOSED)
            if poller.poll(0):
                return True
            return not _CLIENT_CLOSED and _peeks_end(sock)
        except (OSError, ValueError):  # closed by the main loop in this very moment
            return True

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being received, served or sent: a kept-alive connection at rest."""
        return not (
            self.requests
            or self.request is not None
            or self.total_outbufs_len
            or self.close_when_flushed
            or self._drain_until is not None
        )

    def has_expired(self, now: float) -> bool:
        """Tell whether the client has used up the time it has for what it is doing.

        now: seconds of time.monotonic().
        """
        if self._drain_until is not None:
            return now >= self._drain_until
        if self.requests and not self.total_outbufs_len:
            return False  # the application is at work: no deadline of ours
        if self.total_outbufs_len:
            return self._reads_nothing(now) or self._reads_too_slowly(now)
        rest_s = now - self.last_activity
        if self.is_idle and rest_s > self.server.idle_timeout_s:
            # Shorter than a pause within a request may be: Node waits for its idle connections
            # before it ends, so a script would hang for as long as we keep them.
            return True
        if rest_s > self.adj.channel_timeout:
            return True
        request = self.request
        return bool(
            request is not None
            and not self.requests
            and request.is_too_slow(now, self.adj.channel_timeout, self.server.head_timeout_s)
        )

    def _reads_nothing(self, now: float) -> bool:
        """Tell whether the client has taken nothing of its answers for too long.

        The kernel takes some megabytes at once and asks for more when a third of them is gone:
        that takes a slow reader longer than the deadline, though it never stopped reading.
        """
        if now - self.last_activity <= self.adj.channel_timeout:
            return False
        before, self._taken = self._taken, self._taken_by_client()
        if self._taken <= before:
            return True
        self.last_activity = now
        return False

    def _reads_too_slowly(self, now: float) -> bool:
        """Tell whether the client takes its answers at less than the rate that bodies must have."""
        since, taken_before = self._sending_since
        taken = self._taken_by_client() - taken_before
        return bool(now - since > self.adj.channel_timeout + taken / MIN_BYTES_PER_S)

    def _taken_by_client(self) -> int:
        """Return how many bytes have reached the client's side of the connection, ever."""
        # Without the lock, the kernel may hold what another thread is about to count as sent.
        with self.outbuf_lock:
            return self._sending.sent - _held_by_kernel(self.socket)

    def gives_way_as(self, now: float) -> tuple[int, float] | None:
        """Return how soon this connection is closed where there is no room for another one.

        First those that have no request yet, idle or in its head, then those whose body comes
        slowly; each by when it began to wait, in seconds of time.monotonic(). None: never, for a
        client that is served, that reads, or whose body comes well.
        """
        if self.is_idle:
            return 0, self.last_activity
        request = self.request
        if request is None or self.requests or self.total_outbufs_len:
            return None
        if not request.headers_finished:
            return 0, request.began
        return None if request.is_brisk(now) else (1, request.began)

    def has_unread(self) -> bool:
        """Tell whether the client has sent what the main loop has not read yet; never blocks."""
        poller = select.poll()
        poller.register(self.socket, select.POLLIN)
        return bool(poller.poll(0))

    def give_way(self, now: float) -> None:
        """Let go of what is reserved for bytes that are late."""
        if self.request is not None:
            self.request.give_way(now)

    def readable(self) -> bool:
        """Whether the main loop shall wait for bytes from the client.

        It asks in each turn, so here a request begins that waited for the answer before it to be
        read: else a client could have us hold many answers that it does not read.
        """
        if self._drain_until is not None:
            return not self.will_close
        if self.requests and not self.tasks:
            self._begin_next()
        return bool(super().readable())

    def _begin_next(self) -> None:
        with self.requests_lock:
            if self.requests and not self.tasks and self.may_begin:
                self.server.add_task(self)

    @property
    def may_begin(self) -> bool:
        """Whether all that was answered so far is sent; asked for under the requests_lock."""
        return not (self.total_outbufs_len or self.close_when_flushed or self.will_close)

    def handle_read(self) -> None:
        """Receive what the client sent, or throw it away while draining."""
        if self._drain_until is None:
            super().handle_read()
            return
        try:
            data = self.recv(self.adj.recv_bytes)
        except OSError:
            self.handle_close()
            return
        self._drain_left_bytes -= len(data)
        if self._drain_left_bytes <= 0 and self.connected:
            self.handle_close()

    def handle_write(self) -> None:
        """Send what is waiting; after the last answer, drain instead of closing at once.

        Replaces waitress' method: there, a worker that sets `close_when_flushed` half-way through
        makes it close the socket without draining.
        """
        last_answer_written = self.close_when_flushed
        # The lock is held only for moments, so that not getting it costs one turn of the loop.
        self._flush_exception(self._flush_some_if_lockable)
        if self.will_close:
            self.handle_close()
        elif last_answer_written and not self.total_outbufs_len and self.connected:
            self._start_draining()

    def handle_expt(self) -> None:
        """Close on urgent (out-of-band) data: HTTP has none, and poll() would never rest."""
        self.handle_close()

    def handle_close(self) -> None:
        """Close the socket, and give back what the request still arriving holds.

        waitress closes only requests that have arrived. It may call this while it holds
        `requests_lock`, so the request stays where it is.
        """
        if self.request is not None:
            self.request.close()
        with self.outbuf_lock:
            self._sending.close(by_us=self._is_cut_off)
        super().handle_close()
        if not self.tasks:
            self._close_waiting()

    def cut_off(self) -> None:
        """Close the socket although the client still reads: what it has not got is our doing."""
        self._is_cut_off = True
        self.handle_close()

    def send(self, data: Any, do_close: bool = True) -> int:
        """Hand bytes to the kernel; return how many it took. waitress holds the outbuf_lock."""
        size = int(super().send(data, do_close=do_close))
        self._sending.add(size)
        return size

    def expect_answer(self, receipt: Receipt) -> None:
        """Have `receipt` told what becomes of the answer in work, before its first byte."""
        with self.outbuf_lock:
            self._sending.expect(receipt, self._queued_bytes)

    def finish_answer(self, *, is_whole: bool) -> None:
        """Take note that no more of the answer in work is written; is_whole: all of it was."""
        with self.outbuf_lock:
            self._sending.finish(self._queued_bytes, is_whole=is_whole)

    def write_soon(self, data: Any) -> int:
        """Queue a part of the answer; large bytes are not copied.

        Raises ClientDisconnected when the client has left, and before the first byte of an answer
        that somebody asked about also when it has closed its side: it shall not pay for it.
        """
        if self._is_about_to_begin() and self.client_gone():
            raise ClientDisconnected
        if not self.total_outbufs_len:
            self.last_activity = time.monotonic()  # the client's time to read starts now
            self._taken = self._taken_by_client()
            self._sending_since = (self.last_activity, self._taken)
        if not isinstance(data, bytes) or len(data) < HOLD_FROM_BYTES:
            return int(super().write_soon(data))
        held = hold(data, self.server.held_answers, self.server.reception)
        try:
            return int(super().write_soon(held))
        except ClientDisconnected:
            held.close()
            raise

    @property
    def _queued_bytes(self) -> int:
        """How many bytes there have been to send so far; asked for under the outbuf_lock."""
        return self._sending.sent + int(self.total_outbufs_len)

    def _is_about_to_begin(self) -> bool:
        with self.outbuf_lock:
            return self._sending.is_about_to_begin(self._queued_bytes)

    def service(self) -> None:
        """Serve the first waiting request (in a worker thread)."""
        super().service()
        with self.requests_lock:
            self.tasks -= 1
            if not self.connected and not self.tasks:
                # The client left, so waitress queues nothing more, and forgets what was
                # pipelined behind the request just served.
                self._close_waiting()
            if self.request is not None:
                self.request.began = time.monotonic()  # it was not read on meanwhile
            waits = self.connected and self.requests and not self.tasks
        if waits:
            self.server.pull_trigger()

    def cancel(self) -> None:
        """Give up requests that no worker has taken yet."""
        self._close_waiting()
        super().cancel()

    def _close_waiting(self) -> None:
        # The main loop and a worker may both come here: pop() gives each request to one of them.
        with contextlib.suppress(IndexError):
            while True:
                self.requests.pop().close()

    def _start_draining(self) -> None:
        """Finish our side, then read until the client finishes its own.

        Closing a socket with unread input makes the kernel send RST, and the client reports
        ECONNRESET instead of reading its answer (RFC 9112, 9.6).
        """
        self.close_when_flushed = False
        self._drain_left_bytes = self.server.drain_bytes
        self._drain_until = time.monotonic() + self.server.drain_s
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.handle_close()


def _held_by_kernel(sock: socket.socket | None) -> int:
    """Return how many sent bytes the other side has not confirmed; 0 where nobody can tell."""
    if sock is None:
        return 0
    try:
        # SIOCOUTQ in tcp(7), which has the number of TIOCOUTQ.
        return int(struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0])
    except (OSError, ValueError):
        return 0


def _peeks_end(sock: socket.socket) -> bool:
    with contextlib.suppress(BlockingIOError):
        return sock.recv(1, socket.MSG_PEEK) == b""
    return False
