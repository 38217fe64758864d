"""Writes rows to Kafka from a command, and says whether the broker has all of them."""

from collections.abc import Mapping
from typing import Any, Final

from streams import clients, topics
from streams.errors import BrokerUnavailableError
from streams.settings import Settings

_FLUSH_S: Final = 60.0
_POLL_S: Final = 0.5


class Writer:
    """Writes rows in order, to partitions that the caller chooses.

    Parameters
    ----------
    settings
        Where the broker is.
    """

    def __init__(self, settings: Settings) -> None:
        from confluent_kafka import Producer  # noqa: PLC0415  # loads librdkafka

        self._refused: list[str] = []
        config = {
            "enable.idempotence": True,
            "compression.type": "zstd",
            "message.max.bytes": topics.MAX_INTERNAL_BYTES,
            "linger.ms": 20,
            "log_level": 0,
        }
        self._producer: Any = Producer(clients.confluent(settings.broker, **config))

    def put(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        *,
        partition: int = 0,
        headers: Mapping[str, bytes] | None = None,
    ) -> None:
        """Hand over a row of a topic's full name; None deletes what is under the key."""
        given = list((headers or {}).items())
        while True:
            try:
                self._producer.produce(
                    topic, value, key, partition, headers=given, on_delivery=self._delivered
                )
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
        waiting = self._producer.flush(_FLUSH_S)
        if waiting or self._refused:
            reason = self._refused[0] if self._refused else f"{waiting} rows wait"
            raise BrokerUnavailableError(f"the broker did not take everything: {reason}")

    def _delivered(self, error: Any, message: Any) -> None:
        if error:
            self._refused.append(f"{message.topic()}: {error}")
