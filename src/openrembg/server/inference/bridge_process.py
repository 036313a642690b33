"""The bridge's process: `python -m openrembg.server.inference.bridge_process TERMS`.

A process that has joined a Ray cluster ends with it, whatever it does meanwhile: Ray's core exits
when the raylet or the control store is gone. So that is never the server's own.
"""

import asyncio
import json
import logging
import logging.config
import os
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from openrembg.server.inference.bridge import ClusterAway, say_last, serve
from openrembg.server.inference.parent import die_with_parent
from openrembg.server.inference.ray_token import choose_token
from openrembg.server.inference.replicas import Replicas, read_replicas
from openrembg.server.observability.logs import StandardError, logging_config

if TYPE_CHECKING:
    from openrembg.server.inference.ray_serve import RayCluster

# To leave the cluster in order; the kernel ends what is left.
LEAVE_S: Final = 8.0

logger = logging.getLogger("openrembg.ray")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a server starts its bridge with.

    socket: the descriptor of the line to the server, -1 for one that only deploys. parent: the
    server's process id. address: the cluster's, empty for a Ray of its own with so many cpus.
    deploys: whether it starts the replicas when nobody has. timeout_s: for a matte, both attempts.
    """

    socket: int
    parent: int
    address: str
    cpus: int
    deploys: bool
    timeout_s: float
    replicas: Replicas
    log_format: str
    log_level: str


def read_terms(text: str) -> Terms:
    """Return what the argument says."""
    note: Mapping[str, Any] = json.loads(text)
    return Terms(**{**note, "replicas": read_replicas(note["replicas"])})


def main() -> NoReturn:
    """Serve, or deploy and print what came of it as JSON; leave the cluster in order, and end."""
    terms = read_terms(sys.argv[1])
    die_with_parent(terms.parent)
    logging.config.dictConfig(logging_config(terms.log_format, terms.log_level))
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    _hush(tells_all=terms.log_level == "debug", is_heard=terms.socket >= 0)
    line = socket.socket(fileno=terms.socket) if terms.socket >= 0 else None
    cluster, code = None, 1
    try:
        cluster = _cluster(terms)
        if line is not None:
            asyncio.run(serve(line, cluster, terms.timeout_s))
        else:
            out.write(json.dumps({"replicas": asyncio.run(cluster.replace())}))
        code = 0
    except ClusterAway as error:
        if line is not None:
            say_last(line, error)
        else:
            out.write(json.dumps({"reason": error.reason, "detail": error.detail}))
    except Exception:
        logger.exception("The bridge to the Ray cluster ended")
    out.close()
    _leave(cluster, code)


def _cluster(terms: Terms) -> "RayCluster":
    """Return the cluster, not joined yet. Raises ClusterAway when Ray cannot be loaded."""
    try:
        choose_token(terms.address)
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        # Not before: Ray is an extra, takes seconds to import, and reads these variables then.
        from openrembg.server.inference.ray_serve import RayCluster

        return RayCluster(terms)
    except Exception as error:  # whatever an import may raise
        logger.exception("Ray cannot be loaded")
        raise ClusterAway("Ray cannot be loaded; the server's log says why.", str(error)) from error


def _leave(cluster: "RayCluster | None", code: int) -> NoReturn:
    """Leave the cluster in order if that is soon done, and end whatever Ray's threads do."""
    timer = threading.Timer(LEAVE_S, os._exit, (code,))
    timer.daemon = True
    timer.start()
    if cluster is not None:
        cluster.leave()
    logging.shutdown()
    os._exit(code)


def _hush(*, tells_all: bool, is_heard: bool) -> None:
    """Keep standard error for our own lines: Ray repeats itself while a cluster is away.

    tells_all: let Ray's words out too, all of them on standard error. is_heard: the server reads
    standard output, and keeps the last of it for its log.
    """
    if tells_all:
        os.dup2(2, 1)
        return
    ours = os.fdopen(os.dup(2), "w", encoding="utf-8", buffering=1)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, StandardError):
            handler.setStream(ours)
    if not is_heard:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
    os.dup2(1, 2)
    # Each of its questions to a replica that is gone would be a traceback.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


if __name__ == "__main__":
    main()
