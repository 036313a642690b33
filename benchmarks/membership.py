"""How long GET /api/membership-usage takes with a million usage keys in Redis."""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError

from benchmarks import goals
from benchmarks.errors import BenchmarkFailed
from benchmarks.load import HOST
from benchmarks.membership_load import Job
from benchmarks.models import SHIPPED
from benchmarks.peer import ROOT
from benchmarks.servers import free_port, our_server
from benchmarks.table import table

WINDOWS: Final = 25
# Each window has two counters, and a month and a billing period each are windows.
KEYS_A_USER: Final = 4 * WINDOWS
ASKED: Final = 1000
CLIENTS: Final = 4
START_S: Final = 30.0
SEED_S: Final = 900.0
SCANNED: Final = "openrembg:usage:scanned"
PATH: Final = "/api/membership-usage"


@dataclass(frozen=True, slots=True)
class Mode:
    """One way of asking; milliseconds of each answer."""

    name: str
    milliseconds: tuple[float, ...]

    def percentile(self, percent: int) -> float:
        """Return the value that so many percent of the answers did not exceed."""
        return statistics.quantiles(self.milliseconds, n=100, method="inclusive")[percent - 1]


@dataclass(frozen=True, slots=True)
class Membership:
    """usage_keys: how many of the contract's counters there were in Redis."""

    usage_keys: int
    modes: tuple[Mode, ...]


def measure_membership(usage_keys: int, requests: int) -> Membership:
    """Ask a server for usage in each way, `requests` times each, while its scan runs."""
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as (redis, redis_url):
        data = Path(folder) / "data"
        seed = _seed(data, redis_url, usage_keys // KEYS_A_USER)
        with our_server(data, model=SHIPPED, redis_url=redis_url) as server:
            _until(lambda: bool(redis.exists(SCANNED)), "The server does not look for cycles.")
            paths = _paths(seed["start"])
            modes = [
                _ask(name, Job(server.port, path, seed["keys"], CLIENTS, requests))
                for name, path in paths.items()
            ]
            found = sum(1 for _ in redis.scan_iter("user:*_usage:*", count=5000))
            redis.flushall()
            job = Job(server.port, PATH, seed["keys"], CLIENTS, len(seed["keys"]))
            modes.append(_ask("a month, after FLUSHALL", job))
    return Membership(found, tuple(modes))


def membership_table(result: Membership) -> str:
    """Return the milliseconds of each way of asking, with the goal."""
    head = ("membership-usage", "p50 ms", "p99 ms", "slowest ms", "goal (p99)")
    rows = []
    for mode in result.modes:
        p50, p99 = mode.percentile(50), mode.percentile(99)
        goal = goals.at_most(p99, goals.MEMBERSHIP_P99_MS, "ms")
        rows.append((mode.name, f"{p50:.1f}", f"{p99:.1f}", f"{max(mode.milliseconds):.1f}", goal))
    return table(head, rows)


def _paths(start: int) -> dict[str, str]:
    return {
        "the present month": PATH,
        "year and month": f"{PATH}?year=2024&month=3",
        "periodStartUnix": f"{PATH}?periodStartUnix={start}",
        "expand=billing_cycle": f"{PATH}?expand=billing_cycle",
        "listBillingCycles": f"{PATH}?listBillingCycles=1",
    }


def _seed(data: Path, redis_url: str, users: int) -> dict[str, Any]:
    environment = {**os.environ, "OPENREMBG_DATA_DIR": str(data), "REDIS_URL": redis_url}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.membership_seed"),
            *(str(users), str(WINDOWS), str(min(ASKED, users))),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SEED_S,
        check=False,
    )
    if done.returncode:
        raise BenchmarkFailed(f"The users could not be made:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def _ask(name: str, job: Job) -> Mode:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.membership_load"],
        cwd=ROOT,
        input=json.dumps(asdict(job)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchmarkFailed(f"The client ended with {done.returncode}:\n{done.stderr[-2000:]}")
    latencies, failures = json.loads(done.stdout)
    if failures:
        raise BenchmarkFailed(f"{name}: {len(failures)} answers were wrong, one {failures[0]}")
    return Mode(name, tuple(1000 * seconds for seconds in latencies))


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[tuple[Redis, str]]:
    """Run an empty redis-server that writes nothing to disk; yield a client and its address."""
    program = shutil.which("redis-server")
    if program is None:
        raise BenchmarkFailed("redis-server is not installed.")
    port = free_port()
    command = [program, "--bind", HOST, "--port", str(port), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        with Redis(HOST, port) as client:
            _until(lambda: _pings(client), "redis-server did not start.")
            yield client, f"redis://{HOST}:{port}/0"
    finally:
        process.kill()
        process.wait()


def _pings(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except (OSError, RedisError):
        return False


def _until(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.perf_counter() + START_S
    while not is_so():
        if time.perf_counter() > deadline:
            raise BenchmarkFailed(otherwise)
        time.sleep(0.05)
