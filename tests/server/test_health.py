import threading
from dataclasses import replace

import pytest
from django.db import connection
from django.test import Client

from fakes.steady_matter import SteadyMatter
from openrembg.matting.errors import CorruptModel
from openrembg.server.inference.local import LocalBackend
from openrembg.server.service import install, service

pytestmark = pytest.mark.usefixtures("database")


def test_the_process_is_alive(client: Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}


def test_ready_names_model_provider_and_precision(client: Client) -> None:
    response = client.get("/ready")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "model": "steady",
        "provider": "Test CPU f32",
        "precision": "f32",
        "reason": "",
    }


def test_not_ready_while_the_model_loads(client: Client) -> None:
    may_end = threading.Event()

    def load() -> SteadyMatter:
        may_end.wait()
        return SteadyMatter()

    backend = LocalBackend(load)
    install(replace(service(), backend=backend))
    backend.start()
    response = client.get("/ready")
    assert (response.status_code, response.json()["status"]) == (503, "loading")
    may_end.set()
    backend.wait()
    assert client.get("/ready").status_code == 200


def test_not_ready_says_why_the_model_failed(client: Client) -> None:
    def load() -> SteadyMatter:
        raise CorruptModel("The weights do not have their checksum.")

    backend = LocalBackend(load)
    backend.wait()
    install(replace(service(), backend=backend))
    response = client.get("/ready")
    assert response.status_code == 503
    assert response.json()["reason"] == "The weights do not have their checksum."
    assert client.get("/health").status_code == 200


def test_not_ready_while_the_database_does_not_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    is_pooled = connection.vendor == "postgresql"
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "NAME", "/no/such/folder/or/database")
        if is_pooled:
            connection.close_pool()
            patch.setitem(connection.settings_dict, "PORT", "9")
            patch.setitem(connection.settings_dict["OPTIONS"], "pool", {"timeout": 1})
        response = client.get("/ready")
        if is_pooled:
            connection.close_pool()
    assert response.status_code == 503
    assert response.json()["reason"] == "The database does not answer."
    assert client.get("/health").status_code == 200
