"""Clients that send one large photo each, all at the same moment, and notice an early answer.

A process of its own, on loopback alone: `python -m benchmarks.upload_client`, the job in JSON on
standard input; prints what each client saw, as JSON.
"""

import http.client
import json
import select
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.load import BOUNDARY, HOST, multipart

PIECE_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Job:
    """What to send, and by how many at once. key: an API key, "" for none."""

    port: int
    photo: str
    fields: dict[str, str]
    key: str
    clients: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Upload:
    """One client's answer. sent_bytes: of the body, when the answer began to arrive.

    status: 0 where there was no answer, and `failure` says why.
    """

    status: int = 0
    sent_bytes: int = 0
    body_bytes: int = 0
    retry_after: str = ""
    charged: int = 0
    seconds: float = 0.0
    failure: str = ""

    @property
    def refused_early(self) -> bool:
        """Whether the server was full, and said so before it had the whole body."""
        return self.status == 503 and self.sent_bytes < self.body_bytes


def upload_at_once(job: Job) -> list[Upload]:
    """Let all clients send, and return what each saw."""
    body = multipart(job.fields, "image", Path(job.photo).read_bytes())
    start = threading.Barrier(job.clients)

    def client(_number: int) -> Upload:
        start.wait()
        began = time.perf_counter()
        try:
            return _upload(job, body, began)
        except (OSError, http.client.HTTPException) as error:
            return Upload(failure=repr(error), seconds=time.perf_counter() - began)

    with ThreadPoolExecutor(job.clients) as pool:
        return list(pool.map(client, range(job.clients)))


def _upload(job: Job, body: bytes, began: float) -> Upload:
    with socket.create_connection((HOST, job.port), timeout=job.timeout_s) as connection:
        connection.sendall(head_of(job, len(body)))
        sent = _send_until_answered(connection, body, job.timeout_s)
        answer = http.client.HTTPResponse(connection)
        with answer:
            answer.begin()
            answer.read()
        return Upload(
            status=answer.status,
            sent_bytes=sent,
            body_bytes=len(body),
            retry_after=answer.headers.get("Retry-After", ""),
            charged=int(answer.headers.get("X-Credits-Charged", 0)),
            seconds=time.perf_counter() - began,
        )


def head_of(job: Job, length: int) -> bytes:
    lines = [
        f"POST /rmbg HTTP/1.1\r\nHost: {HOST}:{job.port}",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
        f"Content-Length: {length}",
        *([f"X-Api-Key: {job.key}"] if job.key else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _send_until_answered(connection: socket.socket, body: bytes, timeout_s: float) -> int:
    """Send until all is sent or the first byte of an answer is there; return how much was sent."""
    poller, sent, view = select.poll(), 0, memoryview(body)
    poller.register(connection, select.POLLIN | select.POLLOUT)
    while sent < len(body):
        events = poller.poll(timeout_s * 1000)
        if not events:
            raise TimeoutError("the server takes no more")
        if events[0][1] & ~select.POLLOUT:
            break
        sent += connection.send(view[sent : sent + PIECE_BYTES])
    return sent


def main() -> None:
    """Do the job on standard input."""
    uploads = upload_at_once(Job(**json.load(sys.stdin)))
    json.dump([asdict(upload) for upload in uploads], sys.stdout)


if __name__ == "__main__":
    main()
