"""Start the server as the settings describe it."""

import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, TextIO

import django

from openrembg.server.environment import DatabaseUnusable, SettingsError
from openrembg.server.serve import MIB, ServeConfig, ServeError, serve

if TYPE_CHECKING:
    from openrembg.server.inference.backend import Backend
    from openrembg.server.settings import Settings

# Beside those that compute and those that wait: answers that need no slot.
SPARE_THREADS = 8
CANNOT_START = 2

logger = logging.getLogger("openrembg.start")


def run(host: str | None = None, port: int | None = None) -> int:
    """Serve until a signal ends it, and return the exit code; host and port override the settings.

    Says on standard output when the first picture can come. Nonsense in the settings, a database
    that cannot be used or an address that cannot be listened on is one sentence on standard error
    and exit code 2.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openrembg.server.settings")
    try:
        # Not before: this import reads the environment.
        from openrembg.server.settings import OPENREMBG

        return _serve(
            OPENREMBG,
            OPENREMBG.host if host is None else host,
            OPENREMBG.port if port is None else port,
        )
    except (DatabaseUnusable, SettingsError, ServeError) as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT_START


def _serve(settings: "Settings", host: str, port: int) -> int:
    django.setup()
    # Not before: these need Django's models.
    from openrembg.matting.tuning import tune_process
    from openrembg.server import upkeep
    from openrembg.server.database import prepare
    from openrembg.server.quota import publisher
    from openrembg.server.quota.cycle_scan import start_scanning
    from openrembg.server.quota.redis_usage import publish
    from openrembg.server.service import service, workers
    from openrembg.server.settings import SECRET_KEY

    _warn(settings)
    tune_process()
    prepare()
    # Made now, when there is none yet: a copy of the data folder is whole from the first minute.
    str(SECRET_KEY)
    # Not before: this begins to load the model.
    from openrembg.server.wsgi import application

    config = ServeConfig(
        host,
        port,
        threads=workers(settings) + settings.queue + SPARE_THREADS,
        spool_budget_bytes=settings.spool_mb * MIB,
        spool_dir=settings.spool_folder,
    )
    backend = service().backend

    def on_listening(url: str) -> None:
        arguments = (backend, url, sys.stdout)
        threading.Thread(target=_say_ready, args=arguments, name="say-ready", daemon=True).start()

    stops = (upkeep.start(), start_scanning(), publisher.start(publish))
    try:
        return serve(application, config, on_ready=on_listening)
    finally:
        for stop in stops:
            stop()


def _warn(settings: "Settings") -> None:
    if settings.stripe_secret_key is not None and not settings.sells:
        logger.warning(
            "Nothing is sold: STRIPE_SECRET_KEY is set without STRIPE_WEBHOOK_SECRET, so that "
            "nobody would get what they pay for."
        )


def _say_ready(backend: "Backend", url: str, out: TextIO) -> None:
    state = backend.wait()
    if state.status == "ready":
        out.write(
            f"openrembg is ready on {url} ({state.model}, {state.provider}).\n"
            f"Open {url}/ in a browser; the API is explained at {url}/api-usage\n"
        )
    else:
        out.write(f"openrembg is listening on {url} without a model: {state.reason}\n")
    out.flush()
