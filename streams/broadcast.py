"""What every worker reads whole: compacted topics, followed by a plain reader thread."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

log = logging.getLogger(__name__)

Rows = Sequence[tuple[bytes, bytes | None]]
"""Records of a compacted topic in log order: key, and value or None for a tombstone."""


class _Chunk(NamedTuple):
    """Rows of a topic, and the partition and offset of each."""

    rows: list[tuple[bytes, bytes | None]]
    places: list[tuple[int, int]]


class Refused(NamedTuple):
    """A row that could not be taken over, by its place among those handed over, and why."""

    place: int
    reason: str


Sink = Callable[[Rows], Sequence[Refused] | None]
"""Takes rows over and returns those it could not; what it knew before stays."""

_CHUNK: Final = 2_000
_POLL_S: Final = 0.1
_CHUNKS_WAITING: Final = 4
_RETRY_S: Final = 1.0


class BroadcastReader:
    """Follows compacted topics from their start and hands their rows to the event loop.

    Parameters
    ----------
    config
        confluent-kafka settings that reach the broker.
    sinks
        What takes the rows of a topic; called in the event loop, in log order within a partition. The place
        of a row that it could not take over is logged.
    """

    def __init__(self, config: Mapping[str, Any], sinks: Mapping[str, Sink]) -> None:
        self._config = dict(config)
        self._sinks = dict(sinks)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self._waiting = threading.BoundedSemaphore(_CHUNKS_WAITING)
        self._thread = threading.Thread(target=self._run, name="broadcast", daemon=True)
        self._ready = threading.Event()

    @property
    def ready(self) -> bool:
        """Whether the ends that the topics had at start have been reached and handed over."""
        return self._ready.is_set()

    def start(self) -> None:
        """Begin to read; call it in the event loop that is to take the rows."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except KafkaException as error:
                log.warning("reading broadcasts: %s; trying again", error.args[0])
                self._stopping.wait(_RETRY_S)
            except Exception:
                # The thread must not end silently: readers would go on with what they have, for ever.
                log.exception("reading broadcasts failed; starting again from the topics' begin")
                self._stopping.wait(_RETRY_S)

    def _follow(self) -> None:
        consumer = Consumer(
            {
                **self._config,
                "group.id": "keepstream-broadcast",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "check.crcs": True,
                "fetch.wait.max.ms": 50,
            }
        )
        try:
            starts = self._partitions(consumer)
            ends = {tp: consumer.get_watermark_offsets(TopicPartition(*tp), 10)[1] for tp in starts}
            consumer.assign([TopicPartition(topic, number, 0) for topic, number in starts])
            behind = {tp for tp, end in ends.items() if end > 0}
            began, rows, told = time.monotonic(), 0, self.ready
            while not self._stopping.is_set():
                if not behind and not told:
                    told = True
                    self._hand_over_ready(time.monotonic() - began, rows)
                rows += self._step(consumer, ends, behind)
        finally:
            consumer.close()

    def _partitions(self, consumer: Consumer) -> list[tuple[str, int]]:
        found = []
        for topic in self._sinks:
            metadata = consumer.list_topics(topic, 10).topics[topic]
            if metadata.error is not None:
                raise KafkaException(metadata.error)
            found += [(topic, number) for number in metadata.partitions]
        return found

    def _step(
        self, consumer: Consumer, ends: Mapping[tuple[str, int], int], behind: set[tuple[str, int]]
    ) -> int:
        chunks: dict[str, _Chunk] = {}
        for message in consumer.consume(_CHUNK, _POLL_S):
            error = message.error()
            tp = (str(message.topic()), int(message.partition() or 0))
            if error is None:
                key = message.key()
                offset = int(message.offset() or 0)
                if key is not None:
                    chunk = chunks.setdefault(tp[0], _Chunk([], []))
                    chunk.rows.append((key, message.value()))
                    chunk.places.append((tp[1], offset))
                reached = offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name for it
                reached = int(message.offset() or 0)
            elif error.fatal():
                raise KafkaException(error)
            else:
                continue
            if reached >= ends[tp]:
                behind.discard(tp)
        for topic, chunk in chunks.items():
            self._hand_over(topic, chunk)
        return sum(len(chunk.rows) for chunk in chunks.values())

    def _hand_over(self, topic: str, chunk: _Chunk) -> None:
        """Pass rows to the event loop, waiting while it has too many of them to take."""
        while not self._waiting.acquire(timeout=_POLL_S):
            if self._stopping.is_set():
                return

        def take() -> None:
            try:
                for refused in self._sinks[topic](chunk.rows) or ():
                    _log_refused(topic, chunk, refused)
            finally:
                self._waiting.release()

        self._call_in_loop(take)

    def _hand_over_ready(self, seconds: float, rows: int) -> None:
        log.info("broadcast topics read: %d rows in %.2f s", rows, seconds)
        # Behind the rows in the loop's queue, so that "ready" means taken, not only read.
        self._call_in_loop(self._ready.set)

    def _call_in_loop(self, call: Callable[[], None]) -> None:
        loop = self._loop
        assert loop is not None
        if not loop.is_closed():
            loop.call_soon_threadsafe(call)


def _log_refused(topic: str, chunk: _Chunk, refused: Refused) -> None:
    partition, offset = chunk.places[refused.place]
    log.error(
        "%s[%d]: row at offset %d, key %r, is refused, what it would replace stays: %s",
        topic,
        partition,
        offset,
        chunk.rows[refused.place][0],
        refused.reason,
    )
