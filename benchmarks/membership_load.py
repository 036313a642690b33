"""The client that asks for usage: a process of its own, kept-alive connections, one after another.

Run as `python -m benchmarks.membership_load`, the job in JSON on standard input; prints the
seconds that each answer took, as JSON.
"""

import http.client
import json
import sys
import threading
import time
from dataclasses import dataclass
from typing import Final

from benchmarks.load import HOST

REQUEST_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Job:
    """What to ask, with which keys in turn, by how many clients, so often altogether."""

    port: int
    path: str
    keys: list[str]
    clients: int
    requests: int


def ask(job: Job) -> tuple[list[float], list[str]]:
    """Ask, and return the seconds of each answer and what else came back."""
    latencies: list[float] = []
    failures: list[str] = []

    def client(first: int) -> None:
        connection = http.client.HTTPConnection(HOST, job.port, timeout=REQUEST_S)
        for number in range(first, job.requests, job.clients):
            key = job.keys[number % len(job.keys)]
            began = time.perf_counter()
            connection.request("GET", job.path, headers={"X-Api-Key": key})
            answer = connection.getresponse()
            body = answer.read()
            latencies.append(time.perf_counter() - began)
            if answer.status != 200:
                failures.append(f"{answer.status} {body[:200]!r}")
        connection.close()

    threads = [threading.Thread(target=client, args=(first,)) for first in range(job.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies, failures


if __name__ == "__main__":
    json.dump(ask(Job(**json.load(sys.stdin))), sys.stdout)
