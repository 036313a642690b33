"""How large a file and a body may be, to the byte, and answers that come before the body."""

import http.client
from collections.abc import Iterator

import pytest

from forms import FORM, Answer, field, flat, form, photo, post, send, send_head
from pictures import picture
from services import HOST, Service, StartServer

pytestmark = pytest.mark.wire

MIB = 1024 * 1024
LARGEST_FILE = 52_428_800
CAP = 64 * MIB
TOO_LARGE = "File size ({size} MB) exceeds the maximum allowed size of 50 MB."
SIGNATURE = "File does not appear to be a valid image (invalid file signature)"


def test_fifty_mebibytes_pass_the_check_of_the_size(server: Service) -> None:
    padded = picture("JPEG") + bytes(LARGEST_FILE - len(picture("JPEG")))
    answer = post(server, photo(padded, "padded.jpg"))
    assert (answer.status, answer.headers["X-Foreground-Detected"]) == (200, "true")


def test_fifty_mebibytes_of_nothing_fail_at_the_next_check(server: Service) -> None:
    answer = post(server, photo(bytes(LARGEST_FILE)))
    assert (answer.status, answer.told()) == (400, flat(SIGNATURE, "image"))


def test_one_byte_more_than_fifty_mebibytes_is_too_large(server: Service) -> None:
    answer = post(server, photo(picture() + bytes(LARGEST_FILE + 1 - len(picture()))))
    assert (answer.status, answer.told()) == (400, flat(TOO_LARGE.format(size="50.0"), "image"))


def test_the_size_is_told_in_mebibytes_with_one_decimal(server: Service) -> None:
    answer = post(server, photo(bytes(int(55.2 * MIB))), field("w", "abc"))
    assert answer.status == 400
    assert [detail["message"] for detail in answer.json["details"]] == [
        TOO_LARGE.format(size="55.2"),
        "'w' must be an integer, got: 'abc'",
    ]


@pytest.mark.parametrize(
    ("length", "size"), [(CAP + 1, "64.0"), (100 * MIB, "100.0"), (10**13, "9536743.2")]
)
def test_a_body_over_the_cap_is_answered_at_its_headers(
    server: Service, length: int, size: str
) -> None:
    answer = send_head(
        server, "POST /rmbg HTTP/1.1", f"Content-Type: {FORM}", f"Content-Length: {length}"
    )
    assert (answer.status, answer.told()) == (400, flat(TOO_LARGE.format(size=size), "image"))
    assert answer.headers["X-Credits-Charged"] == "0"


def test_a_body_of_exactly_the_cap_is_read(server: Service) -> None:
    wrapped = len(form(photo(b"")))
    answer = post(server, photo(bytes(CAP - wrapped)))
    assert answer.told() == flat(TOO_LARGE.format(size="64.0"), "image")


def test_http_client_reads_the_refusal_after_it_has_sent_everything(server: Service) -> None:
    # No more than the server drains: http.client gives up at a connection that is closed before.
    for _ in range(3):
        answer = post(server, photo(bytes(CAP + 1024)))
        assert answer.told() == flat(TOO_LARGE.format(size="64.0"), "image")


def test_http_client_reads_a_401_that_comes_before_its_upload_ends(server: Service) -> None:
    for _ in range(5):
        answer = post(server, photo(bytes(40 * MIB)), headers={"x-api-key": "a key"})
        assert (answer.status, answer.json["error"]) == (401, "invalid api key")


def _chunks(data: bytes, size: int = 256 * 1024) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def test_a_chunked_body_is_taken(server: Service) -> None:
    answer = send(server, "POST", "/rmbg", _chunks(form(photo(picture())), 1000), _chunked())
    assert (answer.status, answer.headers["X-Foreground-Detected"]) == (200, "true")


def test_a_chunked_body_over_the_cap_is_413_in_the_shape(server: Service) -> None:
    answer = send(server, "POST", "/rmbg", _chunks(bytes(66 * MIB)), _chunked())
    assert (answer.status, answer.told()["status"]) == (413, 413)
    assert set(answer.told()) == {"error", "status"}


def _chunked() -> dict[str, str]:
    return {"Content-Type": FORM, "Transfer-Encoding": "chunked"}


def test_a_body_over_the_cap_elsewhere_is_413_in_the_shape(server: Service) -> None:
    answer = send_head(server, "GET /health HTTP/1.1", f"Content-Length: {CAP + 1}")
    assert (answer.status, answer.told()["status"]) == (413, 413)
    assert set(answer.told()) == {"error", "status"}


def test_a_full_spool_is_503_at_the_headers(start_server: StartServer) -> None:
    server = start_server(OPENREMBG_SPOOL_MB="64")
    holding = http.client.HTTPConnection(HOST, server.port, timeout=60)
    holding.putrequest("POST", "/rmbg")
    holding.putheader("Content-Type", FORM)
    holding.putheader("Content-Length", str(CAP))
    holding.endheaders(bytes(CAP - 1))
    try:
        answer = _until_refused(server)
        assert answer.headers["Retry-After"].isdigit()
        assert answer.headers["X-Credits-Charged"] == "0"
        assert answer.told()["status"] == 503
    finally:
        holding.close()


def _until_refused(server: Service) -> Answer:
    # The server may see the second connection before it has read all of the first one's body.
    for _ in range(50):
        answer = post(server, photo(picture("BMP") + bytes(2 * MIB), "photo.bmp"))
        if answer.status == 503:
            return answer
    raise AssertionError(f"the spool never filled up: {answer.status}")


def test_nothing_is_left_in_the_data_folder(start_server: StartServer) -> None:
    server = start_server()
    post(server, photo(picture("JPEG") + bytes(5 * MIB), "photo.jpg"))
    post(server, photo(bytes(5 * MIB)))
    kept = [path for path in (server.log.parent / "data").rglob("*") if path.is_file()]
    own = {"secret_key", "migrate.lock", "openrembg.db", "openrembg.db-wal", "openrembg.db-shm"}
    assert {path.name for path in kept} <= own
    assert sum(path.stat().st_size for path in kept) < 5 * MIB
