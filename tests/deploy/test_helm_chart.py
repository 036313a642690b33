"""The chart, rendered by Helm itself: Kubernetes takes it, and it keeps what it promises."""

import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from custom_resources import SCHEMAS

from openrembg.server.environment import read
from openrembg.server.inference.replicas import read_replicas
from openrembg.server.settings import Settings

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "openrembg"
SETTINGS = CHART.parents[2] / "docs" / "settings.md"
HELM = Path(sys.executable).parent / "helm"
RAY = {"inference": "ray"}
SITE = {
    "publicUrl": "https://cut.example",
    "ingress": {"enabled": True, "host": "cut.example", "tlsSecret": "tls", "className": "nginx"},
    "web": {"autoscaling": {"enabled": True}, "trustedProxies": ["10.1.0.0/16"]},
    "metrics": {"serviceMonitor": True, "prometheusRule": True},
    "networkPolicy": {"from": [{"podSelector": {}}]},
    "imagePullSecrets": [{"name": "pull"}],
    "settings": {
        "OPENREMBG_MODEL": "isnet-general-use",
        "OPENREMBG_QUEUE": 10,
        "OPENREMBG_ANONYMOUS_PER_DAY": 10_000_000,
        "OPENREMBG_TRACES": "on",
        "OTEL_SERVICE_NAME": "cut",
    },
}
GPU = {
    **RAY,
    "ray": {
        "replicas": {"gpus": 1, "cpus": 4},
        "workers": {"replicasEach": 2, "memory": "3Gi", "nodeSelector": {"gpu": "yes"}},
        "faultTolerance": {"redisAddress": "redis:6379", "passwordSecret": "redis"},
    },
}
CASES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "a site": SITE,
    "ray": RAY,
    "a site with GPUs": {**SITE, **GPU},
    "a cluster elsewhere": {
        **RAY,
        "ray": {"address": "head.ray:6379", "from": [{"ipBlock": {"cidr": "10.3.0.0/16"}}]},
    },
}


def helm(*words: str, values: Mapping[str, Any]) -> "subprocess.CompletedProcess[str]":
    """Run Helm with values on its standard input."""
    return subprocess.run(
        [str(HELM), *words, str(CHART), "--values", "-"],
        input=yaml.safe_dump(dict(values)),
        capture_output=True,
        text=True,
        check=False,
    )


@cache
def rendered(case: str) -> list[dict[str, Any]]:
    done = helm("template", "a", values=CASES[case])
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def the(case: str, kind: str, name: str = "") -> dict[str, Any]:
    (found,) = [
        one
        for one in rendered(case)
        if one["kind"] == kind and name in ("", one["metadata"]["name"])
    ]
    return found


def pods(case: str) -> list[dict[str, Any]]:
    """Return every pod that comes of a case, as a Pod."""
    templates = [the(case, "Deployment")["spec"]["template"]]
    for one in rendered(case):
        if one["kind"] == "RayService":
            cluster = one["spec"]["rayClusterConfig"]
            groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
            templates += [group["template"] for group in groups]
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "a", **template["metadata"]},
            "spec": template["spec"],
        }
        for template in templates
    ]


@pytest.mark.parametrize("case", CASES)
def test_helm_finds_nothing_wrong(case: str) -> None:
    done = helm("lint", "--strict", values=CASES[case])
    assert done.returncode == 0, done.stdout


# The oldest Kubernetes that Chart.yaml allows, and one of today.
@pytest.mark.parametrize(
    ("case", "version"),
    [("as it comes", "1.34"), ("a site", "1.27"), ("a site with GPUs", "1.34"), ("ray", "1.27")],
)
def test_kubernetes_takes_every_object(case: str, version: str) -> None:
    for one in [*rendered(case), *pods(case)]:
        if one["kind"] in SCHEMAS:
            jsonschema.validate(one, SCHEMAS[one["kind"]])
        else:
            kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("case", CASES)
def test_every_object_has_a_name_of_its_own_and_the_labels(case: str) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in rendered(case)]
    assert len(names) == len(set(names))
    for one in rendered(case):
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "a"


@pytest.mark.parametrize("case", CASES)
def test_no_pod_may_do_more_than_it_must(case: str) -> None:
    for pod in pods(case):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in container["resources"]["limits"]
        writable = {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
        assert {"/data", "/tmp"} <= writable  # noqa: S108


def test_a_server_has_time_to_finish_what_it_has() -> None:
    spec = the("as it comes", "Deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    rest_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    # The server itself ends what does not after 45 s.
    assert spec["terminationGracePeriodSeconds"] >= rest_s + 45
    assert spec["automountServiceAccountToken"] is False


def test_probes_ask_whether_it_lives_and_whether_it_is_ready() -> None:
    (container,) = the("a site", "Deployment")["spec"]["template"]["spec"]["containers"]
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    asked = [container[name]["httpGet"] for name in probes]
    # By address; test_probes_by_address.py has a server that knows no such host.
    assert asked == [{"path": path, "port": "http"} for path in ("/health", "/health", "/ready")]


def test_what_is_for_machines_leads_nowhere_from_outside() -> None:
    (rule,) = the("a site", "Ingress")["spec"]["rules"]
    leads = {path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
    assert leads == {
        "/": "a-openrembg",
        "/metrics": "a-openrembg-nobody",
        "/ready": "a-openrembg-nobody",
    }
    assert "selector" not in the("a site", "Service", "a-openrembg-nobody")["spec"]


def test_no_object_holds_a_secret() -> None:
    (container,) = the("ray", "Deployment")["spec"]["template"]["spec"]["containers"]
    named = {one["name"]: one for one in container["env"]}
    for name in ("DATABASE_URL", "SECRET_KEY", "RAY_AUTH_TOKEN"):
        assert "secretKeyRef" in named[name]["valueFrom"]
    assert named["REDIS_URL"]["valueFrom"]["secretKeyRef"]["optional"] is True


def test_without_ray_nothing_is_said_of_it() -> None:
    text = helm("template", "a", values=CASES["as it comes"]).stdout
    assert re.findall(r"(?i)\bray", text) == []


def settings(case: str) -> dict[str, str]:
    found: dict[str, str] = the(case, "ConfigMap")["data"]
    return found


def test_replicas_are_deployed_by_kuberay_as_the_servers_know_them() -> None:
    spec = the("a site with GPUs", "RayService")["spec"]
    (application,) = yaml.safe_load(spec["serveConfigV2"])["applications"]
    replicas = read_replicas(application["args"])
    assert application["name"] == "openrembg"
    assert application["import_path"] == "openrembg.server.inference.ray_serve:build"
    assert (replicas.model, replicas.cpus, replicas.gpus) == ("isnet-general-use", 4, 1)
    told = settings("a site with GPUs")
    assert told["OPENREMBG_RAY_ADDRESS"] == "a-openrembg-ray-head-svc.default.svc:6379"
    assert told["OPENREMBG_RAY_DEPLOY"] == "off"
    assert told["OPENREMBG_RAY_REPLICA_CPUS"] == "4"


def test_a_worker_has_room_for_its_replicas() -> None:
    spec = the("a site with GPUs", "RayService")["spec"]
    (group,) = spec["rayClusterConfig"]["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    assert group["rayStartParams"] == {"num-cpus": "8"}
    assert container["resources"] == {
        "requests": {"cpu": "8", "memory": "6144Mi", "nvidia.com/gpu": "2"},
        "limits": {"memory": "6144Mi", "nvidia.com/gpu": "2"},
    }
    assert group["template"]["spec"]["nodeSelector"] == {"gpu": "yes"}


def test_a_cluster_elsewhere_is_used_and_none_is_made() -> None:
    assert "RayService" not in {one["kind"] for one in rendered("a cluster elsewhere")}
    told = settings("a cluster elsewhere")
    assert told["OPENREMBG_RAY_ADDRESS"] == "head.ray:6379"
    assert told["OPENREMBG_RAY_DEPLOY"] == "on"
    _http, nodes = the("a cluster elsewhere", "NetworkPolicy")["spec"]["ingress"]
    assert nodes == {"from": [{"ipBlock": {"cidr": "10.3.0.0/16"}}]}


def test_settings_are_written_as_the_server_reads_them() -> None:
    told = settings("a site")
    assert told["OPENREMBG_ANONYMOUS_PER_DAY"] == "10000000"
    assert (told["OPENREMBG_TRACES"], told["OTEL_SERVICE_NAME"]) == ("on", "cut")
    taken = {name: text for name, text in told.items() if name.startswith("OPENREMBG_")}
    assert read(Settings, taken).anonymous_per_day == 10_000_000


def listed(helper: str) -> Any:
    """Return the YAML in a named template."""
    text = (CHART / "templates" / "_settings.tpl").read_text()
    (found,) = re.findall(rf'define "openrembg\.{helper}" -}}}}\n(.*?)\n{{{{- end', text, re.DOTALL)
    return yaml.safe_load(found)


def test_the_chart_knows_every_setting_of_the_server() -> None:
    documented = re.findall(r"(?m)^\| `([A-Z_]+)`( or)?", SETTINGS.read_text())
    plain = {name for name, is_secret in documented if not is_secret}
    not_of_ray = {name for name in plain if not name.startswith("OPENREMBG_RAY_")}
    assert listed("freeSettings") == sorted(not_of_ray - set(listed("ownSettings")))
    assert set(listed("ownSettings")) < not_of_ray


@pytest.mark.parametrize(
    "name", re.findall(r"(?m)^\| `([A-Z_]+)` or", SETTINGS.read_text()), ids=str
)
def test_secrets_are_refused_among_the_settings_and_taken_from_the_secret(name: str) -> None:
    done = helm("template", "a", values={"settings": {f"{name}_FILE": "x"}})
    assert f"settings.{name}_FILE is a secret: put {name} into" in done.stderr
    (container,) = the("as it comes", "Deployment")["spec"]["template"]["spec"]["containers"]
    assert name in {one["name"] for one in container["env"]}


def test_uploads_have_four_fifths_of_their_volume_and_never_more_than_the_pod() -> None:
    assert settings("as it comes")["OPENREMBG_SPOOL_MB"] == "4096"
    for case, limit_mib in (("as it comes", 6 * 1024), ("ray", 10 * 1024)):
        spec = the(case, "Deployment")["spec"]["template"]["spec"]
        limit = spec["containers"][0]["resources"]["limits"]["ephemeral-storage"]
        assert mebibytes(limit) == limit_mib
        on_disk = [volume["emptyDir"] for volume in spec["volumes"]]
        sizes = [mebibytes(one["sizeLimit"]) for one in on_disk if "medium" not in one]
        assert sum(sizes) < limit_mib


def mebibytes(text: str) -> int:
    number, unit = int(text[:-2]), text[-2:]
    return number * {"Mi": 1, "Gi": 1024}[unit]


def test_long_names_that_begin_alike_stay_apart() -> None:
    start = "background-removal-for-the-"
    names = set()
    for release in (f"{start}shop", f"{start}studio-of-photographers"):
        text = helm("template", release, values=RAY).stdout
        (service,) = [
            one for one in yaml.safe_load_all(text) if one and one["kind"] == "RayService"
        ]
        names.add(service["metadata"]["name"])
    assert len(names) == 2
    assert all(len(name) <= len("-ray") + 30 for name in names)


def test_the_alerts_of_the_repository_are_those_of_the_chart() -> None:
    shipped = yaml.safe_load((CHART.parents[1] / "prometheus" / "alerts.yaml").read_text())
    assert the("a site", "PrometheusRule")["spec"] == shipped


@pytest.mark.parametrize(
    "values",
    [
        {"infernece": "ray"},
        {"inference": "cuda"},
        {"settings": {"openrembg_queue": 10}},
        {"web": {"spoolSize": "5G"}},
        {"ray": {"from": "10.3.0.0/16"}},
        {"ray": {"webMemory": "1G"}},
        {"publicUrl": "cut.example"},
    ],
)
def test_values_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    done = helm("template", "a", values=values)
    assert done.returncode != 0
    assert "schema" in done.stderr


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ingress": {"enabled": True}}, "ingress.host is empty"),
        ({**RAY, "ray": {"address": "head:6379"}}, "ray.from is empty"),
        ({"web": {"autoscaling": {"minReplicas": 11}}}, "minReplicas is more than maxReplicas"),
        ({"ray": {"replicas": {"min": 5}}}, "ray.replicas: min is more than max"),
        ({"ray": {"workers": {"min": 5}}}, "ray.workers: min is more than max"),
        ({"web": {"spoolSize": "6Gi"}}, "ephemeral-storage: 6Gi is too little"),
        ({"web": {"spoolSize": "79Mi"}}, "web.spoolSize: at least 80Mi"),
        ({"settings": {"OPENREMBG_PORT": 80}}, "is set by the chart, from the image"),
        ({"settings": {"OPENREMBG_INFERENCE": "ray"}}, "is set by the chart, from inference"),
        ({"settings": {"OPENREMBG_RAY_QUEUE": 9}}, "is set by the chart, from ray"),
        ({"settings": {"RAY_ADDRESS": "head:6379"}}, "is set by the chart, from ray"),
        ({"settings": {"OPENREMBG_QEUE": 9}}, "is no setting of docs/settings.md"),
        ({"settings": {"OPENREMBG_TRACES": True}}, 'write a word in quotation marks, such as "on"'),
        ({"settings": {"OPENREMBG_QUEUE": 1.5}}, "1.5 is no whole number"),
        ({"settings": {"OTEL_EXPORTER_OTLP_HEADERS": "key=1"}}, "is a secret"),
    ],
)
def test_values_that_do_not_go_together_are_refused_with_a_sentence(
    values: dict[str, Any], words: str
) -> None:
    done = helm("template", "a", values=values)
    assert done.returncode != 0
    assert words in done.stderr
