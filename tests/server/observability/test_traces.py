"""`OPENREMBG_TRACES=on`, with a collector that reads OTLP; the server is two processes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from collector import Collector, Span, collector

from forms import photo, post
from houses import House, house, wait_until
from pictures import picture
from services import Service, clean_environment

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
STAGES = {
    *("authenticate", "limits", "read", "reserve", "queue"),
    *("decode", "matte", "compose", "encode", "settle"),
}


@pytest.fixture(scope="module")
def told() -> Iterator[Collector]:
    """The collector."""
    with collector() as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A SQLite file."""
    with house(tmp_path_factory.mktemp("house")) as built:
        yield built


@pytest.fixture(scope="module")
def traced(home: House, told: Collector) -> Service:
    """A server that tells the collector of its requests."""
    traces = {
        "OPENREMBG_TRACES": "on",
        "OTEL_EXPORTER_OTLP_ENDPOINT": told.url,
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    server = home.start(OPENREMBG_PROCESSES="2", OPENREMBG_ANONYMOUS_PER_MINUTE="-1", **traces)
    wait_until(lambda: "is ready on" in server.text())
    return server


def ask(server: Service, key: str, traceparent: str) -> str:
    """Get a picture for a key, and return the request's id."""
    headers = {"X-Api-Key": key, "traceparent": traceparent, "tracestate": "ada=hunter2"}
    answer = post(server, photo(picture("JPEG"), "holiday-1234.jpg"), headers=headers)
    assert answer.status == 200
    return str(answer.headers["X-Request-Id"])


def lines(server: Service) -> list[dict[str, object]]:
    """Return the log's lines of JSON."""
    return [json.loads(line) for line in server.text().splitlines() if line.startswith("{")]


def of_trace(told: Collector, trace: str, count: int) -> dict[str, Span]:
    """Wait for so many spans of a trace, and return them by name."""
    wait_until(lambda: sum(one.trace == trace for one in told.spans) >= count)
    return {one.name: one for one in told.spans if one.trace == trace}


def test_a_picture_is_a_span_in_the_clients_trace_with_one_for_each_stage(
    home: House, traced: Service, told: Collector
) -> None:
    key = home.member(included=5)
    request_id = ask(traced, key, f"00-{TRACE}-{PARENT}-01")
    found = of_trace(told, TRACE, len(STAGES) + 1)
    request = found.pop("POST /rmbg")
    assert found.keys() == STAGES
    assert (request.parent, request.kind, request.is_error) == (PARENT, 2, False)
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/rmbg",
        "http.response.status_code": 200,
        "openrembg.request_id": request_id,
    }
    for stage in found.values():
        assert stage.parent == request.id
        assert request.begins <= stage.begins <= stage.ends
        assert stage.ends <= request.ends + 1_000_000
    assert set(found["matte"].attributes) == {"model", "provider"}
    assert request.resource["service.name"] == "openrembg"
    assert request.resource["service.version"] == version("openrembg")
    assert request.resource["deployment.environment.name"] == "test"
    assert request.resource["openrembg.process"] in ("0", "1")
    (line,) = (line for line in lines(traced) if line.get("request_id") == request_id)
    assert line["trace_id"] == TRACE


def test_an_error_has_its_code_and_a_traceparent_that_is_none_begins_a_trace(
    traced: Service, told: Collector
) -> None:
    sent = {"traceparent": "00-hunter2-hunter2-01", "X-Api-Key": "hunter2", "baggage": "a=hunter2"}
    answer = post(traced, photo(b"hunter2", "hunter2.jpg"), headers=sent)
    assert answer.status == 401
    wait_until(lambda: any(one.attributes.get("error.type") for one in told.named("POST /rmbg")))
    request = next(one for one in told.named("POST /rmbg") if "error.type" in one.attributes)
    assert (request.parent, request.is_error) == ("", False)
    assert request.attributes["error.type"] == "invalid_api_key"
    (asked,) = told.named("authenticate", request.trace)
    assert asked.attributes == {"error.type": "InvalidKey"}
    assert "hunter2" not in str(told.spans)


def test_no_span_tells_who_asked_for_what_and_none_is_of_a_probe(
    home: House, traced: Service, told: Collector
) -> None:
    key = home.member(included=5)
    for path in ("/health", "/ready", "/metrics", "/static/openrembg/site.css", "/secret-path"):
        subprocess.run(["curl", "-s", "-o", os.devnull, traced.url + path], check=True)
    trace = "1" * 32
    ask(traced, key, f"00-{trace}-{PARENT}-01")
    of_trace(told, trace, len(STAGES) + 1)
    wait_until(lambda: bool(told.named("GET other")))
    seen = str(told.spans)
    for secret in (
        key,
        "hunter2",
        "holiday-1234",
        "127.0.0.1",
        "secret-path",
        "/health",
        "/ready",
        "/static",
    ):
        assert secret not in seen
    assert not told.named("GET /metrics")


def test_a_collector_in_trouble_costs_no_picture_and_is_told_of_once(
    home: House, traced: Service, told: Collector
) -> None:
    key = home.member(included=50)

    def said(words: str) -> int:
        return sum(words in str(line["message"]) for line in lines(traced))

    told.mood = "garbage"
    before = told.refused
    while told.refused < before + 3:
        ask(traced, key, "")
    # Of each of both processes once.
    wait_until(lambda: said("does not take spans") >= 1)
    assert said("does not take spans") <= 2
    told.mood = "well"

    def is_back() -> bool:
        ask(traced, key, "")
        return said("takes spans again") >= 1

    wait_until(is_back)
    # So it is when the server is told to end: the fixture's end shows that it does not wait.
    told.mood = "silent"
    ask(traced, key, "")
    assert "Traceback" not in traced.text()
    assert "opentelemetry" not in {str(line["logger"]).partition(".")[0] for line in lines(traced)}


def said_at_start(code: str, tmp_path: Path, **environment: str) -> tuple[int, str]:
    """Return the exit code of a server's start, and what it said on standard error."""
    settings = {"OPENREMBG_DATA_DIR": str(tmp_path), "OPENREMBG_TRACES": "on", **environment}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}from openrembg.server.start import run; exit(run(port=1))"],
        env={**clean_environment(), **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr


def test_chosen_and_not_installed_is_a_sentence(tmp_path: Path) -> None:
    without = "import sys; sys.modules['opentelemetry'] = None; "
    assert said_at_start(without, tmp_path) == (
        2,
        "OPENREMBG_TRACES is on without OpenTelemetry: ./run setup --extra otel installs it.\n",
    )


def test_a_protocol_that_is_not_spoken_is_a_sentence(tmp_path: Path) -> None:
    code, said = said_at_start("", tmp_path, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert (code, said.splitlines()[-1]) == (
        2,
        "The OTEL_… variables make no sense: spans are sent by http/protobuf alone, not by grpc.",
    )


def test_not_chosen_nothing_of_it_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys, django; django.setup(); import openrembg.server.urls; "
        "import openrembg.server.start; "
        # The Redis client imports what of OpenTelemetry it finds, and leaves it alone.
        "unwanted = ('opentelemetry.exporter', 'opentelemetry.sdk.trace', 'google.', 'ray.'); "
        "exit(any(name.startswith(unwanted) for name in sys.modules))"
    )
    settings = {"OPENREMBG_DATA_DIR": str(tmp_path)}
    settings["DJANGO_SETTINGS_MODULE"] = "openrembg.server.settings"
    subprocess.run(
        [sys.executable, "-c", code], env={**clean_environment(), **settings}, check=True
    )
