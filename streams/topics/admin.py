"""Creating, listing and checking topics through kafka-python's admin client."""

from collections.abc import Mapping
from typing import Any, Final

from streams import clients
from streams.errors import BrokerUnavailableError, TopicsError
from streams.settings import Settings, milliseconds
from streams.topics.check import Existing, Mismatch, differences, partition_count
from streams.topics.table import TOPICS

_ASK_S: Final = 10.0


def list_existing(settings: Settings) -> dict[str, Existing]:
    """Return the topics of the table that the broker has, by full name.

    Raises
    ------
    BrokerUnavailableError
        If the broker does not answer.
    """
    with _Admin(settings) as admin:
        return _existing(admin, settings)


def check(settings: Settings) -> list[Mismatch]:
    """Return how the broker's topics differ from the table (see `differences`)."""
    return differences(settings, list_existing(settings))


def compacts(settings: Settings) -> bool:
    """Return whether the broker says that it compacts; one that may not be asked is taken to."""
    from confluent_kafka import KafkaException  # noqa: PLC0415  # loads librdkafka
    from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]  # noqa: PLC0415  # its stubs leave it out

    admin = AdminClient(clients.confluent(settings.broker, log_level=0))
    try:
        number = next(iter(admin.list_topics(timeout=_ASK_S).brokers))
        asked = admin.describe_configs([ConfigResource("broker", str(number))], request_timeout=_ASK_S)
        found = next(iter(asked.values())).result().get("log.cleaner.enable")
    except KafkaException:
        return True
    return found is not None and found.value == "true"


def create(settings: Settings) -> list[str]:
    """Create the missing topics, wait until they have leaders, and return their full names.

    Several workers may do so at the same moment.

    Raises
    ------
    TopicsError
        If the broker refuses one; the message gives its reason.
    """
    with _Admin(settings) as admin:
        existing = _existing(admin, settings)
        missing = {
            topic.full_name(settings): {
                "num_partitions": partition_count(topic, settings, existing),
                "replication_factor": settings.topics.replication_factor,
                "configs": topic.configs(settings),
            }
            for topic in TOPICS
            if topic.full_name(settings) not in existing
        }
        return _create(admin, missing)


def ensure(settings: Settings) -> list[str]:
    """Create what is missing, then check everything; return the names of the created topics.

    Raises
    ------
    TopicsError
        If a topic cannot be created, or an existing one does not fit; the message says which and what to do.
    """
    created = create(settings)
    fatal = [mismatch for mismatch in check(settings) if mismatch.fatal]
    if fatal:
        lines = "\n".join(f"  {mismatch.topic} {mismatch.explanation}" for mismatch in fatal)
        raise TopicsError(f"topics do not fit:\n{lines}")
    return created


class _Admin:
    """kafka-python's admin client, closed again; its outages become ours."""

    def __init__(self, settings: Settings) -> None:
        self._broker = settings.broker

    def __enter__(self) -> Any:
        from kafka import KafkaAdminClient  # noqa: PLC0415  # keeps `import streams.topics` cheap
        from kafka.errors import KafkaError  # noqa: PLC0415  # same

        try:
            wait_ms = max(1_000, milliseconds(self._broker.broker_wait))
            config = clients.kafka_python(
                self._broker, client_id="keepstream", bootstrap_timeout_ms=min(wait_ms, 30_000)
            )
            self._client = KafkaAdminClient(**config)
        except KafkaError as error:
            raise BrokerUnavailableError(
                f"no Kafka answered at {self._broker.bootstrap_servers}: {error}"
            ) from error
        return self._client

    def __exit__(self, *_: object) -> None:
        self._client.close()


def _existing(admin: Any, settings: Settings) -> dict[str, Existing]:
    from kafka.admin import ConfigResource, ConfigResourceType  # noqa: PLC0415  # same

    names = [topic.full_name(settings) for topic in TOPICS]
    partitions = {
        found["name"]: len(found["partitions"])
        for found in admin.describe_topics(names)
        if found["error_code"] == 0
    }
    if not partitions:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, None) for name in partitions]
    configs = admin.describe_configs(resources, config_filter="all").get("topic", {})
    return {
        name: Existing(count, {key: entry["value"] for key, entry in configs.get(name, {}).items()})
        for name, count in partitions.items()
    }


def _create(admin: Any, missing: Mapping[str, Mapping[str, Any]]) -> list[str]:
    from kafka.errors import TopicAlreadyExistsError  # noqa: PLC0415  # same

    if not missing:
        return []
    answer = admin.create_topics(dict(missing), raise_errors=False)
    created = []
    for topic in answer["topics"]:
        if topic["error_code"] == 0:
            created.append(topic["name"])
        elif topic["error_code"] != TopicAlreadyExistsError.errno:
            reason = topic["error_message"] or f"error code {topic['error_code']}"
            raise TopicsError(f"the broker refuses to create {topic['name']}: {reason}")
    admin.wait_for_topics(list(missing))
    return created
