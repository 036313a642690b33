import logging
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from rmbg_client import send


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """A function that returns the fields of each request's line so far."""
    caplog.set_level(logging.DEBUG, "openrembg.request")
    return lambda: [
        record.fields  # type: ignore[attr-defined]
        for record in caplog.records
        if record.name == "openrembg.request"
    ]


def test_an_answer_has_a_fresh_id(client: Client) -> None:
    first, second = (client.get("/health").headers["X-Request-Id"] for _ in range(2))
    assert UUID(first) != UUID(second)


@pytest.mark.parametrize("sane", ["abc", "5f0c0d1e-8f9b-4a43-9d39-0f0a4f1f7c55", "a:b.c_d-1"])
def test_a_sane_id_of_the_client_is_kept(client: Client, sane: str) -> None:
    response = client.get("/api/nothing", headers={"X-Request-Id": sane})
    assert response.headers["X-Request-Id"] == sane
    assert response.json()["request_id"] == sane


@pytest.mark.parametrize("other", ["", "a b", "x" * 65, "é", "<script>", "-a", 'a"b'])
def test_any_other_id_is_replaced(client: Client, other: str) -> None:
    response = client.get("/health", headers={"X-Request-Id": other})
    UUID(response.headers["X-Request-Id"])


def test_each_request_is_one_line(client: Client, lines: Any) -> None:
    response = send(client, ("w", "20"), REMOTE_ADDR="203.0.113.7")
    (line,) = lines()
    assert line.pop("duration_ms") >= 0
    assert line.pop("bytes_in") > 100
    assert line.pop("bytes_out") == len(response.content)
    assert line == {
        "route": "/rmbg",
        "method": "POST",
        "status": 200,
        "network": "203.0.113.0/24",
    }


def test_no_key_file_name_address_or_path_is_in_the_log(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = {"x-api-key": "sk-hunter2", "Authorization": "Bearer tok-hunter2"}
    send(client, headers=secret, image=("hunter2.png", b"hunter2"), REMOTE_ADDR="203.0.113.77")
    send(client, ("w", "hunter2"), image=("hunter2.exe", b"hunter2"))
    client.get("/hunter2?key=hunter2")
    told = caplog.text + str([vars(record).get("fields") for record in caplog.records])
    assert "hunter2" not in told
    assert "203.0.113.77" not in told


@pytest.mark.usefixtures("database")
def test_probes_are_quiet(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "openrembg.request")
    for path in ("/health", "/ready", "/metrics"):
        client.get(path)
    assert [record.name for record in caplog.records] == []
