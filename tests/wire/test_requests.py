"""The requests library, which sends the image last and without a type of its own."""

import io

import pytest
import requests

from pictures import HEIGHT, WIDTH, opened, picture
from services import Service

pytestmark = pytest.mark.wire

MIB = 1024 * 1024
ANSWER_S = 120


def test_requests_gets_a_cut_out(server: Service) -> None:
    answer = requests.post(
        f"{server.url}/rmbg",
        files={"image": ("photo.jpg", picture("JPEG"))},
        data={"format": "png", "w": 160},
        timeout=ANSWER_S,
    )
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    assert opened(answer.content).size == (160, 120)


def test_requests_sends_an_open_file(server: Service) -> None:
    with io.BytesIO(picture("BMP")) as file:
        answer = requests.post(f"{server.url}/api/rmbg", files={"image": file}, timeout=ANSWER_S)
    assert opened(answer.content).size == (WIDTH, HEIGHT)


def test_one_session_sends_many_photos_on_one_connection(server: Service) -> None:
    with requests.Session() as session:
        for _ in range(3):
            answer = session.post(
                f"{server.url}/rmbg", files={"image": ("a.png", picture())}, timeout=ANSWER_S
            )
            assert answer.status_code == 200


def test_requests_is_told_what_is_wrong(server: Service) -> None:
    answer = requests.post(
        f"{server.url}/rmbg",
        files={"image": ("a.png", picture())},
        data={"w": "-5"},
        timeout=ANSWER_S,
    )
    assert answer.status_code == 400
    assert answer.json()["error"] == "'w' must be at least 1, got: -5"


def test_requests_reads_the_refusal_of_its_key_while_it_still_sends(server: Service) -> None:
    for _ in range(3):
        answer = requests.post(
            f"{server.url}/rmbg",
            files={"image": ("large.bmp", bytes(20 * MIB))},
            headers={"x-api-key": "a key"},
            timeout=ANSWER_S,
        )
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid api key")


def test_requests_reads_the_refusal_of_a_body_over_the_cap(server: Service) -> None:
    large = bytes(64 * MIB + 1024)
    answer = requests.post(
        f"{server.url}/rmbg", files={"image": ("large.bmp", large)}, timeout=ANSWER_S
    )
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "File size (64.0 MB) exceeds the maximum allowed size of 50 MB.",
    )
