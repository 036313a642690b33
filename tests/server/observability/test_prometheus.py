"""A real Prometheus scrapes a real server, and answers what dashboard and alerts ask."""

import json
import re
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from forms import photo, post
from houses import House, house, wait_until
from openrembg.server.describe import metrics
from openrembg.server.observability.exposition import families
from pictures import picture
from services import HOST, Service, free_port, program

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "openrembg.json"
SCRAPE_S = 0.5
# What a server has in which nothing went wrong, without a Ray cluster, is not all there is.
UNSEEN = re.compile("remote_|process_restarts|spans|stripe_lag")


def expressions() -> list[str]:
    """Return every expression of the dashboard, then those of the alerts."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    shown = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    (group,) = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return shown + [rule["expr"] for rule in group["rules"]]


def names(expression: str) -> set[str]:
    """Return the series that an expression asks for."""
    without_labels = re.sub(r"\{[^}]*\}|\bby \([^)]*\)", "", expression)
    return set(re.findall(r"\b(?:openrembg|process)_\w+", without_labels))


def offered() -> set[str]:
    """Return the series that /metrics may have."""
    of = {one.name: one.kind for one in families()}
    parts = {f"{name}_{end}" for name, kind in of.items() for end in ("bucket", "sum", "count")}
    histograms = {name for name, kind in of.items() if kind == "histogram"}
    return (of.keys() - histograms) | {
        part for part in parts if part.rpartition("_")[0] in histograms
    }


def test_dashboard_and_alerts_ask_for_nothing_that_is_not_there() -> None:
    asked = set().union(*map(names, expressions()))
    assert len(asked) > 40
    assert asked <= offered()


def test_every_metric_is_on_the_dashboard_or_not_worth_it() -> None:
    asked = set().union(*map(names, expressions()))
    assert offered() - asked == {
        *("process_virtual_memory_bytes", "openrembg_stripe_lag_seconds_sum"),
        *("openrembg_request_seconds_sum", "openrembg_request_seconds_count"),
        "openrembg_remote_call_seconds_sum",
    }


def test_the_dashboard_is_whole() -> None:
    board = json.loads(DASHBOARD.read_text("utf-8"))
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {one["name"] for one in board["templating"]["list"]} == {"datasource", "instance"}
    cells = set()
    for panel in panels:
        place = panel["gridPos"]
        own = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not own & cells, panel["title"]
        assert max(x for x, _ in own) < 24
        cells |= own
        for target in panel.get("targets", ()):
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_the_documentation_is_what_the_code_says() -> None:
    pinned = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    assert pinned == metrics(), "python -m openrembg.server.describe metrics > docs/metrics.md"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A SQLite file."""
    with house(tmp_path_factory.mktemp("house")) as built:
        yield built


@pytest.fixture(scope="module")
def server(home: House) -> Service:
    """A server that has done a little of everything."""
    running = home.start(OPENREMBG_ANONYMOUS_PER_MINUTE="-1", OPENREMBG_PROCESSES="2")
    wait_until(lambda: "is ready on" in running.text())
    return running


def test_what_never_reaches_the_application_is_counted(server: Service) -> None:
    for sent in (
        b"NONSENSE\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 300_000 + b"\r\n\r\n",
    ):
        connection = socket.create_connection((HOST, server.port), timeout=60)
        with connection, suppress(ConnectionError):
            connection.sendall(sent)
            while connection.recv(65536):
                pass
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=60) as answer:
        told = answer.read().decode()
    for status in (400, 431, 501):
        assert f'openrembg_requests_total{{route="refused",status="{status}"}} 1.0' in told
    assert 'openrembg_errors_total{code="malformed_request"} 1.0' in told


@pytest.fixture(scope="module")
def prometheus(server: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that scrapes the server and knows the alerts."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    often = f"{int(SCRAPE_S * 1000)}ms"
    target = {"targets": [f"{HOST}:{server.port}"]}
    scrape = {"job_name": "openrembg", "static_configs": [target], "scrape_timeout": often}
    config = {
        "global": {"scrape_interval": often, "evaluation_interval": often},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [scrape],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [program("prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={HOST}:{port}"]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://{HOST}:{port}"
    finally:
        process.kill()
        process.wait()


def ask(prometheus: str, path: str, **query: str) -> Any:
    """Return the data of an answer of Prometheus' API."""
    url = f"{prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        told = json.load(answer)
    assert told["status"] == "success"
    return told["data"]


def now(prometheus: str, expression: str) -> list[Any]:
    """Return what an expression gives now, over the last minute where it leaves that open."""
    filled = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
    return list(ask(prometheus, "query", query=filled)["result"])


def scraped(prometheus: str) -> bool:
    """Return whether the server has been scraped a few times since it did something."""
    with suppress(OSError):
        query = 'min(count_over_time(openrembg_stage_seconds_count{stage="settle"}[1m]))'
        return any(float(one["value"][1]) >= 3 for one in now(prometheus, query))
    return False


def test_prometheus_understands_every_expression_and_has_numbers_for_it(
    home: House, server: Service, prometheus: str
) -> None:
    headers = {"X-Api-Key": home.member(included=5)}
    for _ in range(2):
        assert post(server, photo(picture("JPEG"), "p.jpg"), headers=headers).status == 200
    assert post(server, photo(picture("JPEG"), "p.jpg")).status == 200
    assert post(server, photo(b"nothing", "p.jpg")).status == 400
    wait_until(lambda: scraped(prometheus), timeout_s=60)
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    for panel in panels:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            found = now(prometheus, expression)
            assert found or UNSEEN.search(expression) or "restarts" in expression, expression
    rules = ask(prometheus, "rules")["groups"][0]["rules"]
    assert all(rule["health"] in ("ok", "unknown") for rule in rules)
    assert not [rule["name"] for rule in rules if rule["state"] == "firing"]


def test_what_is_told_is_documented_with_its_labels(server: Service, prometheus: str) -> None:
    known = {one.name: {label for label, _ in one.labels} for one in families()}
    of_prometheus = {"__name__", "instance", "job", "le"}
    selector = '{job="openrembg",__name__=~"(openrembg|process)_.*"}'
    for series in now(prometheus, selector):
        labels = series["metric"]
        name = re.sub(r"_(bucket|sum|count)$", "", labels["__name__"])
        assert labels.keys() - of_prometheus == known[name if name in known else labels["__name__"]]
