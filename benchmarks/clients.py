"""Clients as processes of their own, so that what they compute does not slow the measuring down."""

import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from benchmarks.errors import BenchmarkFailed
from benchmarks.peer import ROOT


def ask_client(module: str, job: Any, limit_s: float) -> Any:
    """Run a client module on a job, a dataclass, and return what it prints, read as JSON.

    Raises BenchmarkFailed when it ends badly or not in time.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", module],
            cwd=ROOT,
            input=json.dumps(asdict(job)),
            stdout=subprocess.PIPE,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkFailed(f"{module} took longer than {limit_s:g} s") from error
    if done.returncode != 0:
        raise BenchmarkFailed(f"{module} ended with {done.returncode}")
    return json.loads(done.stdout)
