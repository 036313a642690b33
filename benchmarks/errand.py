"""Run a module of this folder in a process of its own: a job in JSON in, an answer in JSON out."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.errors import BenchmarkFailed
from benchmarks.peer import ROOT


def answer(module: str, job: str, environment: Mapping[str, str]) -> Any:
    """Return what a module answers to a job. Raises BenchmarkFailed when it fails."""
    return end(begin(module, job, environment))


def begin(module: str, job: str, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start a module on a job."""
    return subprocess.Popen(
        [sys.executable, "-m", module, job],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: "subprocess.Popen[str]") -> Any:
    """Return what a module that was started answers. Raises BenchmarkFailed when it fails."""
    out, err = process.communicate()
    if process.returncode:
        raise BenchmarkFailed(f"{process.args!r} ended with {process.returncode}:\n{err[-2000:]}")
    return json.loads(out)
