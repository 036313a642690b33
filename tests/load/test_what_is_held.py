"""What one server holds of memory, disk, threads and descriptors, under load and after it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path

import pytest
from benchmarks.holdings import holdings, spool_watched
from benchmarks.load import multipart
from benchmarks.soak import A_FEW_FILES, mixture, soak
from benchmarks.upload_client import Job, Upload, head_of, upload_at_once

from houses import House, house, usage, wait_until
from pictures import picture
from services import HOST, Service

pytestmark = pytest.mark.wire

MIB = 1024 * 1024
SPOOL_MB = 128
FIT, EXCESS = 6, 18
MOST_BYTES = 1_000_000_000  # what 24 such uploads would need if each were held as pixels: twice it
REQUESTS, WARM_UP = 1000, 500
MOST_GROWTH_MB = 20.0  # each thousand requests; a photo that stays behind would cost 80


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Service]]:
    """A server whose spool has room for six uploads of 20 MiB."""
    with house(tmp_path_factory.mktemp("held")) as shared:
        settings = {"OPENREMBG_SPOOL_MB": str(SPOOL_MB), "OPENREMBG_QUEUE": "8"}
        limits = dict.fromkeys(("MINUTE", "DAY"), "-1")
        settings |= {f"OPENREMBG_ANONYMOUS_PER_{unit}": most for unit, most in limits.items()}
        yield shared, shared.start(**settings)


def test_uploads_over_the_spool_are_told_before_their_body_is_read(
    home: tuple[House, Service], tmp_path: Path
) -> None:
    shared, server = home
    key = shared.member(FIT + EXCESS)
    photo = tmp_path / "large.bmp"
    photo.write_bytes(picture("BMP", 2640, 2640))
    job = Job(server.port, str(photo), {"format": "jpeg"}, key, EXCESS, 120.0)
    before = holdings(server.process.pid)
    server.forget_peak()
    with spool_watched(server.process.pid) as most, ExitStack() as stack:
        unfinished = [stack.enter_context(_all_but_the_last_byte(job)) for _ in range(FIT)]
        refused = upload_at_once(job)
        answers = [_finished(connection) for connection in unfinished]
    assert [answer.status for answer in answers] == [200] * FIT
    assert [upload for upload in refused if not _is_early(upload)] == []
    assert 100 * MIB < most.unnamed_bytes <= SPOOL_MB * MIB
    assert server.peak_bytes < MOST_BYTES
    assert usage(server, key)["api_usage"] == FIT
    wait_until(lambda: holdings(server.process.pid).unnamed_bytes == 0)
    wait_until(lambda: holdings(server.process.pid).sockets <= before.sockets)
    assert {upload.status for upload in upload_at_once(_one(job))} == {200}


def test_a_thousand_requests_leave_nothing_behind(home: tuple[House, Service]) -> None:
    shared, server = home
    key = shared.member(REQUESTS)
    endured = soak(server.port, server.process.pid, mixture(key), REQUESTS, WARM_UP)
    first, last = endured.looks[0][1], endured.looks[-1][1]
    assert last.threads <= first.threads
    assert last.descriptors <= first.descriptors + A_FEW_FILES
    assert last.unnamed_bytes == 0
    assert endured.growth_mb < MOST_GROWTH_MB


def _is_early(upload: Upload) -> bool:
    soon = upload.retry_after.isdigit() and upload.sent_bytes < upload.body_bytes / 2
    return upload.status == 503 and soon and upload.charged == 0


def _one(job: Job) -> Job:
    return Job(job.port, job.photo, job.fields, job.key, 1, job.timeout_s)


def _all_but_the_last_byte(job: Job) -> socket.socket:
    connection = socket.create_connection((HOST, job.port), timeout=job.timeout_s)
    body = multipart(job.fields, "image", Path(job.photo).read_bytes())
    connection.sendall(head_of(job, len(body)) + body[:-1])
    return connection


def _finished(connection: socket.socket) -> HTTPResponse:
    connection.sendall(b"\n")
    answer = HTTPResponse(connection)
    answer.begin()
    with answer:
        answer.read()
    return answer
