"""deploy/prometheus/alerts.yaml: each alert fires when it should, and is quiet when it should."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from services import program

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
RUNBOOK = ROOT / "docs" / "alerts.md"
# Two hours of a number each minute, looked at in the end.
MINUTES = 120

Series = dict[str, str]


def still(number: float) -> str:
    """Return a series that stays as it is."""
    return f"{number}x{MINUTES}"


def rising(a_minute: float) -> str:
    """Return a counter that rises."""
    return f"0+{a_minute}x{MINUTES}"


RMBG = 'openrembg_requests_total{route="/rmbg",status="%d"}'
LATENCY = 'openrembg_request_seconds_bucket{route="/rmbg",le="%s"}'
LAG = 'openrembg_stripe_lag_seconds_bucket{le="%s"}'
CALLS = 'openrembg_remote_call_seconds_count{outcome="%s"}'
CREDITS = 'openrembg_credits_total{event="%s",source="included"}'
STRIPE = 'openrembg_requests_total{route="/api/webhooks/stripe",status="%d"}'

START = 'process_start_time_seconds{job="openrembg",instance="a",process="%d"}'

# Of each alert: what it fires for, and then what it does not.
CASES: dict[str, tuple[Series, ...]] = {
    "OpenrembgNoServer": (
        {'openrembg_ready{instance="a"}': still(0)},
        {'openrembg_ready{instance="a"}': still(0), 'openrembg_ready{instance="b"}': still(1)},
    ),
    "OpenrembgServerDown": (
        {'up{job="openrembg",instance="a"}': still(0)},
        {'up{job="openrembg",instance="a"}': still(1), 'up{job="other"}': still(0)},
    ),
    "OpenrembgNotReady": (
        {'openrembg_ready{instance="a"}': still(0)},
        {'openrembg_ready{instance="a"}': "1x116 0 0 0 1"},
    ),
    "OpenrembgRestarts": (
        {'process_start_time_seconds{job="openrembg",instance="a"}': f"0+60x{MINUTES}"},
        {'process_start_time_seconds{job="openrembg",instance="a"}': "5x100 6x20"},
        # An upgrade of a server with many processes.
        {START % number: "5x100 6x20" for number in range(8)},
    ),
    "OpenrembgErrors": (
        {RMBG % 200: rising(600), RMBG % 500: rising(10)},
        {RMBG % 200: rising(600), RMBG % 500: rising(1), RMBG % 503: rising(500)},
        {
            RMBG % 200: rising(600),
            'openrembg_requests_total{route="refused",status="501"}': rising(99),
        },
    ),
    "OpenrembgTurnedAway": (
        {RMBG % 200: rising(600), RMBG % 503: rising(60)},
        {RMBG % 200: rising(600), RMBG % 503: rising(6), RMBG % 500: rising(100)},
    ),
    "OpenrembgSlow": (
        {LATENCY % "5.0": rising(80), LATENCY % "10.0": rising(100), LATENCY % "+Inf": rising(100)},
        {LATENCY % "1.0": rising(80), LATENCY % "2.5": rising(100), LATENCY % "+Inf": rising(100)},
    ),
    "OpenrembgQueueFull": (
        {"openrembg_waiting": still(60), "openrembg_queue_limit": still(64)},
        {"openrembg_waiting": still(30), "openrembg_queue_limit": still(64)},
    ),
    "OpenrembgSpoolFull": (
        {"openrembg_spool_bytes": still(90), "openrembg_spool_limit_bytes": still(100)},
        {"openrembg_spool_bytes": still(70), "openrembg_spool_limit_bytes": still(100)},
    ),
    "OpenrembgConnectionsFull": (
        {"openrembg_connections": still(900), "openrembg_connections_limit": still(1000)},
        {"openrembg_connections": still(500), "openrembg_connections_limit": still(1000)},
    ),
    "OpenrembgFilesFull": (
        {
            'process_open_fds{job="openrembg"}': still(900),
            'process_max_fds{job="openrembg"}': still(1000),
        },
        {'process_open_fds{job="other"}': still(9), 'process_max_fds{job="other"}': still(10)},
    ),
    "OpenrembgDatabaseTrouble": (
        {"openrembg_database_troubles_total": rising(1)},
        *(
            {"openrembg_database_troubles_total": f"0x{minute} 7x{MINUTES - minute - 1}"}
            for minute in range(112, 120)
        ),
    ),
    "OpenrembgRedisAway": (
        {'openrembg_redis_away{use="limits"}': still(1)},
        {'openrembg_redis_away{use="limits"}': still(0)},
    ),
    "OpenrembgLedgerMismatch": (
        {"openrembg_credit_faults_total": "0x100 1x20"},
        {"openrembg_credit_faults_total": "0x10 1x110"},
    ),
    "OpenrembgCreditsLate": (
        {'openrembg_late{what="deliveries"}': still(2)},
        {'openrembg_late{what="deliveries"}': "0x115 3 0 0 0 0"},
    ),
    "OpenrembgDeliveriesUnwritten": (
        {"openrembg_deliveries_unwritten": still(101)},
        {"openrembg_deliveries_unwritten": "200x117 2 200 200"},
    ),
    "OpenrembgAnswersUnsent": (
        {CREDITS % "charged": rising(100), CREDITS % "returned": rising(10)},
        {CREDITS % "charged": rising(100), CREDITS % "returned": rising(1)},
        # One client of three that came at night.
        {CREDITS % "charged": "0x100 3x20", CREDITS % "returned": "0x100 1x20"},
    ),
    "OpenrembgMailsFail": (
        {'openrembg_mails_total{outcome="failed"}': rising(1)},
        {
            'openrembg_mails_total{outcome="failed"}': "0x100 1x20",
            'openrembg_late{what="mails"}': still(0),
        },
    ),
    "OpenrembgUpkeepFails": (
        {"openrembg_upkeep_failures_total": rising(1)},
        {"openrembg_upkeep_failures_total": "0x110 1x10"},
    ),
    "OpenrembgStripeFails": (
        {STRIPE % 200: rising(10), STRIPE % 503: rising(1)},
        {STRIPE % 200: rising(10), STRIPE % 400: rising(1)},
    ),
    "OpenrembgStripeRefused": (
        {'openrembg_stripe_events_total{outcome="unsigned"}': rising(1)},
        {
            'openrembg_stripe_events_total{outcome="unsigned"}': "0x110 3x10",
            'openrembg_stripe_events_total{outcome="new"}': rising(10),
        },
    ),
    "OpenrembgStripeLate": (
        {
            LAG % "300.0": still(0),
            LAG % "1800.0": "0x100 5x20",
            LAG % "+Inf": "0x100 5x20",
            "openrembg_stripe_lag_seconds_count": "0x100 5x20",
        },
        {
            LAG % "5.0": rising(10),
            LAG % "300.0": rising(10),
            LAG % "+Inf": rising(10),
            "openrembg_stripe_lag_seconds_count": rising(10),
        },
        {
            LAG % "300.0": still(0),
            LAG % "+Inf": "0x100 1x20",
            "openrembg_stripe_lag_seconds_count": "0x100 1x20",
        },
    ),
    "OpenrembgPaymentsWaiting": (
        {"openrembg_payments_waiting": still(1)},
        {"openrembg_payments_waiting": "0x100 1x20"},
    ),
    "OpenrembgReplicasMissing": (
        {"openrembg_remote_replicas": still(1), "openrembg_remote_replicas_least": still(2)},
        {"openrembg_remote_replicas": still(2), "openrembg_remote_replicas_least": still(2)},
    ),
    "OpenrembgReplicasFail": (
        {CALLS % "ok": rising(100), CALLS % "lost": rising(2)},
        {CALLS % "ok": rising(100), CALLS % "busy": rising(20)},
    ),
}


@pytest.fixture(scope="module")
def alerts() -> dict[str, Any]:
    """The alerts by name."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def test_each_alert_fires_for_what_it_is_for_and_else_is_quiet(
    alerts: dict[str, Any], tmp_path: Path
) -> None:
    files = [_tests_of(name, rule, tmp_path) for name, rule in alerts.items()]
    command = [program("promtool"), "test", "rules", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _tests_of(name: str, rule: Any, folder: Path) -> str:
    """Write promtool's tests of one alert beside that alert alone, which is ten times as fast."""
    rules, tests = folder / f"{name}.rules.yaml", folder / f"{name}.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]}))
    cases = [
        {
            "name": f"{name} {'fires' if fires else 'is quiet'}",
            "interval": "1m",
            "input_series": [{"series": of, "values": text} for of, text in series.items()],
            "promql_expr_test": [
                {
                    "expr": 'count(ALERTS{alertstate="firing"}) or vector(0)',
                    "eval_time": f"{MINUTES}m",
                    "exp_samples": [{"value": int(fires)}],
                }
            ],
        }
        for number, series in enumerate(CASES[name])
        for fires in (number == 0,)
    ]
    tests.write_text(yaml.safe_dump({"rule_files": [str(rules)], "tests": cases}))
    return str(tests)


def test_every_alert_is_tried_and_says_what_to_do(alerts: dict[str, Any]) -> None:
    assert alerts.keys() == CASES.keys()
    sections = re.split(r"^### ", RUNBOOK.read_text("utf-8"), flags=re.MULTILINE)[1:]
    told = {section.split("\n", 1)[0]: section for section in sections}
    assert told.keys() == alerts.keys()
    for name, rule in alerts.items():
        severity = rule["labels"]["severity"]
        assert severity in ("critical", "warning")
        assert f"*{severity}.*" in told[name]
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{name.lower()}"


def test_promtool_finds_nothing_wrong_with_the_file() -> None:
    command = [program("promtool"), "check", "rules", "--lint-fatal", str(ALERTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
