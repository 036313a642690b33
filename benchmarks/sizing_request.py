"""What one paid request costs beside its picture, on PostgreSQL and Redis."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from redis import Redis

from benchmarks.errors import BenchmarkFailed
from benchmarks.load import Job, Run
from benchmarks.members import new_member
from benchmarks.membership import redis_server
from benchmarks.models import SHIPPED
from benchmarks.postgresql import PostgreSQL
from benchmarks.processor_time import processor_s
from benchmarks.servers import Server, our_server

WARM_UP: Final = 10
LOGGED: Final = 50
DATABASE: Final = "requests"
# Deliveries are forgotten, and counters published, a moment after the answer.
MOMENT_S: Final = 1.0
COMMITS: Final = f"SELECT xact_commit FROM pg_stat_database WHERE datname = '{DATABASE}'"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Request:
    """What one paid request costs. web_s: of the server's processor, the picture left out."""

    web_s: float
    postgresql_s: float
    redis_s: float
    transactions: float
    statements: float
    wal_bytes: float
    redis_commands: float
    redis_bytes: float


def measure_request(
    folder: Path, photo: Path, database: PostgreSQL, picture_s: float, number: int
) -> Request:
    """Send so many paid requests, one after the other. picture_s: what the photo itself costs."""
    with redis_server(folder) as (redis, redis_url), _known(database.make(DATABASE)):
        key = new_member(folder / "data")
        with our_server(folder / "data", model=SHIPPED, redis_url=redis_url) as server:
            looks = _Looks(server, database, redis)
            send(server, photo, WARM_UP, key)
            before = looks.all()
            send(server, photo, number, key)
            time.sleep(MOMENT_S)
            costs = [(b - a) / number for a, b in zip(before, looks.all(), strict=True)]
            statements = looks.statements(lambda: send(server, photo, LOGGED, key)) / LOGGED
    web_s, postgresql_s, redis_s, transactions, *rest = costs
    return Request(web_s - picture_s, postgresql_s, redis_s, transactions, statements, *rest)


def send(server: Server, photo: Path, number: int, key: str = "") -> None:
    """Send pictures one after the other. Raises BenchmarkFailed unless all are answered."""
    headers = {"X-Api-Key": key} if key else {}
    fields = {"format": "png"}
    where = server.port, server.path, server.field_name
    load = Run(Job(*where, fields, str(photo), 1, 600.0, number, 60.0, headers)).load()
    if load.failures or len(load.latencies) != number:
        raise BenchmarkFailed(f"{len(load.latencies)} of {number} answered: {load.failures[:1]}")


class _Looks:
    """What is looked at before and after the requests."""

    def __init__(self, server: Server, database: PostgreSQL, redis: Redis) -> None:
        self._server, self._database, self._redis = server, database, redis

    def all(self) -> tuple[float, ...]:
        """Return seconds of web, database, Redis; transactions, log bytes; commands, bytes."""
        stats: Any = self._redis.info("stats")
        cpu: Any = self._redis.info("cpu")
        return (
            processor_s(self._server.pid),
            processor_s(self._database.pid),
            float(cpu["used_cpu_sys"] + cpu["used_cpu_user"]),
            float(self._database.number(DATABASE, COMMITS)),
            self._database.log_position(),
            float(stats["total_commands_processed"]),
            float(stats["total_net_input_bytes"] + stats["total_net_output_bytes"]),
        )

    def statements(self, work: Callable[[], object]) -> int:
        """Return how many statements PostgreSQL runs while the work is done."""
        self._log_statements("all")
        before = self._logged()
        work()
        time.sleep(MOMENT_S)
        found = self._logged() - before
        self._log_statements("none")
        return found

    def _log_statements(self, which: str) -> None:
        self._database.run(f"ALTER SYSTEM SET log_statement = '{which}'")
        self._database.run("SELECT pg_reload_conf()")
        time.sleep(MOMENT_S)

    def _logged(self) -> int:
        lines = self._database.log.read_text(errors="replace").splitlines()
        return sum("LOG:  execute" in line or "LOG:  statement:" in line for line in lines)


@contextlib.contextmanager
def _known(url: str) -> Iterator[None]:
    """Let every program that is started meanwhile use a database."""
    before = os.environ.get("DATABASE_URL")
    os.environ["DATABASE_URL"] = url
    try:
        yield
    finally:
        del os.environ["DATABASE_URL"]
        if before is not None:
            os.environ["DATABASE_URL"] = before
