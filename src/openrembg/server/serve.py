"""Serve a WSGI application over HTTP: waitress with our own limits.

waitress does the protocol; the modules beside this one add to its classes:
`http_request` (which bodies are taken), `spool` (where they lie), `http_response` (the error shape,
large answers) and `connection` (answers before the body was read, deadlines). This one listens,
runs the main loop and ends it on SIGTERM.
"""

import contextlib
import logging
import math
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from types import FrameType
from typing import Any
from wsgiref.types import WSGIApplication

from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.adjustments import Adjustments  # type: ignore[import-untyped]
from waitress.server import TcpWSGIServer  # type: ignore[import-untyped]
from waitress.task import ThreadedTaskDispatcher  # type: ignore[import-untyped]

from openrembg.server.connection import Connection
from openrembg.server.http_request import Reception
from openrembg.server.listening import BACKLOG, ServeError, listen, url_of
from openrembg.server.processes.fill import Fill
from openrembg.server.spool import Budget
from openrembg.server.threads import Workers

log = logging.getLogger(__name__)

MIB = 1024 * 1024
# Answers before the body need no inference, so a few threads of their own never wait for it.
EARLY_THREADS = 2
# Neither do these, nor for the database: whoever asks wants to know whether the process is alive.
EARLY_PATHS = frozenset({"/health"})
MAX_HEADER_BYTES = 32 * 1024
# 256 KiB a read: a 50 MiB upload takes 200 turns of the loop, not waitress' 6400.
RECV_BYTES = 256 * 1024
# A connection may need a socket, a file for its body and one for its answer.
FILES_PER_CONNECTION = 3
# What the rest of the process opens: model, database, logs.
OWN_FILES = 256


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """Where to listen, and the limits."""

    host: str
    port: int
    threads: int
    connection_limit: int = 1000
    body_cap_bytes: int = 64 * MIB
    spool_budget_bytes: int = 2048 * MIB
    spool_dir: Path | None = None
    # Finished answers wait in memory up to this, beyond it in temporary files.
    held_answer_bytes: int = 256 * MIB
    drain_bytes: int = 64 * MIB
    drain_s: float = 5.0
    shutdown_s: float = 30.0
    channel_timeout_s: float = 60.0
    # How long a request's head may take, from its first byte.
    head_timeout_s: float = 15.0
    idle_timeout_s: float = 10.0
    # While stopping, how long idle connections are kept: a client that is about to use its own is
    # answered with `Connection: close` instead of losing the request.
    goodbye_s: float = 1.0
    # Called in each worker thread that ends.
    on_thread_end: Callable[[], None] = lambda: None


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """One listening socket; a host name with two addresses has two.

    Other processes may accept from the same one: that a client is gone when it is looked for is
    nothing special.
    """

    channel_class = Connection

    def __init__(self, server: "Server", adj: Adjustments, sock: socket.socket) -> None:
        config = server.config
        self.reception = server.reception
        self.held_answers = server.held_answers
        self.drain_bytes = config.drain_bytes
        self.drain_s = config.drain_s
        self.idle_timeout_s = config.idle_timeout_s
        self.head_timeout_s = config.head_timeout_s
        self.goodbye_s = config.goodbye_s
        self.idle_until = math.inf
        self.stopping = False
        self.ended = False
        self.waiting = server.workers.waiting
        self._early = server.early
        # Reentrant, because a signal handler may interrupt the thread that holds it.
        self._trigger_lock = threading.RLock()
        super().__init__(
            server.application,
            map=server.sockets,
            _sock=sock,
            dispatcher=server.workers,
            adj=adj,
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
            bind_socket=False,
        )

    def add_task(self, connection: Connection) -> None:
        """Queue a connection's first waiting request; its requests_lock is held.

        Not before the answers so far are sent: the main loop asks again then.
        """
        if connection.connected and not connection.may_begin:
            return
        connection.tasks += 1
        request = connection.requests[0]
        early = request.answered_early or getattr(request, "path", "") in EARLY_PATHS
        (self._early if early else self.task_dispatcher).add_task(connection)

    def readable(self) -> bool:
        """Whether the main loop shall accept: while there is room, or somebody who gives way."""
        takes = bool(super().readable())
        return takes or bool(self.accepting and self._next_to_go())

    def handle_accept(self) -> None:
        """Take one client; at the limit, close the connection that has waited longest for it."""
        leaving = self._next_to_go() if self._is_full() else None
        before = len(self._map)
        super().handle_accept()
        if leaving is not None and len(self._map) > before:
            leaving.handle_close()

    def _is_full(self) -> bool:
        return bool(len(self._map) >= self.adj.connection_limit)

    def _next_to_go(self) -> Connection | None:
        now = time.monotonic()
        connections = [one for one in self._map.values() if isinstance(one, Connection)]
        ranks = [(rank, one) for one in connections if (rank := one.gives_way_as(now))]
        longest_first = (one for _, one in sorted(ranks, key=itemgetter(0)))
        return next((one for one in longest_first if not one.has_unread()), None)

    def maintenance(self, now: float) -> None:
        """Do nothing: waitress calls this only while it listens, so the loop calls sweep()."""

    def sweep(self, now: float) -> None:
        """Close the connections whose time is up, and when stopping those that are idle."""
        for connection in list(self.active_channels.values()):
            if connection.has_expired(now) or (now >= self.idle_until and connection.is_idle):
                # At once, not by `will_close`: waitress acts on that when the socket can be
                # written, which is never for a client that does not read its answer.
                connection.handle_close()
            connection.give_way(now)

    def pull_trigger(self) -> None:
        """Wake the main loop, if it still runs: a worker may outlive it."""
        with self._trigger_lock:
            if not self.ended:
                super().pull_trigger()

    def end(self) -> None:
        """Close what is left: the socket, every connection, the trigger."""
        for connection in list(self.active_channels.values()):
            connection.cut_off()
        with self._trigger_lock:
            self.ended = True
            self.close()

    def stop_accepting(self) -> None:
        """Take the clients that are already waiting, then close the listening socket."""
        before = -1
        while before != len(self.active_channels):
            before = len(self.active_channels)
            super().handle_accept()
        self.stopping = True
        self.idle_until = time.monotonic() + self.goodbye_s
        # Not self.close(): that would close the trigger too, which workers still use.
        wasyncore.dispatcher.close(self)


class Server:
    """A server that listens once it is made; run() serves until stop() is called.

    shared: sockets that listen already, and that other processes accept from too. Raises ServeError
    when it cannot listen.
    """

    def __init__(
        self,
        application: WSGIApplication,
        config: ServeConfig,
        shared: tuple[socket.socket, ...] = (),
    ) -> None:
        self.application = application
        self.config = config
        self.sockets: dict[int, Any] = {}
        self.held_answers = Budget(config.held_answer_bytes)
        self.reception = Reception(
            Budget(config.spool_budget_bytes), config.spool_dir, config.body_cap_bytes
        )
        self.workers = Workers(config.on_thread_end)
        self.early = Workers(config.on_thread_end)
        self._make_spool_dir()
        sockets = shared or listen(config.host, config.port)
        self.url = url_of(config.host, sockets)
        self._listeners = self._listen_on(sockets)
        self.port: int = int(self._listeners[0].effective_port)
        self._stop_asked = False
        self._stop_deadline: float | None = None
        # The loop wakes for every event; this is only how late a deadline may be noticed.
        waits_s = (config.channel_timeout_s, config.idle_timeout_s, config.drain_s)
        self._turn_s = max(0.05, min(1.0, min(waits_s) / 4))
        self._next_sweep = 0.0

    def run(self) -> None:
        """Serve until stop() is called and the requests in flight are finished."""
        self.workers.set_thread_count(self.config.threads)
        self.early.set_thread_count(EARLY_THREADS)
        try:
            while not self._is_finished():
                self._turn(self._turn_s)
        finally:
            self._end()

    def stop(self) -> None:
        """Ask run() to end; from any thread or signal handler, any number of times."""
        self._stop_asked = True
        self._listeners[0].pull_trigger()

    def fill(self) -> Fill:
        """Return what is held of connections, bodies and answers now, and the most of each."""
        spool, answers = self.reception.budget, self.held_answers
        return Fill(
            spool_bytes=spool.used_bytes,
            spool_limit_bytes=spool.limit_bytes,
            answer_bytes=answers.used_bytes,
            answer_limit_bytes=answers.limit_bytes,
            connections=sum(len(one.active_channels) for one in self._listeners),
            connection_limit=self.config.connection_limit,
            backlog=len(self.workers.queue),
        )

    def _make_spool_dir(self) -> None:
        if self.config.spool_dir is None:
            return
        try:
            self.config.spool_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ServeError(
                f"Cannot use {self.config.spool_dir} for uploads: {error.strerror}."
            ) from error

    def _listen_on(self, sockets: tuple[socket.socket, ...]) -> list[Listener]:
        adj = _adjustments(self.config, len(sockets))
        return [Listener(self, adj, sock) for sock in sockets]

    def _turn(self, timeout_s: float) -> None:
        wasyncore.loop(timeout=timeout_s, use_poll=True, map=self.sockets, count=1)
        now = time.monotonic()
        if self._stop_asked and self._stop_deadline is None:
            self._begin_to_stop(now)
        if now >= self._next_sweep:
            self._next_sweep = now + self._turn_s
            self._sweep(now)

    def _begin_to_stop(self, now: float) -> None:
        self._stop_deadline = now + self.config.shutdown_s
        self._turn_s = min(self._turn_s, 0.1)
        for listener in self._listeners:
            listener.stop_accepting()
        # Requests that have reached this machine are served: read them before sweeping.
        wasyncore.loop(timeout=0, use_poll=True, map=self.sockets, count=1)
        self._next_sweep = now

    def _sweep(self, now: float) -> None:
        for listener in self._listeners:
            listener.sweep(now)

    def _is_finished(self) -> bool:
        if self._stop_deadline is None:
            return False
        if time.monotonic() >= self._stop_deadline:
            log.warning("Stopping with %d connections unfinished", len(self._connections()))
            return True
        return not (self._connections() or _is_busy(self.workers) or _is_busy(self.early))

    def _connections(self) -> list[Connection]:
        return [
            connection
            for listener in self._listeners
            for connection in listener.active_channels.values()
        ]

    def _end(self) -> None:
        for dispatcher in (self.workers, self.early):
            dispatcher.shutdown(timeout=0.5)
        for listener in self._listeners:
            listener.end()


def serve(
    application: WSGIApplication,
    config: ServeConfig,
    *,
    shared: tuple[socket.socket, ...] = (),
    on_made: Callable[[Server], None] | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> int:
    """Serve `application` until SIGTERM or SIGINT; return the process's exit code.

    `on_made` gets the server, `on_ready` its URL once it listens. The first signal stops accepting
    and lets the requests in flight finish for up to `shutdown_s`; a second one exits at once. One
    of several processes, which has `shared` sockets, takes a second one for the first: a service
    manager tells it what its supervisor tells it too. Raises ServeError when the server cannot
    start.
    """
    server = Server(application, _within_open_files(config), shared)
    if on_made is not None:
        on_made(server)
    with _stopped_by_signals(server, hurries=not shared):
        if on_ready is not None:
            on_ready(server.url)
        server.run()
    return 0


def _adjustments(config: ServeConfig, listeners: int) -> Adjustments:
    adj = Adjustments(
        listen="",
        backlog=BACKLOG,
        asyncore_use_poll=True,
        ident=None,
        server_name="localhost",
        # X-Forwarded-For and the like: the application knows which proxies it trusts.
        clear_untrusted_proxy_headers=False,
        max_request_header_size=MAX_HEADER_BYTES,
        recv_bytes=RECV_BYTES,
    )
    adj.channel_timeout = config.channel_timeout_s  # the constructor makes it an int
    # A worker never waits for a client to read; http_response.py counts what waits to be sent.
    adj.outbuf_high_watermark = math.inf
    adj.max_request_body_size = math.inf  # http_request.py has the cap; here, it would be an int
    # waitress counts every entry of its map: also each listener and its trigger.
    adj.connection_limit = config.connection_limit + 2 * listeners
    return adj


def _is_busy(dispatcher: ThreadedTaskDispatcher) -> bool:
    with dispatcher.lock:
        return bool(dispatcher.queue) or dispatcher.active_count > 0


def _within_open_files(config: ServeConfig) -> ServeConfig:
    """Make room for the connections, or return a config with as many as there is room for.

    At the limit of open files accept() fails, again and again without rest.
    """
    wanted = config.connection_limit * FILES_PER_CONNECTION + OWN_FILES
    allowed = _allow_open_files(wanted)
    if allowed >= wanted:
        return config
    limit = max(1, (allowed - OWN_FILES) // FILES_PER_CONNECTION)
    log.warning("Only %d open files are allowed: serving %d connections at once", allowed, limit)
    return replace(config, connection_limit=limit)


def _allow_open_files(wanted: int) -> int:
    """Raise the soft limit of open files, on many systems 1024; return how many are allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (OSError, ValueError):
        return soft
    return raised


@contextlib.contextmanager
def _stopped_by_signals(server: Server, *, hurries: bool) -> Iterator[None]:
    """Stop the server on SIGTERM and SIGINT; outside the main thread there are no signals.

    hurries: whether a second signal ends the process at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGTERM, signal.SIGINT)
    asked = False

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked and hurries:
            os._exit(128 + number)
        asked = True
        server.stop()

    previous = {number: signal.signal(number, on_signal) for number in signals}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
