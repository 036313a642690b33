"""What looks after a server asks by address, whichever hosts the server answers for."""

import os
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from dockerfile_steps import DOCKERFILE, ROOT, Step, read_recipe

from forms import Answer, send
from services import Service, openrembg_server

PROBES = ["/health", "/ready", "/metrics"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server for one host; it is waited for by address, too."""
    environment = {"OPENREMBG_ALLOWED_HOSTS": "cut.example"}
    with openrembg_server(tmp_path_factory.mktemp("probed"), environment) as running:
        yield running


def asked(server: Service, path: str, host: str, method: str = "GET") -> Answer:
    return send(server, method, path, headers={"Host": host})


def compose_check() -> list[str]:
    composed = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    _cmd, *words = composed["services"]["web"]["healthcheck"]["test"]
    return [str(word) for word in words]


def image_check() -> list[str]:
    _, _, command = (
        read_recipe(DOCKERFILE.read_text()).stages[-1].the("HEALTHCHECK").words.partition(" CMD ")
    )
    return Step("HEALTHCHECK", command).json()


@pytest.mark.parametrize("check", [compose_check(), image_check()], ids=["compose", "image"])
def test_health_checks_find_it_well(server: Service, check: list[str]) -> None:
    words = [word.replace("8000", str(server.port)) for word in check]
    subprocess.run(words, env={"PATH": os.environ["PATH"]}, check=True)


@pytest.mark.parametrize("path", PROBES)
@pytest.mark.parametrize("host", ["10.42.0.7:8000", "cut.example", "not_a host"])
def test_probes_and_scrapes_are_answered(server: Service, path: str, host: str) -> None:
    answer = asked(server, path, host)
    assert answer.status == 200
    assert asked(server, path, host, "HEAD").status == 200
    assert asked(server, f"{path}?verbose=1", host).status == 200


@pytest.mark.parametrize("path", ["/rmbg", "/en/", "/api/openapi", "/metrics/", "/health/x"])
def test_everything_else_is_for_its_host_alone(server: Service, path: str) -> None:
    assert asked(server, path, "10.42.0.7:8000").status == 400
    assert asked(server, path, "10.42.0.7:8000", "POST").status == 400


DISGUISES = ["/{}", "/.{}", "/a/..{}", "{}/", "{}/.", "{};a", "{}%3f", "{}%00"]


@pytest.mark.parametrize("path", PROBES)
def test_they_are_answered_only_as_written(server: Service, path: str) -> None:
    coded = f"/%{ord(path[1]):x}{path[2:]}"
    for disguise in [*(form.format(path) for form in DISGUISES), coded, path.upper()]:
        answer = asked(server, disguise, "cut.example")
        assert (disguise, answer.status) == (disguise, 404)
    assert asked(server, f"http://cut.example{path}", "cut.example").status == 200
    assert asked(server, f"http://cut.example/{path}", "cut.example").status == 404
    assert asked(server, f"/{path}", "cut.example", "HEAD").status == 404
