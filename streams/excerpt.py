"""Reads stretches of topics from outside, committed records only, and ends where each stretch ends."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from streams import clients
from streams.errors import BrokerUnavailableError
from streams.follow import Followed, followed
from streams.settings import Settings

_POLL_S: Final = 0.5
_CHUNK: Final = 1_000
_STANDSTILL_S: Final = 30.0


class Place(NamedTuple):
    """A partition of a topic, by full name and number."""

    topic: str
    partition: int


class Stretch(NamedTuple):
    """Offsets of a partition, the end excluded."""

    start: int
    end: int


def excerpt(settings: Settings, stretches: Mapping[Place, Stretch]) -> Iterator[Followed]:
    """Yield the committed records of some stretches; within a partition in order.

    It reads without a group, commits nothing and disturbs nobody.

    Parameters
    ----------
    settings
        Where the broker is.
    stretches
        What to read of which partition.

    Raises
    ------
    BrokerUnavailableError
        If the broker refuses to be read, or nothing has come for half a minute: an open transaction hides
        everything behind it.
    """
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415  # loads librdkafka

    left = {place: stretch.end for place, stretch in stretches.items() if stretch.start < stretch.end}
    if not left:
        return
    consumer: Any = Consumer(clients.confluent(settings.broker, **_READING))
    try:
        consumer.assign([TopicPartition(*place, stretches[place].start) for place in left])
        moved = time.monotonic()
        while left:
            messages = consumer.consume(_CHUNK, _POLL_S)
            yield from _within(messages, left)
            if messages:
                moved = time.monotonic()
            elif time.monotonic() - moved > _STANDSTILL_S:
                names = ", ".join(f"{topic}[{number}]" for topic, number in left)
                raise BrokerUnavailableError(
                    f"{names} could not be read to the end within {_STANDSTILL_S:.0f} s; "
                    "a transaction may be open"
                )
    finally:
        consumer.close()


_READING: Final = {
    "group.id": "keepstream-excerpt",
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 20,
    "log_level": 0,
}


def passing(error: Any) -> bool:
    """Return whether an error of the Kafka client passes by itself: leaders move, requests time out."""
    from confluent_kafka import KafkaError  # noqa: PLC0415  # loads librdkafka

    return not error.fatal() and error.code() in {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError._TIMED_OUT,  # noqa: SLF001  # librdkafka's names
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    }


def _within(messages: Any, left: dict[Place, int]) -> Iterator[Followed]:
    """Yield the records that lie before the ends, and strike out what has been read."""
    from confluent_kafka import KafkaError  # noqa: PLC0415  # loads librdkafka

    for message in messages:
        place, error = Place(message.topic(), message.partition()), message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  # so named
            if not passing(error):
                raise BrokerUnavailableError(f"{place.topic}: {error.str()}")
            continue
        if error is None and message.offset() < left.get(place, 0):
            yield followed(message)
        if message.offset() + (error is None) >= left.get(place, 0):
            left.pop(place, None)
