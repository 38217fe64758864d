"""Compacted topics from outside a worker: what they hold now, and rows written to them."""

from collections.abc import Iterable
from typing import Any, Final

from streams import clients
from streams.cluster import Cluster
from streams.errors import BrokerUnavailableError, TopicsError
from streams.excerpt import excerpt
from streams.settings import Settings

_FLUSH_S: Final = 60.0
_POLL_S: Final = 0.5


def rows_of(settings: Settings, topic: str) -> dict[bytes, bytes]:
    """Return the newest value under every key of a topic, keys in the order of their first row.

    Parameters
    ----------
    settings
        Where the broker is.
    topic
        Full name.

    Raises
    ------
    TopicsError
        If the broker has no such topic.
    BrokerUnavailableError
        If it could not be read.
    """
    found: dict[bytes, bytes] = {}
    with Cluster(settings) as cluster:
        places = list(cluster.copies([topic]))
        if not places:
            raise TopicsError(f"the broker has no topic {topic}; `keepstream topics create` makes it")
        stretches = cluster.stretches(places)
    for record in excerpt(settings, stretches):
        key = record.key or b""
        if record.value is None:
            found.pop(key, None)
        else:
            found[key] = record.value
    return found


class Writer:
    """Writes rows to a topic of one partition, and says at `finish` whether the broker has all of them.

    Parameters
    ----------
    settings
        Where the broker is.
    topic
        Full name.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        from confluent_kafka import Producer  # noqa: PLC0415  # loads librdkafka

        self._topic = topic
        self._refused: list[Any] = []
        self._producer: Any = Producer(
            clients.confluent(
                settings.broker, **{"enable.idempotence": True, "log_level": 0, "linger.ms": 20}
            )
        )

    def put(self, key: bytes, value: bytes | None) -> None:
        """Hand over a row; None deletes what is under the key."""
        while True:
            try:
                self._producer.produce(self._topic, value, key, 0, on_delivery=self._delivered)
                break
            except BufferError:
                self._producer.poll(_POLL_S)
        self._producer.poll(0)

    def finish(self) -> None:
        """Wait until the broker has everything.

        Raises
        ------
        BrokerUnavailableError
            If it did not take a row.
        """
        if self._producer.flush(_FLUSH_S) or self._refused:
            reason = self._refused[0] if self._refused else "no answer"
            raise BrokerUnavailableError(f"{self._topic} did not take everything: {reason}")

    def _delivered(self, error: Any, _: Any) -> None:
        self._refused.extend([error] if error else [])


def write(settings: Settings, topic: str, rows: Iterable[tuple[bytes, bytes | None]]) -> int:
    """Write rows to a topic of one partition, and return how many once the broker has all of them.

    Raises
    ------
    BrokerUnavailableError
        If it did not take a row.
    """
    writer, count = Writer(settings, topic), 0
    for key, value in rows:
        writer.put(key, value)
        count += 1
    writer.finish()
    return count
