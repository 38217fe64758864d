"""Readers outside: one that follows the outputs through all that happens, one that shares no code with it."""

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence

import xxhash
from confluent_kafka import KafkaException, TopicPartition
from kafka import KafkaConsumer
from kafka import TopicPartition as Partition

from streams import topics
from tests.chaos.outcome import OUTPUTS, Place, place_of
from tests.chaos.reading import consumer, partitions
from tests.chaos.shop import ShopRun


class Follower(threading.Thread):
    """Reads committed outputs as they come, from before the first fault to after the last.

    Parameters
    ----------
    run
        Whose outputs.

    Attributes
    ----------
    seen
        What came, in its order, by topic name without prefix.
    """

    def __init__(self, run: ShopRun) -> None:
        super().__init__(name="follower", daemon=True)
        self.seen: dict[str, list[Place]] = {topic.name: [] for topic in OUTPUTS}
        self._names = {run.topic(topic): topic.name for topic in OUTPUTS}
        self._client = consumer(run.bootstrap, **{"enable.partition.eof": False})
        self._assigned = [
            TopicPartition(name, number, 0)
            for name in self._names
            for number in partitions(self._client, name)
        ]
        self._ends: Mapping[tuple[str, int], int] | None = None
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            self._client.assign(self._assigned)
            while self._ends is None or not self._has_reached(self._ends):
                for message in self._client.consume(1_000, 0.2):
                    if message.error() is None:
                        self.seen[self._names[message.topic()]].append(place_of(message))
        except KafkaException as error:
            self.failure = error
        finally:
            self._client.close()

    def finish(self, outcome: Mapping[str, Sequence[Place]], deadline_s: float = 60) -> None:
        """Let it read as far as the records that there are, and end."""
        ends = {(topic, place.partition): place.offset for topic, found in outcome.items() for place in found}
        self._ends = ends
        self.join(deadline_s)
        assert self.failure is None, f"the follower failed: {self.failure}"
        assert not self.is_alive(), "the follower did not reach the end"

    def _has_reached(self, ends: Mapping[tuple[str, int], int]) -> bool:
        newest = {
            (topic, place.partition): place.offset for topic, found in self.seen.items() for place in found
        }
        return all(newest.get(partition, -1) >= offset for partition, offset in ends.items())


def by_kafka_python(run: ShopRun, topic: topics.Topic) -> list[Place]:
    """Return a topic as a client sees it that shares no code with librdkafka."""
    name = run.topic(topic)
    client = KafkaConsumer(
        bootstrap_servers=run.bootstrap, isolation_level="read_committed", enable_auto_commit=False
    )
    try:
        assigned = [Partition(name, number) for number in client.partitions_for_topic(name)]
        client.assign(assigned)
        client.seek_to_beginning(*assigned)
        ends = client.end_offsets(assigned)
        found: dict[int, list[Place]] = defaultdict(list)
        while any(client.position(partition) < ends[partition] for partition in assigned):
            for batch in client.poll(500).values():
                for record in batch:
                    digest = xxhash.xxh64_intdigest((record.key or b"") + b"\0" + (record.value or b""))
                    found[record.partition].append(Place(record.partition, record.offset, digest))
        return [place for number in sorted(found) for place in found[number]]
    finally:
        client.close()
