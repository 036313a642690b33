"""One of several server processes; its supervisor starts it, with a Membership as its argument."""

import json
import logging
import os
import signal
import socket
import sys
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from openrembg.server.processes.membership import Membership, join, place, read_membership

if TYPE_CHECKING:
    from openrembg.server.inference.backend import Backend

# How old what the others know of this process may be.
TELL_EVERY_S: Final = 1.0
# The exit code of one that would have joined the others without a model.
NO_MODEL: Final = 1

logger = logging.getLogger("openrembg.processes")


def main() -> int:
    """Serve until the supervisor says or ends, and return the exit code."""
    membership = read_membership(sys.argv[1])
    os.environ["DJANGO_SETTINGS_MODULE"] = "openrembg.server.settings"
    # Not before: settings and metrics ask for this process's place.
    join(membership)
    threading.Thread(target=_watch, args=(membership.lifeline,), daemon=True).start()
    from openrembg.server.start import in_a_sentence, take_hangup_for_sigterm

    take_hangup_for_sigterm()
    return in_a_sentence(lambda: _serve(membership))


def _serve(membership: Membership) -> int:
    # Not before: these need the settings, or the image library.
    import django

    from openrembg.matting.tuning import tune_process
    from openrembg.server.settings import OPENREMBG
    from openrembg.server.start import serve_here

    django.setup()
    tune_process()
    from openrembg.server.service import service

    backend = service().backend
    # The others serve meanwhile, and nobody waits here for a model, or is told that there is none.
    # A cluster that is away is away for them too, and this process is there when it comes back.
    state = backend.wait() if membership.is_late else backend.state()
    if membership.is_late and OPENREMBG.inference == "local" and state.status != "ready":
        fields = {"fields": {"reason": state.reason}}
        logger.error("A process without a model does not join the others", extra=fields)
        return NO_MODEL

    def on_listening(_url: str) -> None:
        arguments = (backend, membership.report)
        threading.Thread(target=_report, args=arguments, name="report", daemon=True).start()
        threading.Thread(target=_keep_telling, name="tell", daemon=True).start()

    sockets = tuple(socket.socket(fileno=descriptor) for descriptor in membership.sockets)
    return serve_here(
        OPENREMBG,
        OPENREMBG.host,
        OPENREMBG.port,
        shared=sockets,
        leads=membership.leads,
        on_listening=on_listening,
    )


def _watch(lifeline: int) -> None:
    """End as if told to when the supervisor is gone: it alone holds the other end."""
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _report(backend: "Backend", report: int) -> None:
    """Tell the supervisor how loading stands now that this process serves, and how it ended."""
    try:
        for state in (backend.state(), backend.wait()):
            _tell()
            os.write(report, json.dumps(asdict(state)).encode() + b"\n")
    except BrokenPipeError:
        return  # the supervisor is gone, which _watch sees too


def _keep_telling() -> None:
    """Write on the board, again and again: who does not for a while is taken for one that hangs."""
    rest = threading.Event()
    while True:
        _tell()
        rest.wait(TELL_EVERY_S)


def _tell() -> None:
    """Write on the board, for those who ask another process for metrics."""
    from openrembg.server.observability.standing import standing

    mine = place()
    assert mine is not None  # noqa: S101 (main has joined)
    mine.board.write(mine.membership.index, standing())


if __name__ == "__main__":
    raise SystemExit(main())
