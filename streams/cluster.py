"""Questions to the broker: metadata, offsets, groups, sizes, its clock."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any, Final, NamedTuple, Self

from streams import clients
from streams.errors import BrokerUnavailableError
from streams.excerpt import Place, Stretch, passing
from streams.settings import Settings
from streams.topics import PROBE

_ASK_S: Final = 10.0
_AGAIN_S: Final = 0.1


class Copies(NamedTuple):
    """How a partition is kept: whether it has a leader, how many copies it has and how many are in step."""

    led: bool
    copies: int
    in_step: int


class Group(NamedTuple):
    """A consumer group: its state in Kafka's words, and the names of its members."""

    state: str
    members: list[str]


class Cluster:
    """A connection to the broker for questions; enter it.

    Parameters
    ----------
    settings
        Where the broker is.
    """

    def __init__(self, settings: Settings) -> None:
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415  # loads librdkafka

        self._settings = settings
        self._admin = AdminClient(clients.confluent(settings.broker, log_level=0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if "_tools" in vars(self):
            self._tools.close()

    @cached_property
    def _tools(self) -> Any:
        """Connect kafka-python's admin client, which knows what librdkafka's does not."""
        from kafka import KafkaAdminClient  # noqa: PLC0415  # slow to import

        return KafkaAdminClient(**clients.kafka_python(self._settings.broker))

    def brokers(self) -> list[str]:
        """Return the addresses of the brokers."""
        nodes = self._admin.list_topics(timeout=_ASK_S).brokers.values()
        return sorted(f"{node.host}:{node.port}" for node in nodes)

    def version(self) -> str:
        """Return the release of Apache Kafka whose protocol the broker speaks, "" where it cannot be told."""
        with suppress(Exception):  # a courtesy: brokers differ in what they tell
            found = self._tools.get_broker_version_data(next(iter(self._admin.list_topics().brokers)))
            return ".".join(map(str, found.broker_version))
        return ""

    def copies(self, topics: Iterable[str]) -> dict[Place, Copies]:
        """Return how the partitions of topics are kept."""
        known = self._admin.list_topics(timeout=_ASK_S).topics
        return {
            Place(name, number): Copies(part.leader >= 0, len(part.replicas), len(part.isrs))
            for name in topics
            if name in known
            for number, part in known[name].partitions.items()
        }

    def stretches(self, places: Iterable[Place]) -> dict[Place, Stretch]:
        """Return the first offset and the committed end of partitions."""
        places = list(places)
        low, high = (self._offsets(places, spec) for spec in (_spec().earliest(), _spec().latest()))
        return {place: Stretch(low[place][0], high[place][0]) for place in places}

    def newest(self, places: Iterable[Place]) -> dict[Place, int]:
        """Return the timestamp of the newest record of partitions, epoch milliseconds; none where empty."""
        found = self._offsets(list(places), _spec().max_timestamp())
        return {place: timestamp for place, (_, timestamp) in found.items() if timestamp >= 0}

    def since(self, places: Iterable[Place], time_ms: int) -> dict[Place, Stretch]:
        """Return what of partitions was written at a time or later."""
        places = list(places)
        starts = self._offsets(places, _spec().for_timestamp(time_ms))
        whole = self.stretches(places)
        return {
            place: Stretch(starts[place][0] if starts[place][0] >= 0 else stretch.end, stretch.end)
            for place, stretch in whole.items()
        }

    def committed(self, group: str) -> dict[Place, int]:
        """Return the offsets that a group has committed."""
        from confluent_kafka import ConsumerGroupTopicPartitions  # noqa: PLC0415  # loads librdkafka

        answer = _answered(
            lambda: self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]),
            f"offsets of group {group}",
        )[group]
        found = {Place(one.topic, one.partition): one.offset for one in answer.topic_partitions}
        return {place: offset for place, offset in found.items() if offset >= 0}

    def group(self, name: str) -> Group:
        """Return state and members of a group; no members where it does not exist."""
        from confluent_kafka import KafkaException  # noqa: PLC0415  # loads librdkafka

        try:
            found = self._admin.describe_consumer_groups([name])[name].result(_ASK_S)
        except KafkaException:
            return Group("unknown", [])
        members = sorted(member.group_instance_id or member.member_id for member in found.members)
        return Group(found.state.name.lower(), members)

    def sizes(self) -> dict[str, int]:
        """Return the bytes that topics take on all brokers together; empty where the broker does not say."""
        sizes: dict[str, int] = {}
        with suppress(Exception):  # needs a right that a worker does not have
            for broker in self._tools.describe_log_dirs():
                for directory in broker["log_dirs"]:
                    for topic in directory["topics"]:
                        size = sum(part["partition_size"] for part in topic["partitions"])
                        sizes[topic["name"]] = sizes.get(topic["name"], 0) + size
        return sizes

    def ahead_ms(self) -> float | None:
        """Return by how much the broker's clock is ahead of ours at least; None where it cannot be told.

        One record in the probe topic gets the broker's time. It came to be between our two looks at our own
        clock, so any time between them is as good as ours.
        """
        from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Producer  # noqa: PLC0415  # loads librdkafka

        delivered: list[tuple[int, int]] = []
        producer: Any = Producer(clients.confluent(self._settings.broker, **_QUICK))
        producer.list_topics(
            PROBE.full_name(self._settings), _ASK_S
        )  # connects, so that only the write is timed
        before = time.time_ns() / 1e6
        producer.produce(
            PROBE.full_name(self._settings),
            b"clock",
            on_delivery=lambda error, message: delivered.extend([] if error else [message.timestamp()]),
        )
        producer.flush(_ASK_S)
        after = time.time_ns() / 1e6
        if not delivered or delivered[0][0] != TIMESTAMP_LOG_APPEND_TIME:
            return None
        stamped = delivered[0][1]
        return min(0.0, stamped + 1 - before) if stamped < before else max(0.0, stamped - after)

    def _offsets(self, places: list[Place], spec: Any) -> dict[Place, tuple[int, int]]:
        """Return offset and timestamp of what a specification asks for."""
        from confluent_kafka import IsolationLevel, TopicPartition  # noqa: PLC0415  # loads librdkafka

        if not places:
            return {}
        answers = _answered(
            lambda: self._admin.list_offsets(
                {TopicPartition(*place): spec for place in places},
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=_ASK_S,
            ),
            "offsets",
        )
        return {
            Place(one.topic, one.partition): (answer.offset, answer.timestamp)
            for one, answer in answers.items()
        }


def _answered(ask: Callable[[], Mapping[Any, Any]], what: str) -> dict[Any, Any]:
    """Return the results of a request, asking again while leaders and coordinators move.

    Raises
    ------
    BrokerUnavailableError
        If the broker refuses, or the moving takes too long.
    """
    from confluent_kafka import KafkaException  # noqa: PLC0415  # loads librdkafka

    until = time.monotonic() + _ASK_S
    while True:
        futures = ask()
        try:
            return {key: future.result(_ASK_S) for key, future in futures.items()}
        except KafkaException as error:
            reason = error.args[0]
            if not passing(reason) or time.monotonic() > until:
                raise BrokerUnavailableError(f"{what}: {reason.str()}") from error
            time.sleep(_AGAIN_S)


def _spec() -> Any:
    from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # noqa: PLC0415  # exported, not declared

    return OffsetSpec


_QUICK: Final[Mapping[str, Any]] = {"linger.ms": 0, "message.timeout.ms": int(_ASK_S * 1000), "log_level": 0}
