"""The child's end of a worker: one JSON line in, one JSON line out.

Runs under either side's interpreter, so it imports the standard library alone.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.memory import forget_peak, peak_bytes

Job = dict[str, Any]
# Threads of a runtime may spin for a moment after their work: the next side waits this long.
REST_S: Final = 0.05


def answer(facts: dict[str, Any], cut: Callable[[bytes, Job], tuple[bytes, Any]]) -> None:
    """Say the facts, then answer jobs until the input ends.

    A job names a `photo` file and, when its result shall be kept, a `keep` file. The answer holds
    `seconds` of the call alone, `cpu_seconds` of all threads in it, `peak_bytes` of this process,
    `output_bytes`, and `parts`: what `cut` returned beside the image.
    """
    # Libraries print to stdout when they like: keep the conversation apart from it.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print(json.dumps(facts), file=replies)
    for line in sys.stdin:
        print(json.dumps(_measured(json.loads(line), cut)), file=replies)


def _measured(job: Job, cut: Callable[[bytes, Job], tuple[bytes, Any]]) -> dict[str, Any]:
    photo = Path(job["photo"]).read_bytes()
    gc.collect()
    forget_peak()
    start, cpu_start = time.perf_counter(), time.process_time()
    image, parts = cut(photo, job)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    peak = peak_bytes(os.getpid())
    if job.get("keep"):
        Path(job["keep"]).write_bytes(image)
    time.sleep(REST_S)
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_bytes": peak,
        "output_bytes": len(image),
        "parts": parts,
    }
