"""Pulling a model from a local HTTP server that behaves well, badly and maliciously."""

import dataclasses
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from openrembg.matting import pull as pulling
from openrembg.matting.errors import PullFailed
from openrembg.matting.pull import pull
from openrembg.matting.weights import KNOWN, Card, Weights, find_card, find_weights

DATA = bytes(range(256)) * 2000
CARD = dataclasses.replace(
    next(card for card in KNOWN if card.name == "birefnet-general"),
    digest=f"md5:{hashlib.md5(DATA, usedforsecurity=False).hexdigest()}",
)
NO_PAUSE = (0.0, 0.0)

Answer = Callable[["_Handler"], None]


class _Handler(BaseHTTPRequestHandler):
    """Gives the next scripted answer; the last one stays."""

    server: "ModelServer"

    def do_GET(self) -> None:
        self.server.requests.append(dict(self.headers))
        self.server.paths.append(self.path)
        script = self.server.script
        answer = script.pop(0) if len(script) > 1 else script[0]
        self.close_connection = True
        answer(self)

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


class ModelServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Answer] = [whole]
        self.requests: list[dict[str, str]] = []
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/models"


def send(
    handler: _Handler,
    status: int,
    headers: dict[str, object],
    body: bytes = b"",
) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, str(value))
    handler.end_headers()
    handler.wfile.write(body)


def whole(handler: _Handler) -> None:
    """Send everything, or the rest when If-Range fits, as a good server does."""
    wanted = handler.headers.get("Range")
    if wanted is None or handler.headers.get("If-Range") != '"v1"':
        return send(handler, 200, {"Content-Length": len(DATA), "ETag": '"v1"'}, DATA)
    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
    span = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
    headers = {"Content-Length": len(DATA) - start, "Content-Range": span, "ETag": '"v1"'}
    return send(handler, 206, headers, DATA[start:])


def half(handler: _Handler) -> None:
    """Promise everything and hang up half-way."""
    send(handler, 200, {"Content-Length": len(DATA), "ETag": '"v1"'}, DATA[: len(DATA) // 2])


def hang_up(handler: _Handler) -> None:
    """Close without a word."""


def ignores_range(handler: _Handler) -> None:
    send(handler, 200, {"Content-Length": len(DATA), "ETag": '"v2"'}, DATA)


def status(code: int) -> Answer:
    return lambda handler: send(handler, code, {"Content-Length": 0})


def body(data: bytes, **headers: object) -> Answer:
    return lambda handler: send(handler, 200, {"Content-Length": len(data), **headers}, data)


def redirect(location: str) -> Answer:
    return lambda handler: send(handler, 302, {"Location": location, "Content-Length": 0})


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "data" / "models"


def fetch(server: ModelServer, models: Path, card: Card = CARD) -> Weights:
    return pull(card, models, server.url, timeout_s=5, pauses_s=NO_PAUSE)


def files(models: Path) -> list[str]:
    return sorted(path.name for path in models.iterdir())


def failure(server: ModelServer, models: Path, card: Card = CARD) -> str:
    """Pull, expect PullFailed, and check that nothing got the final name."""
    with pytest.raises(PullFailed) as caught:
        fetch(server, models, card)
    assert not (models / f"{card.name}.onnx").exists()
    assert not (models / f"{card.name}.json").exists()
    return str(caught.value)


def test_a_pulled_model_lies_beside_a_card_with_its_sha256(
    server: ModelServer, models: Path
) -> None:
    weights = fetch(server, models)
    assert files(models) == ["birefnet-general.json", "birefnet-general.onnx"]
    assert weights.card.digest == f"sha256:{hashlib.sha256(DATA).hexdigest()}"
    assert weights.card.bytes == len(DATA)
    assert find_weights("birefnet-general", models) == weights
    assert weights.read() == DATA
    assert server.paths == ["/models/BiRefNet-general-epoch_244.onnx"]


def test_progress_counts_up_to_the_total(server: ModelServer, models: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    pull(CARD, models, server.url, lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, len(DATA))
    assert seen[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_dropped_connection_is_resumed_where_it_stopped(
    server: ModelServer, models: Path
) -> None:
    server.script = [half, whole]
    assert fetch(server, models).read() == DATA
    assert server.requests[1]["Range"] == f"bytes={len(DATA) // 2}-"
    assert server.requests[1]["If-Range"] == '"v1"'


def test_a_later_run_goes_on_from_what_an_earlier_one_left(
    server: ModelServer, models: Path
) -> None:
    server.script = [half, status(503)]
    assert "answered 503. Run the same command again" in failure(server, models)
    assert files(models) == ["birefnet-general.onnx.part", "birefnet-general.onnx.part.json"]
    server.script = [whole]
    assert fetch(server, models).read() == DATA
    assert server.requests[-1]["Range"] == f"bytes={len(DATA) // 2}-"
    assert files(models) == ["birefnet-general.json", "birefnet-general.onnx"]


def test_a_server_that_ignores_range_starts_over(server: ModelServer, models: Path) -> None:
    server.script = [half, ignores_range]
    assert fetch(server, models).read() == DATA


def test_a_file_that_changed_meanwhile_starts_over(server: ModelServer, models: Path) -> None:
    changed = DATA[::-1]
    card = dataclasses.replace(CARD, digest=f"sha256:{hashlib.sha256(changed).hexdigest()}")
    server.script = [half, body(changed, ETag='"v2"')]
    assert fetch(server, models, card).read() == changed


def test_a_part_from_another_address_is_not_gone_on_with(server: ModelServer, models: Path) -> None:
    server.script = [half, status(503)]
    failure(server, models)
    server.script = [whole]
    other = server.url.replace("/models", "/mirror")
    assert pull(CARD, models, other, pauses_s=()).read() == DATA
    assert "Range" not in server.requests[-1]


def test_without_a_validator_the_next_attempt_starts_over(
    server: ModelServer, models: Path
) -> None:
    def unmarked_half(handler: _Handler) -> None:
        send(handler, 200, {"Content-Length": len(DATA)}, DATA[:1000])

    server.script = [unmarked_half, whole]
    assert fetch(server, models).read() == DATA
    assert "Range" not in server.requests[1]


def test_another_range_than_asked_for_is_not_appended(server: ModelServer, models: Path) -> None:
    def wrong_part(handler: _Handler) -> None:
        span = f"bytes 5-{len(DATA) - 1}/{len(DATA)}"
        send(handler, 206, {"Content-Range": span, "Content-Length": len(DATA) - 5}, DATA[5:])

    server.script = [half, wrong_part, whole]
    assert fetch(server, models).read() == DATA


def test_a_whole_part_that_the_server_calls_out_of_range_is_taken(
    server: ModelServer, models: Path
) -> None:
    models.mkdir(parents=True)
    note = {"url": f"{server.url}/{CARD.file}", "validator": '"v1"'}
    (models / "birefnet-general.onnx.part").write_bytes(DATA)
    (models / "birefnet-general.onnx.part.json").write_text(json.dumps(note))
    server.script = [status(416)]
    assert fetch(server, models).read() == DATA


def test_a_part_longer_than_the_file_is_thrown_away(server: ModelServer, models: Path) -> None:
    models.mkdir(parents=True)
    note = {"url": f"{server.url}/{CARD.file}", "validator": '"v1"'}
    (models / "birefnet-general.onnx.part").write_bytes(DATA + b"more")
    (models / "birefnet-general.onnx.part.json").write_text(json.dumps(note))
    server.script = [status(416), whole]
    assert fetch(server, models).read() == DATA


@pytest.mark.parametrize("note", ["", "[]", "{", '{"url": 5}', '{"validator": "x"}'])
def test_a_broken_note_means_starting_over(note: str, server: ModelServer, models: Path) -> None:
    models.mkdir(parents=True)
    (models / "birefnet-general.onnx.part").write_bytes(b"half")
    (models / "birefnet-general.onnx.part.json").write_text(note)
    assert fetch(server, models).read() == DATA


def test_a_validator_with_a_line_break_is_not_sent(server: ModelServer, models: Path) -> None:
    models.mkdir(parents=True)
    note = {"url": f"{server.url}/{CARD.file}", "validator": '"v1"\r\nX-Evil: 1'}
    (models / "birefnet-general.onnx.part").write_bytes(DATA[:10])
    (models / "birefnet-general.onnx.part.json").write_text(json.dumps(note))
    assert fetch(server, models).read() == DATA
    assert "If-Range" not in server.requests[0]


def test_a_wrong_hash_is_refused_and_leaves_nothing(server: ModelServer, models: Path) -> None:
    server.script = [body(DATA[:-1] + b"!", ETag='"v1"')]
    message = failure(server, models)
    assert "does not have the checksum" in message
    assert files(models) == []
    assert len(server.requests) == 1


def test_a_truncated_file_is_refused(server: ModelServer, models: Path) -> None:
    server.script = [body(DATA[:1000])]
    assert "does not have the checksum" in failure(server, models)
    assert files(models) == []


def test_a_server_that_always_hangs_up_is_given_up(server: ModelServer, models: Path) -> None:
    server.script = [half, hang_up]
    assert "could not be fetched from 127.0.0.1" in failure(server, models)
    assert len(server.requests) == 1 + len(NO_PAUSE)


def test_a_broken_chunked_body_is_not_taken_for_the_end(server: ModelServer, models: Path) -> None:
    def broken_chunks(handler: _Handler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"ffff\r\n" + DATA[:100])

    server.script = [broken_chunks, whole]
    assert fetch(server, models).read() == DATA


def test_404_is_final_and_names_the_address(server: ModelServer, models: Path) -> None:
    server.script = [status(404)]
    message = failure(server, models)
    assert "answered 404 for http://127.0.0.1:" in message
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [429, 500, 502, 503])
def test_a_passing_fault_of_the_server_is_tried_again(
    code: int, server: ModelServer, models: Path
) -> None:
    server.script = [status(code), whole]
    assert fetch(server, models).read() == DATA


@pytest.mark.parametrize("stated", [len(DATA) - 7, len(DATA) + 7])
def test_a_lying_content_length_never_gives_a_model(
    stated: int, server: ModelServer, models: Path
) -> None:
    server.script = [
        lambda handler: send(handler, 200, {"Content-Length": stated, "ETag": '"v1"'}, DATA)
    ]
    failure(server, models)


def test_a_size_over_the_cap_is_refused_at_the_header(server: ModelServer, models: Path) -> None:
    server.script = [lambda handler: send(handler, 200, {"Content-Length": 3 << 30}, b"x")]
    assert "more than 2 GiB" in failure(server, models)
    assert files(models) == []


def test_an_endless_body_is_cut_at_the_cap(
    server: ModelServer, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "MAX_BYTES", 100_000)
    server.script = [lambda handler: send(handler, 200, {}, DATA)]
    assert "was not fetched" in failure(server, models)
    assert files(models) == []


def test_a_slow_server_is_waited_for(server: ModelServer, models: Path) -> None:
    def slow(handler: _Handler) -> None:
        send(handler, 200, {"Content-Length": len(DATA)})
        for start in range(0, len(DATA), len(DATA) // 4):
            time.sleep(0.05)
            handler.wfile.write(DATA[start : start + len(DATA) // 4])

    server.script = [slow]
    assert fetch(server, models).read() == DATA


def test_a_silent_server_is_left(server: ModelServer, models: Path) -> None:
    release = threading.Event()

    def silent(handler: _Handler) -> None:
        send(handler, 200, {"Content-Length": len(DATA)}, DATA[:10])
        release.wait(20)

    server.script = [silent]
    with pytest.raises(PullFailed, match="did not answer in time"):
        pull(CARD, models, server.url, timeout_s=0.2, pauses_s=())
    release.set()
    assert not (models / "birefnet-general.onnx").exists()


def test_a_redirect_is_followed_with_the_range(server: ModelServer, models: Path) -> None:
    server.script = [half, redirect("/elsewhere"), whole]
    assert fetch(server, models).read() == DATA
    assert server.paths[-1] == "/elsewhere"
    assert server.requests[-1]["Range"] == f"bytes={len(DATA) // 2}-"


def test_a_redirect_loop_ends(server: ModelServer, models: Path) -> None:
    server.script = [redirect("/models/again")]
    assert "redirects in a circle" in failure(server, models)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_a_redirect_away_from_http_is_not_followed(
    target: str, server: ModelServer, models: Path
) -> None:
    server.script = [redirect(target)]
    failure(server, models)
    assert files(models) == []


def test_a_web_page_is_not_a_model(server: ModelServer, models: Path) -> None:
    page = b"<!doctype html><title>Log in</title>"
    server.script = [body(page, **{"Content-Type": "text/html; charset=utf-8"})]
    assert "sent a web page" in failure(server, models)
    assert files(models) == []


def test_a_model_that_is_here_is_not_fetched_again(server: ModelServer, models: Path) -> None:
    first = fetch(server, models)
    again = fetch(server, models, find_card("birefnet-general", models))
    assert again == first
    assert len(server.requests) == 1


def test_a_corrupt_model_is_replaced(server: ModelServer, models: Path) -> None:
    weights = fetch(server, models)
    weights.path.write_bytes(b"rot")
    fetch(server, models, find_card("birefnet-general", models)).verify()
    assert len(server.requests) == 2


def test_a_corrupt_model_stays_until_the_new_one_is_verified(
    server: ModelServer, models: Path
) -> None:
    weights = fetch(server, models)
    weights.path.write_bytes(b"rot")
    server.script = [status(404)]
    with pytest.raises(PullFailed):
        fetch(server, models)
    assert weights.path.read_bytes() == b"rot"


def test_only_one_pull_at_a_time_writes_into_a_folder(server: ModelServer, models: Path) -> None:
    started, release = threading.Event(), threading.Event()

    def held(handler: _Handler) -> None:
        started.set()
        release.wait(20)
        whole(handler)

    server.script = [held, whole]
    first = threading.Thread(target=fetch, args=(server, models))
    first.start()
    assert started.wait(20)
    with pytest.raises(PullFailed, match="another pull"):
        fetch(server, models)
    release.set()
    first.join()
    assert find_weights("birefnet-general", models).read() == DATA


@pytest.mark.parametrize(
    "base_url",
    ["", "models", "ftp://host/x", "file:///etc", "http://", "https:///x", "http://host:99999"],
)
def test_a_base_url_must_be_http_with_a_host(base_url: str, models: Path) -> None:
    with pytest.raises(PullFailed, match="base URL must start with"):
        pull(CARD, models, base_url)
    assert not models.exists()


def test_a_host_that_does_not_answer_is_a_sentence(models: Path) -> None:
    with ModelServer() as closed:
        url = closed.url
    with pytest.raises(PullFailed, match="Connection refused"):
        pull(CARD, models, url, pauses_s=())


def test_a_folder_that_cannot_be_made_is_a_sentence(server: ModelServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PullFailed, match="cannot be written"):
        fetch(server, tmp_path / "file" / "models")
