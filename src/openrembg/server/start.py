"""Start the server as the settings describe it: in this process, or in several."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from openrembg.server.environment import DatabaseUnusable, SettingsError
from openrembg.server.listening import ServeError
from openrembg.server.observability.logs import write_or_drop

if TYPE_CHECKING:
    from openrembg.server.inference.backend import Backend
    from openrembg.server.settings import Settings

MIB = 1024 * 1024
# Beside those that compute and those that wait: answers that need no slot.
SPARE_THREADS = 8
# Of all processes together.
CONNECTIONS = 1000
HELD_ANSWERS_MB = 256
CANNOT_START = 2
NO_RAY = "OPENREMBG_INFERENCE is ray without Ray: ./run setup --extra ray installs it."
NO_TRACES = "OPENREMBG_TRACES is on without OpenTelemetry: ./run setup --extra otel installs it."
INTERRUPTED = 130

logger = logging.getLogger("openrembg.start")


def run(host: str | None = None, port: int | None = None) -> int:
    """Serve until a signal ends it, and return the exit code; host and port override the settings.

    Says on standard output when the first picture can come. Nonsense in the settings, a database
    that cannot be used or an address that cannot be listened on is one sentence on standard error
    and exit code 2.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openrembg.server.settings")
    return in_a_sentence(lambda: _run(host, port))


def in_a_sentence(start: Callable[[], int]) -> int:
    """Return what `start` returns, or say in a sentence why it cannot and return 2.

    Ctrl-C before anybody handles it ends the process at once: there is nothing to finish yet.
    """
    try:
        return start()
    except (DatabaseUnusable, SettingsError, ServeError) as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT_START
    except KeyboardInterrupt:
        # Not by a return: a thread that loads the model would abort the process.
        os._exit(INTERRUPTED)


def take_hangup_for_sigterm() -> None:
    """End as on SIGTERM when the terminal is closed; who asked to be spared is (nohup).

    Only once: a shell and the system both tell of it, and a second SIGTERM would hurry.
    """

    def on_hangup(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.raise_signal(signal.SIGTERM)

    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, on_hangup)


def _run(host: str | None, port: int | None) -> int:
    # Not before: this import reads the environment.
    from openrembg.server.settings import OPENREMBG

    if OPENREMBG.traces == "on" and find_spec("opentelemetry") is None:
        raise SettingsError(NO_TRACES)
    if OPENREMBG.inference == "ray" and find_spec("ray") is None:
        raise SettingsError(NO_RAY)
    host = OPENREMBG.host if host is None else host
    port = OPENREMBG.port if port is None else port
    if OPENREMBG.processes == 1:
        return _serve_alone(OPENREMBG, host, port)
    # Not before: a server of one process has no supervisor.
    from openrembg.server.processes.supervisor import supervise

    return supervise(OPENREMBG, host, port)


def _serve_alone(settings: "Settings", host: str, port: int) -> int:
    # Not before: these need the settings, or the image library.
    import django

    from openrembg.matting.tuning import tune_process

    take_hangup_for_sigterm()
    django.setup()
    tune_process()
    prepare_data(settings)
    from openrembg.server.service import service

    def on_listening(url: str) -> None:
        arguments = (service().backend, url, sys.stdout)
        threading.Thread(target=_say_ready, args=arguments, name="say-ready", daemon=True).start()

    return serve_here(settings, host, port, on_listening=on_listening)


def start_tracing(settings: "Settings") -> Callable[[], None]:
    """Trace this process if that is chosen; return how to end it. Raises SettingsError."""
    if settings.traces == "off":
        return lambda: None
    # Not before: nobody else has to have it.
    try:
        from openrembg.server.observability import traces
    except ModuleNotFoundError as error:
        raise SettingsError(NO_TRACES) from error
    return traces.start()


def prepare_data(settings: "Settings") -> None:
    """Make what the data folder and the database lack; django.setup() has been called.

    Raises DatabaseUnusable.
    """
    from openrembg.server.database import prepare
    from openrembg.server.settings import SECRET_KEY

    _warn(settings)
    prepare()
    # Made now, when there is none yet: a copy of the data folder is whole from the first minute.
    str(SECRET_KEY)


def serve_here(
    settings: "Settings",
    host: str,
    port: int,
    *,
    shared: tuple[socket.socket, ...] = (),
    leads: bool = True,
    on_listening: Callable[[str], None],
) -> int:
    """Serve in this process until a signal ends it, and return the exit code.

    shared: sockets that other processes accept from too. leads: whether this process does what one
    of them has to do. django.setup() has been called. Raises ServeError.
    """
    # Not before: these need Django's models.
    from django.db import connections

    from openrembg.server import upkeep
    from openrembg.server.database import limit_waits
    from openrembg.server.observability import standing
    from openrembg.server.quota import publisher, receipts
    from openrembg.server.quota.cycle_scan import start_scanning
    from openrembg.server.quota.redis_usage import publish
    from openrembg.server.quota.refill import start_refilling
    from openrembg.server.serve import ServeConfig, serve
    from openrembg.server.service import service, workers

    stop_tracing = start_tracing(settings)
    limit_waits()
    # Not before: this begins to load the model.
    from openrembg.server.wsgi import application

    config = ServeConfig(
        host,
        port,
        threads=workers(settings) + settings.queue + SPARE_THREADS,
        connection_limit=CONNECTIONS // settings.processes,
        spool_budget_bytes=settings.spool_mb * MIB,
        spool_dir=settings.spool_folder,
        held_answer_bytes=HELD_ANSWERS_MB * MIB // settings.processes,
        # A thread's connection would stay open until the garbage collector comes by.
        on_thread_end=connections.close_all,
    )
    stops = [publisher.start(publish), receipts.start()]
    if leads:
        stops = [upkeep.start(), start_scanning(), start_refilling(), *stops]
    # Last, with the spans of all that was done.
    stops += [service().backend.stop, stop_tracing]
    try:
        code = serve(
            application, config, shared=shared, on_made=standing.watch, on_ready=on_listening
        )
    finally:
        for stop in stops:
            stop()
    return _unless_computing(code)


def _unless_computing(code: int) -> int:
    """Return the exit code, or end the process with it while a thread loads or computes.

    Python ends its threads where they are, and those inside a C++ library abort the process.
    """
    from openrembg.server.service import service

    if service().backend.state().status == "loading" or service().slots.load().computing:
        logging.shutdown()
        write_or_drop(sys.stdout)
        os._exit(code)
    return code


def _warn(settings: "Settings") -> None:
    if settings.stripe_secret_key is not None and not settings.sells:
        logger.warning(
            "Nothing is sold: STRIPE_SECRET_KEY is set without STRIPE_WEBHOOK_SECRET, so that "
            "nobody would get what they pay for."
        )


def _say_ready(backend: "Backend", url: str, out: TextIO) -> None:
    state = backend.wait()
    write_or_drop(out, greeting(url, f"{state.model}, {state.provider}", state.reason))


def greeting(url: str, computes_with: str, reason: str) -> str:
    """Return what a server says of itself once. reason: why it has no model, empty if it has."""
    if reason:
        return f"openrembg is listening on {url} without a model: {reason}\n"
    return (
        f"openrembg is ready on {url} ({computes_with}).\n"
        f"Open {url}/ in a browser; the API is explained at {url}/api-usage\n"
    )
