"""What the custom resources may hold: closed schemas of those fields that are used here, by kind.

Field names and types as in Strimzi's API v1, KEDA's v1alpha1 and the Prometheus operator's v1. A field that
is missing here fails the tests until somebody has looked it up there.
"""

from typing import Any

TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 1}
NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "maxLength": 253}


def closed(*required: str, **properties: Any) -> dict[str, Any]:
    """Return the schema of an object that has these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def listed(item: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list that is not empty."""
    return {"type": "array", "items": item, "minItems": 1}


def one_of(*values: str) -> dict[str, Any]:
    """Return the schema of one of some words."""
    return {"enum": list(values)}


LABELS = {"type": "object", "additionalProperties": TEXT}
CLUSTER = {"type": "object", "required": ["strimzi.io/cluster"], "additionalProperties": TEXT}
OPERATIONS = listed(one_of("Read", "Write", "Describe", "DescribeConfigs"))
RESOURCE = closed(
    "type",
    "name",
    "patternType",
    type=one_of("topic", "group", "transactionalId"),
    name=TEXT,
    patternType=one_of("literal", "prefix"),
)
SCALING = closed(
    "policies",
    stabilizationWindowSeconds={"type": "integer", "minimum": 0, "maximum": 3600},
    policies=listed(
        closed("type", "value", "periodSeconds", type=one_of("Pods"), value=COUNT, periodSeconds=COUNT)
    ),
)
KAFKA_TRIGGER = closed(
    "bootstrapServers",
    "consumerGroup",
    "topic",
    "lagThreshold",
    bootstrapServers=TEXT,
    consumerGroup=TEXT,
    topic=TEXT,
    # Metadata of a trigger are texts, numbers included.
    lagThreshold={"type": "string", "pattern": r"^\d+$"},
    offsetResetPolicy=one_of("earliest", "latest"),
    tls=one_of("enable", "disable"),
)
RULE = closed(
    "alert",
    "expr",
    "labels",
    "annotations",
    alert=TEXT,
    expr=TEXT,
    **{"for": {"type": "string", "pattern": r"^\d+[smhd]$"}},
    labels=LABELS,
    annotations=LABELS,
)

SPECS: dict[tuple[str, str], dict[str, Any]] = {
    ("kafka.strimzi.io/v1", "KafkaTopic"): closed(
        "partitions",
        "replicas",
        "config",
        partitions=COUNT,
        replicas=COUNT,
        config={"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
    ),
    ("kafka.strimzi.io/v1", "KafkaUser"): closed(
        "authentication",
        "authorization",
        authentication=closed("type", type=one_of("tls")),
        authorization=closed(
            "type",
            "acls",
            type=one_of("simple"),
            acls=listed(closed("resource", "operations", resource=RESOURCE, operations=OPERATIONS)),
        ),
    ),
    ("keda.sh/v1alpha1", "ScaledObject"): closed(
        "scaleTargetRef",
        "triggers",
        scaleTargetRef=closed("name", apiVersion=TEXT, kind=TEXT, name=NAME),
        pollingInterval=COUNT,
        minReplicaCount=COUNT,
        maxReplicaCount=COUNT,
        advanced=closed(
            horizontalPodAutoscalerConfig=closed(behavior=closed(scaleUp=SCALING, scaleDown=SCALING))
        ),
        triggers=listed(
            closed(
                "type",
                "metadata",
                type=one_of("kafka"),
                metadata=KAFKA_TRIGGER,
                authenticationRef=closed("name", name=NAME),
            )
        ),
    ),
    ("keda.sh/v1alpha1", "TriggerAuthentication"): closed(
        "secretTargetRef",
        secretTargetRef=listed(
            closed(
                "parameter",
                "name",
                "key",
                parameter=one_of("ca", "cert", "key"),
                name=NAME,
                key=TEXT,
            )
        ),
    ),
    ("monitoring.coreos.com/v1", "ServiceMonitor"): closed(
        "selector",
        "endpoints",
        jobLabel=TEXT,
        selector=closed("matchLabels", matchLabels=LABELS),
        endpoints=listed(
            closed("port", port=TEXT, path=TEXT, interval={"type": "string", "pattern": r"^\d+s$"})
        ),
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): closed(
        "groups", groups=listed(closed("name", "rules", name=TEXT, rules=listed(RULE)))
    ),
}


def schema(api_version: str, kind: str) -> dict[str, Any] | None:
    """Return the schema of a custom resource; None for what Kubernetes itself defines."""
    spec = SPECS.get((api_version, kind))
    if spec is None:
        return None
    labels = CLUSTER if api_version.startswith("kafka.") else LABELS
    return closed(
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        apiVersion={"const": api_version},
        kind={"const": kind},
        metadata=closed("name", name=NAME, namespace=NAME, labels=labels),
        spec=spec,
    )
