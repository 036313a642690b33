"""What the chart uses of resources that Kubernetes does not know by itself, as JSON schemas.

Written from the documentation of KubeRay 1.6 (RayService, ray.io/v1) and of the Prometheus
operator (monitoring.coreos.com/v1): no package brings their schemas. They allow no field beyond
those, so that a new one in the chart has to be looked up first. Pods are checked elsewhere.
"""

from typing import Any

TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}
DURATION = {"type": "string", "pattern": r"^[0-9]+(ms|s|m|h)$"}
WORDS = {"type": "object", "additionalProperties": {"type": "string"}}


def fields(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    """Return the schema of an object with these fields and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def resource(kind: str, version: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a whole resource."""
    metadata = fields(("name",), name=TEXT, labels=WORDS, annotations=WORDS)
    return fields(
        ("apiVersion", "kind", "metadata", "spec"),
        apiVersion={"const": version},
        kind={"const": kind},
        metadata=metadata,
        spec=spec,
    )


POD = {"type": "object", "required": ["spec"]}
# What stands behind `ray start`: words, even where they are numbers.
START = WORDS
HEAD = fields(("rayStartParams", "template"), rayStartParams=START, template=POD)
WORKERS = fields(
    ("groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"),
    groupName=TEXT,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    rayStartParams=START,
    template=POD,
)
CLUSTER = fields(
    ("headGroupSpec", "workerGroupSpecs"),
    rayVersion=TEXT,
    authOptions=fields(("mode",), mode={"enum": ["disabled", "token"]}, secretName=TEXT),
    gcsFaultToleranceOptions=fields(
        ("redisAddress",),
        redisAddress=TEXT,
        redisPassword=fields(
            valueFrom=fields(secretKeyRef=fields(("name", "key"), name=TEXT, key=TEXT))
        ),
    ),
    enableInTreeAutoscaling={"type": "boolean"},
    autoscalerOptions=fields(
        idleTimeoutSeconds=COUNT, securityContext={"type": "object"}, resources={"type": "object"}
    ),
    headGroupSpec=HEAD,
    workerGroupSpecs={"type": "array", "items": WORKERS, "minItems": 1},
)
RULE = fields(
    ("expr",),
    alert=TEXT,
    record=TEXT,
    expr={"type": ["string", "integer"]},
    labels=WORDS,
    annotations=WORDS,
    **{"for": DURATION},
)
SCHEMAS = {
    "RayService": resource(
        "RayService",
        "ray.io/v1",
        fields(("rayClusterConfig",), serveConfigV2=TEXT, rayClusterConfig=CLUSTER),
    ),
    "ServiceMonitor": resource(
        "ServiceMonitor",
        "monitoring.coreos.com/v1",
        fields(
            ("selector", "endpoints"),
            jobLabel=TEXT,
            selector=fields(matchLabels=WORDS),
            endpoints={
                "type": "array",
                "items": fields(("port",), port=TEXT, path=TEXT, interval=DURATION),
            },
        ),
    ),
    "PrometheusRule": resource(
        "PrometheusRule",
        "monitoring.coreos.com/v1",
        fields(
            ("groups",),
            groups={
                "type": "array",
                "items": fields(
                    ("name", "rules"),
                    name=TEXT,
                    interval=DURATION,
                    rules={"type": "array", "items": RULE},
                ),
            },
        ),
    ),
}
