"""A PostgreSQL with the settings it comes with, so that each commit waits for the disk."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from benchmarks.errors import BenchmarkFailed
from benchmarks.load import HOST
from benchmarks.servers import free_port

START_S: Final = 60.0
CONNECTIONS: Final = 300
LOG_POSITION: Final = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A server that runs. pid: its first process. log: what it says."""

    pid: int
    port: int
    log: Path

    def url(self, name: str) -> str:
        """Return what DATABASE_URL says for one of its databases."""
        return f"postgresql://postgres@{HOST}:{self.port}/{name}"

    def make(self, name: str) -> str:
        """Make a database and return its address."""
        self.run(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def run(self, statement: str, name: str = "postgres") -> None:
        """Run a statement outside of a transaction."""
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute(statement.encode())

    def log_position(self) -> float:
        """Return how many bytes of write-ahead log there have been."""
        return float(self.number("postgres", LOG_POSITION))

    def number(self, name: str, query: str) -> int:
        """Return the one number that a query answers."""
        with psycopg.connect(self.url(name)) as connection:
            row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return int(row[0])


@contextlib.contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """Run an empty one that trusts the loopback; root runs it as the user `postgres`."""
    owner, port = "postgres" if os.getuid() == 0 else None, free_port()
    home = Path(tempfile.mkdtemp(prefix="openrembg-bench-"))
    if owner:
        shutil.chown(home, owner)
    programs, data = _programs(), home / "data"
    made = [
        str(programs / "initdb"),
        "-D",
        str(data),
        "--locale=C",
        "-U",
        "postgres",
        "-A",
        "trust",
    ]
    subprocess.run(made, user=owner, cwd=home, check=True, stdout=subprocess.DEVNULL)
    command = [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-h", HOST]
    command += ["-k", str(home), "-c", f"max_connections={CONNECTIONS}"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, user=owner, cwd=home, stdout=log, stderr=log)
    try:
        server = PostgreSQL(process.pid, port, home / "log")
        _wait(server)
        yield server
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(home)


def _programs() -> Path:
    # Debian keeps the server's programs off the PATH, one folder a version.
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        raise BenchmarkFailed("PostgreSQL is not installed.")
    return (found[-1] if found else Path(str(on_path))).parent


def _wait(server: PostgreSQL) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(server.url("postgres")).close()
        except psycopg.Error as error:
            if time.monotonic() > deadline:
                raise BenchmarkFailed("PostgreSQL did not start.") from error
            time.sleep(0.1)
        else:
            return
