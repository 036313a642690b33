"""What the documentation's tables say is what the code does, and nothing is left out."""

import functools
import html
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest
from django.conf import settings
from django.test import Client
from django.utils import translation
from rmbg_client import photo, png_header, send
from typer.main import get_command

from openrembg.cli.admin import admin
from openrembg.server import errors
from openrembg.server.description import REQUEST_ID
from openrembg.server.environment import described
from openrembg.server.http_response import REFUSALS
from openrembg.server.manual import error_table, examples, fields, setting_table, usage_table
from openrembg.server.quota import description as usage
from openrembg.server.removal.description import FIELDS
from openrembg.server.removal.upload import EXTENSIONS, MIB
from openrembg.server.settings import Settings
from people import person

LANGUAGES: Final = [code for code, _ in settings.LANGUAGES]
DOCS: Final = Path(__file__).parents[3] / "docs"
GROUP: Final[Any] = get_command(admin)
IMAGE: Final = ("photo.png", photo())


@functools.cache
def page(name: str, language: str = "en") -> str:
    response = Client().get(f"/{language}/api-usage/{name}")
    assert response.status_code == 200
    return response.content.decode()


def codes(name: str, language: str) -> set[str]:
    """Return all that a page shows as code."""
    found = re.findall(r'<code dir="ltr">(.*?)</code>', page(name, language))
    return {html.unescape(word) for word in found}


def known_to(name: str, language: str, wanted: Iterable[str]) -> list[str]:
    shown = codes(name, language)
    return [word for word in wanted if word not in shown]


def every_error(root: type[errors.PublicError] = errors.PublicError) -> set[str]:
    found = {root.code}
    for kind in root.__subclasses__():
        found |= every_error(kind)
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_is_documented(language: str) -> None:
    assert known_to("parameters", language, FIELDS) == []
    ids = re.findall(r'id="field-(\w+)"', page("parameters", language))
    assert ids == list(FIELDS)


def test_a_field_has_its_type_its_values_and_its_default() -> None:
    shown = {field.name: field for field in fields.fields()}
    assert (shown["image"].is_required, shown["w"].is_required) == (True, False)
    assert "from" in shown["angle"].kind
    assert "-360" in shown["angle"].kind
    assert [words(shown[name]) for name in ("format", "mask", "bg_color")] == [
        *(["webp", "png", "jpeg", "bmp"], ["true", "false"], [])
    ]
    assert [shown[name].default for name in ("format", "expand", "angle", "w", "mask")] == [
        *("webp", "true", "0", "", "false")
    ]


def words(field: fields.Field) -> list[str]:
    """Return the words that a field takes, as its type names them."""
    return re.findall(r'<code dir="ltr">([a-z]+)</code>', field.kind)


def test_words_are_separated_as_the_language_does_it() -> None:
    about = next(one for one in described(Settings) if one.name == "OPENREMBG_EDGE_COLORS")
    for language, separator in (("en", ", "), ("fa", "، "), ("ja", "、")):
        with translation.override(language):
            shown = {field.name: field for field in fields.fields()}
            setting = setting_table.in_html(setting_table.kind_in_words(about.kind))
            kinds = (shown["mask"].kind, shown["format"].kind, setting)
            assert all(f'</code>{separator}<code dir="ltr">' in kind for kind in kinds), language


def test_values_of_the_page_are_accepted(client: Client) -> None:
    for field in fields.fields():
        for value in (*words(field), field.default):
            sent = () if field.is_required else ((field.name, value),)
            assert send(client, *sent).status_code == 200, field
    for color in fields.colors():
        assert send(client, ("bg_color", color.text)).status_code == 200, color


def test_the_ending_of_a_name_matters_as_the_page_says(client: Client) -> None:
    jpeg = photo(format_="JPEG")
    for ending in ("jfif", "tiff"):
        assert f'<code dir="ltr">{ending}</code>' in page("parameters")
        assert "is not supported" in send(client, image=(f"a.{ending}", jpeg)).json()["error"]
    about = next(field.about for field in fields.fields() if field.name == "image")
    for ending in EXTENSIONS:
        assert send(client, image=(f"a{ending}", jpeg)).status_code == 200
        assert ending[1:] in about
        assert ending[1:] in FIELDS["image"]["description"]
    assert send(client, image=("a", jpeg)).status_code == 200


def test_sizes_and_turns_are_what_the_server_makes(client: Client) -> None:
    width, height = fields.PHOTO
    for size in (*fields.sizes(), *fields.turns()):
        sent = [part.split("=") for part in size.sent.split(", ")]
        small = [(name, str(int(value) // 10) if name in "wh" else value) for name, value in sent]
        answer = send(client, *small, image=("photo.png", photo(width // 10, height // 10)))
        came = (int(answer.headers["X-Width"]), int(answer.headers["X-Height"]))
        assert came == pytest.approx((size.width / 10, size.height / 10), abs=1), size


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_setting_is_documented(language: str) -> None:
    names = [about.name for about in described(Settings)]
    files = [f"{about.name}_FILE" for about in described(Settings) if about.secret]
    assert len(names) > 30
    assert known_to("self-hosting", language, (*names, *files)) == []


def test_every_setting_is_in_one_group() -> None:
    shown = [one.name for group in setting_table.groups() for one in group.settings]
    assert sorted(shown) == sorted(about.name for about in described(Settings))


def test_the_page_says_of_a_setting_what_the_list_of_settings_says() -> None:
    shown = {one.name: one for one in setting_table.settings()}
    html_ = page("self-hosting")
    for about in described(Settings):
        assert f"<dd>{setting_table.in_html(about.description)}</dd>" in html_, about.name
        assert shown[about.name].file == (f"{about.name}_FILE" if about.secret else "")


def test_kinds_of_settings_are_known_in_every_language() -> None:
    for about in described(Settings):
        for language in LANGUAGES:
            with translation.override(language):
                assert setting_table.kind_in_words(about.kind)
    with pytest.raises(KeyError):
        setting_table.kind_in_words("a kind that nobody has described")


def test_a_kind_of_the_page_says_all_that_the_list_of_settings_says() -> None:
    shown = {one.name: one for one in setting_table.settings()}
    in_ascii = {about.name for about in described(Settings) if "printable ASCII" in about.kind}
    assert in_ascii == {"STRIPE_SECRET_KEY"}
    assert in_ascii == {name for name, one in shown.items() if "printable ASCII" in one.kind}


def test_defaults_are_code_where_one_would_write_them_so() -> None:
    shown = {one.name: str(one.default) for one in setting_table.settings()}
    assert shown["OPENREMBG_PORT"] == '<code dir="ltr">8000</code>'
    assert shown["OPENREMBG_CORS_ORIGINS"] == '<code dir="ltr">*</code>'
    assert shown["OPENREMBG_MAIL_FROM"].startswith('<code dir="ltr">openrembg &lt;no-reply')
    assert shown["REDIS_URL"] == "none"
    assert shown["OPENREMBG_MODELS_DIR"] == '<code dir="ltr">models</code> in the data folder'


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_is_documented(language: str) -> None:
    wanted = every_error() - {errors.ClientGone.code} | {code for code, _ in REFUSALS.values()}
    assert len(wanted) > 25
    assert known_to("errors", language, wanted) == []
    shown = html.unescape(page("errors", language))
    missing = [message for _, _, message in error_table.known() if f">{message}<" not in shown]
    assert missing == []
    assert f'"error": "{error_table.several()}"' in shown


def test_an_error_has_its_status_beside_its_code() -> None:
    statuses = re.findall(r'class="status">(\d+)</span> <code dir="ltr">(\w+)<', page("errors"))
    assert sorted(statuses) == sorted((str(one), code) for one, code, _ in error_table.known())
    assert [int(status) for status, _ in statuses] == sorted(int(status) for status, _ in statuses)


def the_request_for(message: str) -> tuple[list[tuple[str, str]], Any]:
    """Return form fields and file that should be refused with a message of the page."""
    files: dict[str, Any] = {
        "No image file": None,
        "No file selected": ("", photo()),
        "File type '.exe'": ("setup.exe", photo()),
        "Uploaded file is empty": ("photo.png", b""),
        "File size (55.2 MB)": ("photo.png", bytes(int(55.2 * MIB))),
        "File does not appear": ("photo.png", b"GIF89a, which is none of the four"),
        "Image width": ("photo.png", png_header(12000, 30)),
        "Image height": ("photo.png", png_header(30, 15000)),
    }
    for beginning, image in files.items():
        if message.startswith(beginning):
            return [], image
    if message.startswith("Cannot use 'mask=true'"):
        return [("mask", "true"), ("bg_color", "white")], IMAGE
    named = re.fullmatch(r"'(\w+)' .*got: '?([^']*)'?", message)
    if named:
        return [(named[1], named[2])], IMAGE
    word = re.search(r"'(.*?)'", message)
    assert word is not None, message
    return [("bg_color" if "color" in message else "format", word[1])], IMAGE


@pytest.mark.parametrize("fault", error_table.faults(), ids=lambda fault: fault.message[:40])
def test_the_message_about_a_field_is_what_the_server_says(
    client: Client, fault: error_table.Fault
) -> None:
    sent, image = the_request_for(fault.message)
    body = send(client, *sent, image=image).json()
    told = [{"field": body.get("field"), "message": body["error"]}, *body.get("details", ())]
    assert {"field": fault.field, "message": fault.message} in told


def test_every_field_that_can_be_wrong_has_a_message() -> None:
    assert {fault.field for fault in error_table.faults()} == set(FIELDS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_messages_about_fields_are_on_the_page_byte_for_byte(language: str) -> None:
    shown = html.unescape(page("errors", language))
    for fault in (*error_table.faults(), *error_table.usage_faults()):
        assert f">{fault.message}</p>" in shown


def test_messages_about_usage_are_what_the_server_says(client: Client, database: object) -> None:
    key = person().with_key
    for fault in error_table.usage_faults():
        named = re.search(r"got: '?([^']*)'?$", fault.message)
        asked = {fault.field: named[1]} if named else {fault.field: "1", "year": "2026"}
        body = client.get("/api/membership-usage", asked, headers=key).json()
        assert (body["field"], body["error"]) == (fault.field, fault.message)


def test_the_examples_of_errors_are_what_the_server_answers(client: Client) -> None:
    named = {"X-Request-Id": REQUEST_ID}
    wrong_field = send(client, ("w", "abc"), headers=named)
    several = send(client, ("angle", "500"), image=None, headers=named)
    no_key = client.get("/api/membership-usage", headers=named)
    for name, answer in (
        ("errors_field.json", wrong_field),
        ("errors_details.json", several),
        ("errors_other.json", no_key),
    ):
        assert json.loads(examples.sources()[name]) == answer.json()


@pytest.mark.parametrize("language", LANGUAGES)
def test_parameters_and_fields_of_usage_are_documented(language: str) -> None:
    names = [parameter["name"] for parameter in usage.PARAMETERS]
    for schema in usage.SCHEMAS.values():
        names += schema["properties"]
    assert known_to("usage", language, {*names} - {"billingCycles"}) == []
    assert "billingCycles" in page("usage", language)


def test_an_account_without_a_subscription_has_no_billing_periods(
    client: Client, database: object
) -> None:
    headers = person(credits_=5).with_key
    assert send(client, headers=headers).headers["X-Credits-Charged"] == "1"
    listed = client.get("/api/membership-usage?listBillingCycles=1", headers=headers).json()
    assert listed == {"billingCycles": []}
    assert "Without a subscription" in page("usage")


def test_asking_for_the_usage_has_no_limit(client: Client, database: object) -> None:
    headers = person(credits_=5, per_minute=1).with_key
    answers = [client.get("/api/membership-usage", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert "RateLimit" not in answers[-1].headers
    assert send(client, headers=headers).headers["X-RateLimit-Remaining"] == "0"
    assert "has no limit of its own" in page("limits")


@pytest.mark.parametrize(
    ("name", "is_kept"),
    [
        *(("a" * 64, True), ("7._:-Z", True)),
        *(("a" * 65, False), ("_a", False), ("a b", False), ("سلام", False)),
    ],
)
def test_a_request_has_a_name_as_the_page_says(client: Client, name: str, is_kept: bool) -> None:
    answer = client.get("/health", headers={"X-Request-Id": name})
    assert (answer.headers["X-Request-Id"] == name) == is_kept
    assert "at most 64 characters" in page("http")


def test_an_idempotency_key_stands_for_a_files_name_too(client: Client, database: object) -> None:
    keyed = {**person(credits_=5).with_key, "Idempotency-Key": "!~ az09"}
    assert send(client, headers=keyed).status_code == 200
    renamed = send(client, image=("other.png", IMAGE[1]), headers=keyed)
    assert renamed.json()["code"] == "idempotency_key_reused"
    assert "another file name" in page("usage")


def test_the_tables_of_usage_have_an_example_of_each() -> None:
    assert {one.name: one.example for one in usage_table.parameters()}["month"] == "11"
    shown = {one.name: one.example for one in usage_table.cycle()}
    assert (shown["includedCredits"], shown["stripeBillingSynced"]) == ("18500", "true")
    assert [one.name for one in usage_table.answer()][:2] == ["membership", "credits"]


def test_the_examples_of_usage_are_those_of_the_api_description() -> None:
    described_as = usage.OPERATION["responses"][200]["content"]["application/json"]["examples"]
    for name, file in (
        ("counters", "usage_month.json"),
        ("billing_cycle", "usage_cycle.json"),
        ("list", "usage_list.json"),
    ):
        assert json.loads(examples.sources()[file]) == described_as[name]["value"]


def headers_in(name: str) -> dict[str, str]:
    lines = examples.sources()[name].splitlines()
    return dict(line.split(": ", 1) for line in lines)


def without_numbers(headers: dict[str, str]) -> dict[str, str]:
    return {name: re.sub(r"\d+(\.\d+)?", "N", value) for name, value in headers.items()}


def test_the_examples_of_limits_are_what_an_answer_has(
    client: Client, furnish: Any, database: object
) -> None:
    furnish(anonymous_per_minute=5, anonymous_per_day=20)
    for name, headers in (("limits_anonymous.txt", {}), ("limits_account.txt", person().with_key)):
        shown, answer = headers_in(name), send(client, headers=headers)
        came = {name: answer.headers[name] for name in shown}
        assert without_numbers(came) == without_numbers(shown)
        # A month is not always as long as the example's.
        policy = re.sub(r"w=2\d{6}", "w=2592000", came["RateLimit-Policy"])
        assert policy == shown["RateLimit-Policy"]
        assert came["X-RateLimit-Remaining"] == shown["X-RateLimit-Remaining"]


def test_the_example_of_timings_is_what_an_answer_has(client: Client) -> None:
    shown = headers_in("progress_timing.txt")
    came = {"Server-Timing": send(client).headers["Server-Timing"]}
    assert without_numbers(came) == without_numbers(shown)


def test_the_page_of_limits_tells_of_this_server(client: Client, furnish: Any) -> None:
    assert "no limit" in client.get("/en/api-usage/limits").content.decode()
    furnish(anonymous_per_minute=7, anonymous_per_day=1234, queue=99, queue_timeout_s=17)
    shown = client.get("/en/api-usage/limits").content.decode()
    assert "<td>7</td>" in shown
    assert "a day: 1,234" in shown
    assert "up to 17 seconds on this server" in shown
    assert "up to 99 more wait" in shown


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_verb_of_the_operator_is_named(language: str) -> None:
    assert known_to("self-hosting", language, GROUP.commands) == []


def test_the_events_are_those_that_the_operators_manual_has() -> None:
    table = (DOCS / "billing.md").read_text("utf-8").split("| event |")[1].split("\n\n")[0]
    listed: list[str] = []
    for row in re.findall(r"^ *\| (`.*?) \|", table, re.MULTILINE):
        names = re.findall(r"`([\w.]+)`", row)
        stem = names[0].rpartition(".")[0]
        listed += [name if name[0] != "." else stem + name for name in names]
    assert examples.sources()["self_hosting_events.txt"].splitlines() == listed


def test_the_example_of_a_token_has_the_fields_of_one(client: Client) -> None:
    described_as = client.get("/api/openapi").json()["components"]["schemas"]["FreshToken"]
    shown = json.loads(examples.sources()["usage_token.json"])
    assert shown == described_as["example"]
    assert list(shown) == list(described_as["properties"])


def test_a_token_looks_like_the_example(client: Client, database: object) -> None:
    client.force_login(person().user)
    fresh = client.post("/api/user-token").json()
    shown = json.loads(examples.sources()["usage_token.json"])
    assert re.sub(r"\d", "0", fresh["expires_at"]) == re.sub(r"\d", "0", shown["expires_at"])


def test_a_sentence_is_escaped_and_its_code_is_marked() -> None:
    shown = setting_table.in_html("a <b> & `c -1 <d>`, or -1")
    code, number = 'c <bdi dir="ltr">-1</bdi> &lt;d&gt;', '<bdi dir="ltr">-1</bdi>'
    assert shown == f'a &lt;b&gt; &amp; <code dir="ltr">{code}</code>, or {number}'
