"""Who runs: workers announce themselves on a compacted topic, and whoever looks something up reads it."""

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from online_models.errors import CorruptStateError
from streams import clients, encode
from streams.broadcast import Rows
from streams.errors import BrokerUnavailableError
from streams.schemas import WorkerAnnouncement
from streams.settings import Settings
from streams.topics import WORKERS

log = logging.getLogger(__name__)

_FLUSH_S: Final = 5.0
_READ: Final = timedelta(seconds=10)
_POLL_S: Final = 0.1
_CHUNK: Final = 500


class Announcer:
    """Writes the announcement of one worker; nothing waits for it except `withdraw`.

    Parameters
    ----------
    settings
        Where the broker is and what the topic is called.
    """

    def __init__(self, settings: Settings) -> None:
        from confluent_kafka import Producer  # noqa: PLC0415  # commands import this module to read only

        self._topic = WORKERS.full_name(settings)
        self._producer: Any = Producer(
            clients.confluent(
                settings.broker,
                **{"enable.idempotence": True, "linger.ms": 0, "partitioner": "murmur2_random"},
            )
        )
        self._said: WorkerAnnouncement | None = None

    def announce(self, announcement: WorkerAnnouncement) -> None:
        """Say where the worker is and what it owns, unless that was the last thing said."""
        self._producer.poll(0)
        if announcement == self._said:
            return
        key, value = encode.encode_announcement(announcement)
        self._said = announcement
        self._produce(key, value)

    def withdraw(self) -> None:
        """Say that the worker has left; waits a few seconds at most."""
        if self._said is None:
            return
        self._produce(self._said.instance.encode(), None)
        self._said = None
        if self._producer.flush(_FLUSH_S):
            log.warning("could not withdraw the announcement: lookups will try this worker in vain")

    def _produce(self, key: bytes, value: bytes | None) -> None:
        self._producer.produce(self._topic, value, key, 0, on_delivery=self._delivered)

    def _delivered(self, error: Any, _: Any) -> None:
        if error is not None:
            log.warning("announcement not written, trying again: %s", error)
            self._said = None


class Directory:
    """The workers that have announced themselves and not left."""

    def __init__(self) -> None:
        self._workers: dict[str, WorkerAnnouncement] = {}

    def take(self, rows: Rows) -> None:
        """Take announcements and departures over, in log order."""
        for key, value in rows:
            instance = key.decode(errors="replace")
            if value is None:
                self._workers.pop(instance, None)
                continue
            try:
                self._workers[instance] = encode.read(WorkerAnnouncement, value)
            except CorruptStateError as error:
                log.warning("announcement of %s cannot be read: %s", instance, error)

    def workers(self) -> list[WorkerAnnouncement]:
        """Return the announced workers by instance name, those of the newest generation first."""
        return sorted(self._workers.values(), key=lambda worker: (-worker.generation, worker.instance))

    def others(self, instance: str) -> list[WorkerAnnouncement]:
        """Return all but one."""
        return [worker for worker in self.workers() if worker.instance != instance]


def read_workers(settings: Settings, limit: timedelta = _READ) -> Sequence[WorkerAnnouncement]:
    """Return the workers announced now, read once from the topic.

    A worker that was killed is among them until it starts again.

    Raises
    ------
    BrokerUnavailableError
        If the topic could not be read to its end in time.
    """
    from confluent_kafka import Consumer, KafkaException, TopicPartition  # noqa: PLC0415  # loads librdkafka

    config = {
        "group.id": "keepstream-lookup",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "fetch.wait.max.ms": 20,
        "log_level": 0,
    }
    consumer = Consumer(clients.confluent(settings.broker, **config))
    directory = Directory()
    until = time.monotonic() + limit.total_seconds()
    try:
        partition = TopicPartition(WORKERS.full_name(settings), 0, 0)
        low, end = consumer.get_watermark_offsets(partition, timeout=limit.total_seconds())
        consumer.assign([TopicPartition(partition.topic, 0, low)])
        while consumer.position([partition])[0].offset < end and end > low:
            messages = consumer.consume(_CHUNK, _POLL_S)
            directory.take([(m.key() or b"", m.value()) for m in messages if m.error() is None])
            if time.monotonic() > until:
                raise BrokerUnavailableError(f"{partition.topic} could not be read to its end in time")
    except KafkaException as error:
        raise BrokerUnavailableError(
            f"{WORKERS.full_name(settings)} cannot be read ({error.args[0].str()}): has a worker run here?"
        ) from error
    finally:
        consumer.close()
    return directory.workers()
