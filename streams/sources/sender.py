"""Sending events to Kafka: in order, confirmed by all replicas, never more on the way than fits in memory."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from streams import clients, topics
from streams.errors import BrokerUnavailableError
from streams.settings import Settings
from streams.sources.record import SourceRecord
from streams.sources.stop import Stop
from streams.topics import EVENTS

WINDOW: Final = 50_000
"""Records on their way at most; what lies further back is confirmed."""
_WINDOW_KB: Final = 128 * 1024
_POLL_SECONDS: Final = 0.1
_SAY_SECONDS: Final = 10.0
_GIVE_UP_MS: Final = 120_000
_LARGEST_BYTES: Final = 1_000_000


def reached(settings: Settings, say: Callable[[str], None]) -> Settings:
    """Return settings with the address of a broker that answers and has the topics, created if missing.

    Parameters
    ----------
    settings
        Broker; the one on this machine where none is set.
    say
        Told what is waited for and which topics are created.

    Raises
    ------
    BrokerUnavailableError
        If no broker answers.
    """
    settings = clients.require(settings)
    clients.wait_for_broker(settings.broker, say=say)
    if EVENTS.full_name(settings) not in topics.list_existing(settings):
        for name in topics.create(settings):
            say(f"created {name}")
    return settings


class EventSender:
    """Sends records to the event topic.

    Idempotent production keeps the order of a key and repeats nothing when a request is retried; the
    partitioner is the one of Java clients, so that every producer puts a user into the same partition.
    Records are stamped with the time of sending, never with the time of the event.

    Parameters
    ----------
    settings
        Broker and topic prefix.
    stop
        Ends waiting for a broker that does not take the records.
    say
        Told, every ten seconds at most, of a broker that is gone.
    """

    def __init__(self, settings: Settings, stop: Stop, say: Callable[[str], None] = print) -> None:
        from confluent_kafka import Producer  # noqa: PLC0415  # loads librdkafka

        self.topic = EVENTS.full_name(settings)
        self.sent = 0
        self.too_large = 0
        self._stop = stop
        self._say = say
        self._said = -math.inf
        self._failure = ""
        self._failed = 0
        config = {
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "compression.type": "zstd",
            "linger.ms": 20,
            "batch.size": 1 << 18,
            "queue.buffering.max.messages": WINDOW,
            "queue.buffering.max.kbytes": _WINDOW_KB,
            "message.max.bytes": _LARGEST_BYTES,
            "delivery.timeout.ms": _GIVE_UP_MS,
            "delivery.report.only.error": True,
            "on_delivery": self._delivered,
            "error_cb": self._note,
            "log_level": 0,
        }
        self._producer = Producer(clients.confluent(settings.broker, **config))

    def send(self, record: SourceRecord) -> None:
        """Hand an event to the producer; waits while too many are on their way.

        Raises
        ------
        BrokerUnavailableError
            If the broker has not taken an earlier record in two minutes, or refuses it.
        """
        self.send_raw(record.key, record.value)

    def send_raw(
        self,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int = -1,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:
        """Hand bytes to the producer, exactly as they are.

        Parameters
        ----------
        key, value, headers
            Of the record.
        partition
            Where it belongs; -1 leaves it to the key.

        Raises
        ------
        BrokerUnavailableError
            If the broker has not taken an earlier record in two minutes, or refuses it.
        """
        while not self._stop.requested:
            try:
                self._producer.produce(self.topic, value, key, partition, headers=list(headers))
            except BufferError:
                self.poll(_POLL_SECONDS)
                continue
            except self._kafka_error as error:
                self._refused(error)
                return
            self.sent += 1
            if not self.sent % 1000:
                self.poll(0)
            return

    def poll(self, seconds: float) -> None:
        """Wait for news of records on their way."""
        try:
            self._producer.poll(seconds)
        except self._kafka_error as error:
            self._broken(error)
        if self._failed:
            self._give_up()

    def finish(self, seconds: float = _GIVE_UP_MS / 1000) -> int:
        """Wait until everything sent is confirmed, `seconds` at most, and return how many records are not.

        Raises
        ------
        BrokerUnavailableError
            If the broker refused a record.
        """
        deadline = time.monotonic() + seconds
        while len(self._producer) and time.monotonic() < deadline:
            self.poll(_POLL_SECONDS)
        return len(self._producer)

    @property
    def confirmed(self) -> int:
        """Records that have certainly arrived, counted from the first."""
        if self._failed:
            return max(0, self.sent - WINDOW)
        return max(0, self.sent - len(self._producer))

    @property
    def _kafka_error(self) -> type[Exception]:
        from confluent_kafka import KafkaException  # noqa: PLC0415  # loads librdkafka

        return KafkaException

    def _refused(self, error: Any) -> None:
        from confluent_kafka import KafkaError  # noqa: PLC0415  # loads librdkafka

        if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
            self._broken(error)
            self._give_up()
        self.too_large += 1

    def _broken(self, error: Any) -> None:
        """Note that the producer cannot go on: its broker has forgotten it, or denies it."""
        self._failed += 1
        self._failure = self._failure or error.args[0].str()

    def _note(self, error: Any) -> None:
        now = time.monotonic()
        if now - self._said > _SAY_SECONDS:
            self._said = now
            self._say(f"the broker does not answer, trying again: {error.str()}")

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failed += 1
            self._failure = self._failure or error.str()

    def _give_up(self) -> None:
        raise BrokerUnavailableError(
            f"{self.topic}: events were not taken: {self._failure}; the first {self.confirmed:,} have arrived"
        )
