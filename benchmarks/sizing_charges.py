"""How fast a database takes charges, and what they take on its disk."""

import json
import os
import sqlite3
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.charging import Job
from benchmarks.errand import answer, begin, end
from benchmarks.postgresql import PostgreSQL
from benchmarks.processor_time import processor_s
from benchmarks.servers import our_admin

USERS: Final = 64
PROCESSES: Final = 2
CONNECTIONS: Final = (1, 2, 8, 32)
SQLITE_THREADS: Final = 8
CHARGING: Final = "benchmarks.charging"


@dataclass(frozen=True, slots=True)
class Charges:
    """Charges a second through so many connections. processor_s: of the database, for each."""

    database: str
    users: int
    connections: int
    rate: float
    processor_s: float


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes on disk for one charge, all tables and indexes; wal_bytes: what is written ahead.

    verified: how many of them `verify-ledger` looks at in a second, where that was measured.
    """

    database: str
    charges: int
    bytes: float
    wal_bytes: float
    verified: float = 0.0


def measure_charges(
    folder: Path, database: PostgreSQL, seconds: float
) -> tuple[tuple[Charges, ...], tuple[Storage, ...]]:
    """Charge many users, then one, through more and more connections; then many on SQLite."""
    url = database.make("charges")
    environment = {**os.environ, "DATABASE_URL": url, "OPENREMBG_DATA_DIR": str(folder / "own")}
    environment |= {"REDIS_URL": "", "OPENREMBG_DATABASE_CONNECTIONS": str(max(CONNECTIONS))}
    payers = answer(CHARGING, _job_text(Job([], 0, 0, USERS)), environment)
    size, log = _size(database), database.log_position()
    found, total = [], 0
    for connections in CONNECTIONS:
        for who in (payers, payers[:1]):
            before = processor_s(database.pid)
            rate, charges = _rate(who, connections, seconds, environment)
            used = (processor_s(database.pid) - before) / charges
            found.append(Charges("PostgreSQL", len(who), connections, rate, used))
            total += charges
    grown = (_size(database) - size) / total, (database.log_position() - log) / total
    storage = [Storage("PostgreSQL", total, *grown)]
    charges_, stored = _sqlite_charges(folder / "sqlite", seconds)
    return (*found, charges_), (*storage, stored)


def _sqlite_charges(folder: Path, seconds: float) -> tuple[Charges, Storage]:
    environment = {**os.environ, "OPENREMBG_DATA_DIR": str(folder), "REDIS_URL": ""}
    environment.pop("DATABASE_URL", None)
    payers = answer(CHARGING, _job_text(Job([], 0, 0, USERS)), environment)
    file = folder / "openrembg.db"
    before = _size_of(file)
    done = answer(CHARGING, _job_text(Job(payers, SQLITE_THREADS, seconds)), environment)
    grown = (_size_of(file) - before) / done["charges"]
    rate = done["charges"] / done["seconds"]
    return (
        Charges("SQLite, one process", USERS, SQLITE_THREADS, rate, 0.0),
        Storage("SQLite", done["charges"], grown, 0.0, _verified(folder, done["charges"])),
    )


def _verified(folder: Path, charges: int) -> float:
    """Return how many charges `verify-ledger` looks at in a second, its start left out."""
    clock = time.perf_counter()
    our_admin(folder, "plans")
    started = time.perf_counter()
    our_admin(folder, "verify-ledger")
    return charges / max(0.001, time.perf_counter() - started - (started - clock))


def _rate(
    payers: list[tuple[int, int]], connections: int, seconds: float, environment: dict[str, str]
) -> tuple[float, int]:
    """Charge in as many processes as help; return charges a second, and how many they were."""
    processes = min(PROCESSES, connections)
    jobs = [
        _job_text(Job(payers[one::processes] or payers, connections // processes, seconds))
        for one in range(processes)
    ]
    running = [begin(CHARGING, job, environment) for job in jobs]
    done = [end(process) for process in running]
    charges = sum(one["charges"] for one in done)
    return sum(one["charges"] / one["seconds"] for one in done), charges


def _job_text(job: Job) -> str:
    return json.dumps(asdict(job))


def _size(database: PostgreSQL) -> int:
    """Return how large the database is once what is not needed any more may be written over."""
    database.run("VACUUM", "charges")
    return database.number("charges", "SELECT pg_database_size('charges')")


def _size_of(file: Path) -> int:
    """Return how large a SQLite file is with what waits in its log."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file.stat().st_size
