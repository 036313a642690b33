import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from benchmarks.load import BOUNDARY, Job, Run, form
from multipart import parse_form_data


@contextmanager
def server(*statuses: int) -> Iterator[tuple[int, list[bytes]]]:
    """Run a server that answers with these statuses, the last for ever; yields port and bodies."""
    bodies: list[bytes] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                bodies.append(body)
                status = statuses[min(len(bodies), len(statuses)) - 1]
            self.send_response(status)
            self.send_header("Content-Type", "image/png" if status == 200 else "application/json")
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield httpd.server_address[1], bodies
        httpd.shutdown()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8 a photo")
    return path


def job(port: int, photo: Path, clients: int, most: int, seconds: float = 60) -> Job:
    return Job(port, "/rmbg", "image", {"format": "png"}, str(photo), clients, seconds, most, 10)


def test_form_can_be_read_as_multipart(photo: Path) -> None:
    body = form(job(1, photo, 1, 1), photo.read_bytes())

    fields, files = parse_form_data(
        {
            "REQUEST_METHOD": "POST",
            "CONTENT_TYPE": f"multipart/form-data; boundary={BOUNDARY}",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
        }
    )
    assert fields["format"] == "png"
    assert files["image"].raw == photo.read_bytes()


def test_all_clients_together_send_no_more_than_allowed(photo: Path) -> None:
    with server(200) as (port, bodies):
        load = Run(job(port, photo, clients=3, most=7)).load()

    assert len(load.latencies) == len(bodies) == 7
    assert load.failures == []


def test_nothing_is_sent_once_the_time_is_over(photo: Path) -> None:
    with server(200) as (port, bodies):
        load = Run(job(port, photo, clients=2, most=7, seconds=0)).load()

    assert (load.latencies, bodies) == ([], [])


def test_full_server_is_asked_again_and_counted(photo: Path) -> None:
    with server(503, 503, 200) as (port, bodies):
        load = Run(job(port, photo, clients=1, most=1)).load()

    assert (len(load.latencies), load.busy, len(bodies)) == (1, 2, 3)


def test_other_answers_are_failures_and_end_the_load_early(photo: Path) -> None:
    with server(500) as (port, _):
        load = Run(job(port, photo, clients=2, most=1000)).load()

    assert load.latencies == []
    assert load.failures[0] == "500 application/json"
    assert len(load.failures) < 40
