"""One client's connection: when it is read, when it is closed, and how."""

import contextlib
import select
import socket
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from waitress.adjustments import Adjustments  # type: ignore[import-untyped]
from waitress.channel import (  # type: ignore[import-untyped]
    ClientDisconnected,
    HTTPChannel,
)

from openrembg.server.http_request import IncomingRequest
from openrembg.server.http_response import ApplicationTask, RefusalTask, hold

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
        super().__init__(server, sock, addr, adj, map=map)

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
        """Tell whether the client has used up the time it has for what it is doing."""
        if self._drain_until is not None:
            return now >= self._drain_until
        if self.requests and not self.total_outbufs_len:
            return False  # the application is at work: no deadline of ours
        rest_s = now - self.last_activity
        if self.is_idle and rest_s > self.server.idle_timeout_s:
            # Shorter than a pause within a request may be: Node waits for its idle connections
            # before it ends, so a script would hang for as long as we keep them.
            return True
        if rest_s > self.adj.channel_timeout:
            # With output pending this is a client that does not read its answer; closing the
            # connection also frees a worker that waits for it to be read.
            return True
        request = self.request
        return bool(
            request is not None
            and not self.requests
            and request.is_too_slow(now, self.adj.channel_timeout)
        )

    def readable(self) -> bool:
        """Whether the main loop shall wait for bytes from the client."""
        if self._drain_until is not None:
            return not self.will_close
        return bool(super().readable())

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
        elif last_answer_written and not self.total_outbufs_len:
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
        super().handle_close()

    def write_soon(self, data: Any) -> int:
        """Queue a part of the answer; large bytes are not copied."""
        if not self.total_outbufs_len:
            self.last_activity = time.time()  # the client's time to read starts now
        if not isinstance(data, bytes) or len(data) < HOLD_FROM_BYTES:
            return int(super().write_soon(data))
        held = hold(data, self.server.held_answers, self.server.reception.spool_dir)
        try:
            return int(super().write_soon(held))
        except ClientDisconnected:
            held.close()
            raise

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
                self.request.began = time.time()  # it was not read on meanwhile

    def cancel(self) -> None:
        """Give up requests that no worker has taken yet."""
        self._close_waiting()
        super().cancel()

    def _close_waiting(self) -> None:
        for request in self.requests:
            request.close()
        self.requests = []

    def _start_draining(self) -> None:
        """Finish our side, then read until the client finishes its own.

        Closing a socket with unread input makes the kernel send RST, and the client reports
        ECONNRESET instead of reading its answer (RFC 9112, 9.6).
        """
        self.close_when_flushed = False
        self._drain_left_bytes = self.server.drain_bytes
        self._drain_until = time.time() + self.server.drain_s
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.handle_close()


def _peeks_end(sock: socket.socket) -> bool:
    with contextlib.suppress(BlockingIOError):
        return sock.recv(1, socket.MSG_PEEK) == b""
    return False
