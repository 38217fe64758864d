"""Reads a changelog partition back into a handler, in bulk."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from online_models.errors import CorruptStateError
from streams.engine.observer import Observer
from streams.engine.partition import Partition
from streams.errors import CorruptChangelogError, EngineError, PositionLostError

log = logging.getLogger(__name__)

POSITION_KEY = b"\0position"
_POSITION_VERSION = 2
_CHUNK = 10_000
_POLL_S = 0.2
_REPORT_S = 2.0


class RestoreCancelledError(EngineError):
    """The partition was given up while it was being restored."""


def encode_position(position: int) -> bytes:
    """Return the value of the position row: its version, the position, and a checksum.

    >>> decode_position(encode_position(7))
    7
    """
    return msgspec.msgpack.encode([_POSITION_VERSION, position, _checksum(position)])


def decode_position(value: bytes) -> int:
    """Return the position of a position row.

    Raises
    ------
    CorruptStateError
        The row has another version or is no position row.
    """
    try:
        version, position, *checksum = msgspec.msgpack.decode(value, type=list[int])
    except (msgspec.MsgspecError, ValueError) as error:
        raise CorruptStateError(f"position row {value!r} cannot be read: {error}", POSITION_KEY) from error
    if version > _POSITION_VERSION:
        raise CorruptStateError(f"position row is of a newer release: version {version}", POSITION_KEY)
    # Version 1 bore no checksum.
    if [version, *checksum] not in ([1], [_POSITION_VERSION, _checksum(position)]) or position < 0:
        raise CorruptStateError(f"position row {value!r} is damaged", POSITION_KEY)
    return position


def _checksum(position: int) -> int:
    return crc32(b"%d" % position)


@dataclass(frozen=True)
class Restorer:
    """Restores partitions from their changelogs.

    Parameters
    ----------
    config
        confluent-kafka settings that reach the broker.
    deadline_s
        Seconds without progress after which a restore is given up.
    accept_gap
        Go on where the source log no longer holds the committed position, instead of refusing.
    observer
        Told of progress.
    """

    config: Mapping[str, str | int]
    deadline_s: float
    accept_gap: bool
    observer: Observer

    def restore(self, partition: Partition) -> int:
        """Load the changelog into the partition's handler and return the position to read on from.

        The changelog is read committed until the *uncommitted* end it had at the start has been passed, so
        transactions that a dead owner left open are waited for rather than missed.

        Raises
        ------
        RestoreCancelledError
            The partition was dropped meanwhile.
        PositionLostError
            The source log does not hold the committed position.
        CorruptChangelogError
            A row cannot be loaded; the message says where it lies. The partition is not to be used then.
        EngineError
            No progress before the deadline.
        """
        began = time.monotonic()
        consumer = Consumer(
            {
                **self.config,
                "group.id": "keepstream-restore",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": 65_536,
                "check.crcs": True,
            }
        )
        try:
            position, rows = self._read(consumer, partition)
            with _located(partition):
                partition.handler.restored()
            low, high = self._watermarks(
                consumer, TopicPartition(partition.source.topic, partition.source.partition), partition
            )
        finally:
            consumer.close()
        position = self._place(partition, position, low, high)
        seconds = time.monotonic() - began
        self.observer.restored(partition.source, rows, seconds)
        log.info(
            "restored %s: %d rows in %.2f s, reading on at %d",
            *(partition.source, rows, seconds, position),
            extra={"rows": rows, "seconds": round(seconds, 3), "position": position},
        )
        return position

    def _read(self, consumer: Consumer, partition: Partition) -> tuple[int | None, int]:
        changelog = TopicPartition(partition.changelog, partition.source.partition, 0)
        low, end = self._uncommitted_bounds(changelog, partition)
        consumer.assign([changelog])
        offset, rows = low, 0
        latest: tuple[bytes | None, int] | None = None
        moved_at = reported_at = time.monotonic()
        while offset < end:
            chunk: list[tuple[bytes, bytes | None]] = []
            offsets: list[int] = []
            for message in consumer.consume(_CHUNK, _POLL_S):
                offset = max(offset, self._offset_after(message))
                if message.error() is None:
                    key, value = message.key(), message.value()
                    if key == POSITION_KEY:
                        latest = (value, offset - 1)
                    elif key is not None:
                        chunk.append((key, value))
                        offsets.append(offset - 1)
            if partition.dropped:
                raise RestoreCancelledError(str(partition.source))
            now = time.monotonic()
            if chunk:
                with _located(partition, chunk, offsets):
                    partition.handler.restore(chunk)
                rows += len(chunk)
                moved_at = now
            elif now - moved_at > self.deadline_s:
                raise EngineError(
                    f"restoring {partition.source} from {partition.changelog} made no progress for "
                    f"{self.deadline_s:.0f} s at offset {offset} of {end}: is a transaction hanging?"
                )
            if now - reported_at > _REPORT_S:
                reported_at = now
                self.observer.restoring(partition.source, rows, offset, end)
                log.info("restoring %s: offset %d of %d", partition.source, offset, end)
        return self._position(partition, latest, rows), rows

    @staticmethod
    def _position(partition: Partition, latest: tuple[bytes | None, int] | None, rows: int) -> int | None:
        """Return the position of the latest position row; None where there is neither one nor any state."""
        if latest is not None:
            value, offset = latest
            with _located(partition, [(POSITION_KEY, value)], [offset]):
                return decode_position(value or b"")
        if rows:
            with _located(partition):
                raise CorruptStateError(f"{rows} rows of state and no position: part of a copy is missing")
        return None

    @staticmethod
    def _offset_after(message: Message) -> int:
        """Return the offset behind a message or at the end of the partition; -1 for a passing trouble."""
        error = message.error()
        if error is None:
            return int(message.offset() or 0) + 1
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name for it
            return int(message.offset() or 0)
        if error.fatal() or error.code() in _REFUSED:
            raise KafkaException(error)
        # Whatever else a broker in trouble answers passes, or ends with the deadline.
        log.info("restoring: %s", error)
        return -1

    def _uncommitted_bounds(self, changelog: TopicPartition, partition: Partition) -> tuple[int, int]:
        """Return first offset and end of a changelog, open transactions included.

        A reader of committed records alone is told the end before the first open transaction. A transaction
        that its owner was told is committed still counts as open until its markers are written.
        """
        asking = Consumer(
            {**self.config, "group.id": "keepstream-restore", "isolation.level": "read_uncommitted"}
        )
        try:
            return self._watermarks(asking, changelog, partition)
        finally:
            asking.close()

    def _watermarks(self, consumer: Consumer, tp: TopicPartition, partition: Partition) -> tuple[int, int]:
        """Return first offset and end of a partition as a consumer is told, asking until the deadline."""
        until = time.monotonic() + self.deadline_s
        while True:
            try:
                answer = consumer.get_watermark_offsets(tp, timeout=5)
            except KafkaException as error:
                if partition.dropped:
                    raise RestoreCancelledError(str(partition.source)) from error
                if time.monotonic() > until:
                    raise EngineError(f"no offsets of {tp.topic}[{tp.partition}]: {error}") from error
                continue
            if answer is not None:
                return int(answer[0]), int(answer[1])

    def _place(self, partition: Partition, position: int | None, low: int, high: int) -> int:
        """Return where to read on: the committed position, checked against what the log still holds."""
        if position is None:
            return low
        if low <= position <= high:
            return position
        if not self.accept_gap:
            raise position_lost(partition, position, low, high)
        target = low if position < low else high
        self.observer.gap_accepted(partition.source, abs(target - position))
        log.warning("%s: position %d is gone, going on at %d as told", partition.source, position, target)
        return target


@contextmanager
def _located(
    partition: Partition, rows: Sequence[tuple[bytes, bytes | None]] = (), offsets: Sequence[int] = ()
) -> Iterator[None]:
    """Say where in the changelog a row lies that cannot be loaded: the latest one of its key."""
    try:
        yield
    except CorruptStateError as error:
        places = dict(zip((key for key, _ in rows), offsets, strict=True))
        at = f", offset {places[error.key]}, key {error.key!r}" if error.key in places else ""
        raise CorruptChangelogError(
            f"{partition.changelog}[{partition.source.partition}]{at}: state cannot be loaded: {error}. "
            "Nothing was changed. The operations page says how to restore a backup or to begin anew."
        ) from error


def position_lost(partition: Partition, position: int, low: int, high: int) -> PositionLostError:
    """Return the error that says what of a log is gone and what can be done."""
    what = "retention has passed it" if position < low else "the broker has lost the log's end"
    return PositionLostError(
        f"{partition.source}: state stands at offset {position}, but the log holds {low} to {high}: {what}. "
        "Nothing was changed. To go on without the missing events start with --accept-gap."
    )


_REFUSED: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001  # librdkafka's name for it
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError._AUTHENTICATION,  # noqa: SLF001
    }
)
