"""The harness's end of a worker: a child process per side, spoken to over pipes."""

import contextlib
import json
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

from benchmarks.errors import BenchmarkFailed
from benchmarks.peer import MODEL_COPY, PEER_PYTHON, ROOT, peer_environment

START_S: Final = 180.0
ANSWER_S: Final = 300.0
STOP_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Call:
    """One measured call. `cpu_seconds` adds up all threads: a busy machine disturbs it less."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output_bytes: int
    parts: dict[str, float] | None


class Worker:
    """A child process that answers jobs one at a time. A context manager."""

    def __init__(
        self, command: list[str], cwd: Path = ROOT, env: dict[str, str] | None = None
    ) -> None:
        self._name = command[-1]
        self._process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.facts = self._line(START_S)

    def call(self, photo: Path, **job: object) -> Call:
        """Cut out one photo; raises BenchmarkFailed when no answer comes in five minutes."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"photo": str(photo), **job}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise BenchmarkFailed(f"{self._name} has ended") from error
        return Call(**self._line(ANSWER_S))

    def stop(self) -> None:
        """End the child: its input ends, then it gets ten seconds."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as replies:
            for line in replies:
                self._lines.put(line)
        self._lines.put("")

    def _line(self, timeout_s: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            self.stop()
            raise BenchmarkFailed(f"{self._name} gave no answer in {timeout_s:g} s") from None
        if not line:
            self.stop()
            raise BenchmarkFailed(f"{self._name} has ended; its own words are above")
        return cast(dict[str, Any], json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def our_worker(model: str) -> Worker:
    """Start our library with a model, under the interpreter that runs the benchmark."""
    return Worker([sys.executable, "-m", "benchmarks.worker_ours", model])


def peer_worker() -> Worker:
    """Start the peer's library under its own interpreter."""
    command = [str(PEER_PYTHON), "-m", "benchmarks.worker_peer", str(MODEL_COPY)]
    return Worker(command, env=peer_environment())
