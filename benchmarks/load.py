"""The client that loads a server: a process of its own, on loopback alone, bounded in all.

Run as `python -m benchmarks.load JOB`, the job in JSON; prints one answer in JSON.
"""

import http.client
import json
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

BOUNDARY: Final = "openrembg-benchmark"
HOST: Final = "127.0.0.1"
# A server that is full says when to come again; nobody waits longer than this between tries.
LONGEST_PAUSE_S: Final = 5.0
MOST_FAILURES: Final = 32


@dataclass(frozen=True, slots=True)
class Job:
    """What to send, how many at once, and when to stop.

    Each client sends one photo after the other until `seconds` have passed or all clients
    together have sent `most`; what is in flight then is finished, within `timeout_s`.
    """

    port: int
    path: str
    field_name: str
    fields: dict[str, str]
    photo: str
    clients: int
    seconds: float
    most: int
    timeout_s: float
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Load:
    """What came back: seconds of each image, how often the server was full, what else it said."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    busy: int = 0
    failures: list[str] = field(default_factory=list)


def form(job: Job, photo: bytes) -> bytes:
    """Return the multipart/form-data body of one request."""
    return multipart(job.fields, job.field_name, photo)


def multipart(fields: dict[str, str], field_name: str, photo: bytes) -> bytes:
    """Return a form with a photo in its last part (RFC 7578)."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field_name}"; '
        'filename="photo.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    )
    return b"".join((*parts, head.encode(), photo, f"\r\n--{BOUNDARY}--\r\n".encode()))


class Run:
    """One bounded load on one server."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._body = form(job, Path(job.photo).read_bytes())
        self._lock = threading.Lock()
        self._left = job.most
        self._until = 0.0
        self._load = Load()

    def load(self) -> Load:
        """Let all clients work and return what they saw."""
        start = time.perf_counter()
        self._until = start + self._job.seconds
        clients = [threading.Thread(target=self._client) for _ in range(self._job.clients)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        self._load.seconds = time.perf_counter() - start
        return self._load

    def _client(self) -> None:
        connection = http.client.HTTPConnection(HOST, self._job.port, timeout=self._job.timeout_s)
        while self._another():
            try:
                self._one_image(connection)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._note(failure=repr(error))
        connection.close()

    def _another(self) -> bool:
        with self._lock:
            if (
                self._left <= 0
                or len(self._load.failures) >= MOST_FAILURES
                or time.perf_counter() >= self._until
            ):
                return False
            self._left -= 1
            return True

    def _one_image(self, connection: http.client.HTTPConnection) -> None:
        start = time.perf_counter()
        while True:
            status, pause_s, kind = self._post(connection)
            if status == 200 and kind.startswith("image/"):
                return self._note(latency=time.perf_counter() - start)
            if status != 503 or time.perf_counter() - start > self._job.timeout_s:
                return self._note(failure=f"{status} {kind}")
            self._note()
            time.sleep(pause_s)

    def _post(self, connection: http.client.HTTPConnection) -> tuple[int, float, str]:
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        connection.request("POST", self._job.path, self._body, {**kind, **self._job.headers})
        response = connection.getresponse()
        response.read()
        pause_s = min(float(response.headers.get("Retry-After", 1)), LONGEST_PAUSE_S)
        return response.status, pause_s, response.headers.get("Content-Type", "")

    def _note(self, latency: float | None = None, failure: str | None = None) -> None:
        with self._lock:
            if latency is not None:
                self._load.latencies.append(latency)
            elif failure is not None:
                self._load.failures.append(failure)
            else:
                self._load.busy += 1


def main() -> None:
    """Do the job that the first argument tells."""
    json.dump(asdict(Run(Job(**json.loads(sys.argv[1]))).load()), sys.stdout)


if __name__ == "__main__":
    main()
