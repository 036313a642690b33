"""What part of the whole server's limits one of its processes has.

The settings speak of the server. Each part is at least what one upload or one picture needs, so
that many processes with small limits may together take a little more than the limit.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from openrembg.matting.parallel import available_cores

if TYPE_CHECKING:
    from openrembg.server.settings import Settings

# An upload's body may be as large as this.
LEAST_SPOOL_MB: Final = 64
# Some threads beside the requests have a connection of their own.
LEAST_DATABASE_CONNECTIONS: Final = 4
USUAL_DATABASE_CONNECTIONS: Final = 8


def share_of(whole: "Settings", index: int) -> "Settings":
    """Return the settings of the process with this index, beginning with 0."""
    count = whole.processes
    cores = available_cores()
    connections = whole.database_connections or USUAL_DATABASE_CONNECTIONS * count
    return replace(
        whole,
        workers=part(whole.workers_on(cores), count, index, least=1),
        threads=part(whole.threads or cores, count, index, least=1),
        queue=part(whole.queue, count, index, least=min(whole.queue, 1)),
        pixel_budget=part(whole.pixel_budget, count, index, least=1),
        spool_mb=part(whole.spool_mb, count, index, least=LEAST_SPOOL_MB),
        database_connections=part(connections, count, index, least=LEAST_DATABASE_CONNECTIONS),
    )


def part(whole: int, count: int, index: int, *, least: int) -> int:
    """Return one of `count` parts that are as equal as can be and make up the whole."""
    more = 1 if index < whole % count else 0
    return max(least, whole // count + more)
