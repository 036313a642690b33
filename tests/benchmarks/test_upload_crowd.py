import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from benchmarks.upload_client import Job, Upload, upload_at_once
from benchmarks.uploads import Crowd, uploads_table

MIB = 1024 * 1024
SIZE = 50 * MIB
FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n"
IMAGE = b"HTTP/1.1 200 OK\r\nX-Credits-Charged: 1\r\nContent-Length: 0\r\n\r\n"


@contextlib.contextmanager
def one_answer(answer: bytes, after: Callable[[bytes], bool]) -> Iterator[int]:
    """Run a server for one client that answers after a piece like that; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening, contextlib.ExitStack() as stack:

        def serve() -> None:
            connection = stack.enter_context(listening.accept()[0])
            while (piece := connection.recv(MIB)) and not after(piece):
                pass
            connection.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        yield int(listening.getsockname()[1])
        server.join()


def is_last_of_a_form(piece: bytes) -> bool:
    return piece.endswith(b"--\r\n")


def job(port: int, folder: Path) -> Job:
    photo = folder / "photo"
    photo.write_bytes(bytes(SIZE))
    return Job(port, str(photo), {"format": "png"}, "a key", 1, 30.0)


def test_client_stops_at_an_answer_that_comes_before_the_end(tmp_path: Path) -> None:
    with one_answer(FULL, after=bool) as port:
        (upload,) = upload_at_once(job(port, tmp_path))

    assert (upload.status, upload.retry_after, upload.refused_early) == (503, "2", True)
    assert upload.sent_bytes < upload.body_bytes / 2


def test_client_sends_everything_when_nothing_stops_it(tmp_path: Path) -> None:
    with one_answer(IMAGE, after=is_last_of_a_form) as port:
        (upload,) = upload_at_once(job(port, tmp_path))

    assert (upload.status, upload.charged, upload.refused_early) == (200, 1, False)
    assert upload.sent_bytes == upload.body_bytes > SIZE


def test_server_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        (upload,) = upload_at_once(job(probe.getsockname()[1], tmp_path))

    assert (upload.status, "ConnectionRefused" in upload.failure) == (0, True)


@pytest.mark.parametrize(
    ("used", "peak", "verdicts"),
    [
        (1, 2.0, ["2.5 GB met", "1034.24 MB met", "1 used, 1 told: met"]),
        (2, 3.0, ["2.5 GB missed", "1034.24 MB met", "2 used, 1 told: missed"]),
    ],
)
def test_table_tells_early_from_late_and_holds_the_goals(
    used: int, peak: float, verdicts: list[str]
) -> None:
    uploads = (
        Upload(200, SIZE, SIZE, charged=1),
        Upload(503, 3 * MIB, SIZE, retry_after="1"),
        Upload(503, SIZE, SIZE, retry_after="1"),
        Upload(503, SIZE, SIZE),
        Upload(failure="reset"),
    )
    crowd = Crowd("BMP", 1024, uploads, 9.0, int(peak * 1e9), 1000 * MIB, used)

    cells = [cell.strip() for cell in uploads_table((crowd,)).splitlines()[2].split("|")][1:-1]

    assert cells[4:9] == ["1", "1", "≤ 3.0 MB", "1", "2"]
    assert [cells[10], cells[12], cells[13]] == verdicts
