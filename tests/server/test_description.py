"""The API description: pinned, valid, and true."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from jsonschema import Draft202012Validator
from rmbg_client import photo, send
from schemathesis.openapi import from_dict

from openrembg.server.describe import main, openapi
from openrembg.server.removal.description import FIELDS
from openrembg.server.removal.schemas import ORDER

PINNED = Path(__file__).parents[2] / "openapi.json"

Json = dict[str, Any]


@pytest.fixture
def description(client: Client) -> Json:
    return dict(client.get("/api/openapi").json())


def resolve(description: Json, node: Any) -> Any:
    while isinstance(node, dict) and "$ref" in node:
        target: Any = description
        for name in node["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        node = target
    return node


def every_node(node: Any) -> list[Any]:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [node, *(found for child in children for found in every_node(child))]


def test_the_pinned_description_is_the_one_that_is_served(description: Json) -> None:
    pinned = PINNED.read_text("utf-8")
    assert pinned == openapi(), "python -m openrembg.server.describe openapi > openapi.json"
    assert json.loads(pinned) == description


def test_it_is_valid_openapi_3_1(description: Json) -> None:
    assert description["openapi"].startswith("3.1.")
    from_dict(description).validate()


def test_every_reference_leads_somewhere(description: Json) -> None:
    nodes = [node for node in every_node(description) if isinstance(node, dict) and "$ref" in node]
    assert nodes
    for node in nodes:
        assert resolve(description, node)


def test_every_schema_is_a_schema(description: Json) -> None:
    for schema in description["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_form_field_is_described_with_no_other(description: Json) -> None:
    body = description["paths"]["/rmbg"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert set(body["schema"]["properties"]) == set(ORDER)
    for field in FIELDS.values():
        assert field["description"].endswith(".")


def test_every_example_is_what_its_schema_says(description: Json) -> None:
    for response in description["components"]["responses"].values():
        media = response["content"]["application/json"]
        schema = {**media["schema"], "components": description["components"]}
        assert media["examples"]
        for example in media["examples"].values():
            Draft202012Validator(schema).validate(example["value"])


@pytest.mark.parametrize(
    ("parts", "headers", "limits", "status"),
    [
        ([], {}, {}, 200),
        ([("w", "abc")], {}, {}, 400),
        ([("w", "abc"), ("h", "abc")], {}, {}, 400),
        ([], {"x-api-key": "k", "Authorization": "Bearer t"}, {}, 400),
        ([], {"x-api-key": "k"}, {}, 401),
        ([], {}, {"anonymous_per_minute": 0}, 429),
    ],
)
def test_every_answer_is_as_described(
    client: Client,
    description: Json,
    furnish: Any,
    parts: list[tuple[str, str]],
    headers: dict[str, str],
    limits: dict[str, int],
    status: int,
) -> None:
    furnish(**limits)
    answer = send(client, *parts, headers=headers)
    assert answer.status_code == status
    operation = description["paths"]["/rmbg"]["post"]
    described = resolve(description, operation["responses"][str(status)])
    for name, reference in described["headers"].items():
        if name in answer.headers:
            value: Any = answer.headers[name]
            schema = resolve(description, reference)["schema"]
            value = int(value) if schema["type"] == "integer" else value
            Draft202012Validator(schema).validate(value)
        else:
            assert name in ("Retry-After", "Idempotent-Replayed")
    media = described["content"][answer.headers["Content-Type"]]
    if status != 200:
        schema = {**media["schema"], "components": description["components"]}
        Draft202012Validator(schema).validate(answer.json())


def test_a_field_sent_as_its_own_default_changes_nothing(client: Client) -> None:
    parts = [(name, str(field["default"])) for name, field in FIELDS.items() if "default" in field]
    plain, spelled = send(client), send(client, *parts)
    assert spelled.status_code == 200
    assert spelled.content == plain.content


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if "enum" in field])
def test_every_value_of_an_enumeration_is_taken(client: Client, name: str) -> None:
    for value in FIELDS[name]["enum"]:
        assert send(client, (name, value), image=("a.png", photo())).status_code == 200


def test_the_public_address_is_where_the_api_is(client: Client, furnish: Any) -> None:
    furnish(public_url="https://api.example")
    servers = client.get("/api/openapi").json()["servers"]
    assert [server["url"] for server in servers] == ["https://api.example", "/"]


def test_the_command_prints_either_page_or_its_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["openapi"]) == 0
    assert json.loads(capsys.readouterr().out)["info"]["title"] == "openrembg"
    assert main(["settings"]) == 0
    assert "`OPENREMBG_PORT`" in capsys.readouterr().out
    assert main([]) == 2
    assert "openapi|settings" in capsys.readouterr().err
