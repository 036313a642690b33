"""Spread pieces of one picture over the cores, without ever waiting for a busy pool.

The codecs, numpy and OpenCV release the GIL, so threads are enough. The caller always works
itself; helpers join only when the shared pool has an idle thread. Under load every request thus
falls back to its own thread, and nested use cannot deadlock.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

STRIPE_BYTES = 1 << 20


def available_cores() -> int:
    """Return the cores this process may really use: affinity and the container's quota.

    Source: cgroup v2 `cpu.max`, cgroup v1 `cpu.cfs_quota_us` (Linux kernel documentation).
    """
    allowed = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = cgroup_quota()
    return allowed if quota is None else max(1, min(allowed, round(quota)))


def cgroup_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return the quota in cores, None where there is no limit."""
    for folder in _cgroup_folders(root):
        quota = _quota_v2(folder / "cpu.max") or _quota_v1(folder)
        if quota is not None:
            return quota
    return None


def _cgroup_folders(root: Path) -> Iterator[Path]:
    """Yield this process's own group and its parents, then the root, as seen from in here."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "cpu" if controllers else root
        group = base / path.lstrip("/")
        while group != base and base in group.parents:
            yield group
            group = group.parent
    yield root
    yield root / "cpu"


def _quota_v2(file: Path) -> float | None:
    try:
        quota, period = file.read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _quota_v1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 else None


@cache
def _cores() -> int:
    return available_cores()


@cache
def _pool() -> ThreadPoolExecutor | None:
    helpers = _cores() - 1
    return ThreadPoolExecutor(helpers, "openrembg-helper") if helpers else None


def start(task: Callable[[], T]) -> Callable[[], T]:
    """Start `task` on an idle helper and return a function that gives its result.

    When no helper took it up by the time the result is asked for, the asking thread runs it.
    """
    pool = _pool()
    if pool is None:
        return task
    future: Future[T] = pool.submit(task)

    def result() -> T:
        return task() if future.cancel() else future.result()

    return result


def run_all(work: Callable[[int], None], count: int) -> None:
    """Call `work(0)` … `work(count - 1)`, on this thread and on idle helpers.

    The first exception is raised after every started piece has ended.
    """
    turn = itertools.count()  # next() on it is atomic under the GIL

    def drain() -> None:
        while (index := next(turn)) < count:
            work(index)

    pool = _pool()
    helpers = [] if pool is None else [pool.submit(drain) for _ in range(min(count, _cores()) - 1)]
    try:
        drain()
    finally:
        running = [helper for helper in helpers if not helper.cancel()]
        failures = [failure for helper in running if (failure := helper.exception())]
    if failures:
        raise failures[0]


def stripes(height: int, row_bytes: int) -> list[slice]:
    """Cut `height` rows into stripes of about a megabyte, which stay inside the second cache."""
    rows = max(1, STRIPE_BYTES // max(1, row_bytes))
    return [slice(top, min(height, top + rows)) for top in range(0, height, rows)]
