"""Reading topics to their ends, and asking how far a group has come."""

import logging
import time
import uuid
from collections.abc import Iterator, Sequence

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

COMMITTED, UNCOMMITTED = "read_committed", "read_uncommitted"
QUIET = logging.getLogger("tests.chaos.clients")
"""Of clients that are meant to see brokers die: else each attempt to connect is printed."""
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False

_DEADLINE_S = 120


def consumer(bootstrap: str, isolation: str = COMMITTED, **config: str | int | bool) -> Consumer:
    """Return a consumer without a group's offsets, to be assigned partitions by hand."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"check-{uuid.uuid4().hex}",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "logger": QUIET,
            **config,
        }
    )


def partitions(client: Consumer, topic: str) -> list[int]:
    """Return the numbers of a topic's partitions."""
    return sorted(client.list_topics(topic, 30).topics[topic].partitions)


def records(
    bootstrap: str, topic: str, isolation: str = COMMITTED, starts: dict[int, int] | None = None
) -> Iterator[Message]:
    """Yield the records of a topic, each partition in its order and up to an end that it had meanwhile.

    Parameters
    ----------
    starts
        Offsets by partition to begin at; None reads all partitions from their begin.
    """
    client = consumer(bootstrap, isolation)
    try:
        wanted = dict.fromkeys(partitions(client, topic), 0) if starts is None else starts
        client.assign([TopicPartition(topic, number, start) for number, start in wanted.items()])
        ended: set[int] = set()
        moved = time.monotonic()
        while len(ended) < len(wanted):
            assert time.monotonic() < moved + _DEADLINE_S, f"{topic} could not be read to its end"
            for message in client.consume(5_000, 0.2):
                if message.error() is None:
                    moved = time.monotonic()
                    yield message
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
    finally:
        client.close()


def ends(bootstrap: str, topic: str, isolation: str = UNCOMMITTED) -> dict[int, int]:
    """Return the end of every partition: the last stable offset where read committed."""
    client = consumer(bootstrap, isolation)
    try:
        return {p: _end(client, TopicPartition(topic, p)) for p in partitions(client, topic)}
    finally:
        client.close()


def _end(client: Consumer, partition: TopicPartition) -> int:
    """Return the end of a partition; a broker that has just started may not know yet that it leads it."""
    until = time.monotonic() + _DEADLINE_S
    while True:
        try:
            return int(client.get_watermark_offsets(partition, 10)[1])
        except KafkaException:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


class Progress:
    """How far a group has committed, as its source offsets say.

    Parameters
    ----------
    bootstrap, group
        Where, and whose.
    sources
        Topics that the group reads.
    """

    def __init__(self, bootstrap: str, group: str, sources: Sequence[str]) -> None:
        self._client = consumer(bootstrap, **{"group.id": group})
        self._asked = [TopicPartition(topic, p) for topic in sources for p in partitions(self._client, topic)]

    def positions(self, deadline_s: float = 10) -> dict[tuple[str, int], int]:
        """Return the committed offset of every partition, 0 where there is none.

        Raises
        ------
        KafkaException
            The broker does not answer in time.
        """
        found = self._client.committed(self._asked, timeout=deadline_s)
        return {(tp.topic, tp.partition): max(tp.offset, 0) for tp in found}

    def close(self) -> None:
        self._client.close()
