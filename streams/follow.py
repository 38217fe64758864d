"""Reads topics from outside, committed records only: what `keepstream tail` and `keepstream demo` show."""

from collections import deque
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self

from streams import clients
from streams.errors import BrokerUnavailableError, TopicsError
from streams.settings import Settings

_METADATA_S: Final = 10.0
_CHUNK: Final = 1_000
_MARKERS: Final = 10
"""Offsets to look back for each wanted record: transactions leave markers and aborted records between."""

Start = Literal["beginning", "end"] | int
"""Where to begin: at the first record, behind the last, or with the last so many of each partition."""


class Followed(NamedTuple):
    """One record of a followed topic.

    Parameters
    ----------
    topic, partition, offset
        Where it lies.
    timestamp
        Broker timestamp, epoch milliseconds.
    key, value
        Raw bytes; None where there are none.
    headers
        Pairs of name and bytes.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class Follower:
    """Follows all partitions of some topics without a group: it commits nothing and disturbs nobody.

    Parameters
    ----------
    settings
        Where the broker is.
    topics
        Full names.
    start
        Where to begin.
    partition
        The only partition to follow; None follows all of them.

    Raises
    ------
    TopicsError
        If the broker does not have one of the topics.
    BrokerUnavailableError
        If it does not answer.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Sequence[str],
        start: Start = "end",
        *,
        partition: int | None = None,
    ) -> None:
        from confluent_kafka import Consumer, KafkaException  # noqa: PLC0415  # loads librdkafka

        self._consumer: Any = Consumer(
            clients.confluent(
                settings.broker,
                **{
                    "group.id": "keepstream-follow",
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",
                    "auto.offset.reset": "earliest",
                    "enable.partition.eof": True,
                    "fetch.wait.max.ms": 50,
                    "log_level": 3,
                },
            )
        )
        self._unread: set[tuple[str, int]] = set()
        self._ends: dict[tuple[str, int], int] = {}
        self._newest: dict[tuple[str, int], deque[Followed]] = {}
        try:
            self._assign(topics, start, partition)
        except KafkaException as error:
            self.close()
            raise BrokerUnavailableError(f"{', '.join(topics)}: {error.args[0].str()}") from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def caught_up(self) -> bool:
        """Whether everything has been read that was there at the start."""
        return not self._unread

    def poll(self, seconds: float) -> list[Followed]:
        """Return what came, waiting `seconds` at most for something to come.

        Raises
        ------
        BrokerUnavailableError
            If the broker refuses to be read.
        """
        found = self._read(seconds)
        if not self._newest:
            return found
        for record in found:
            self._newest[record.topic, record.partition].append(record)
        if self._unread:
            return []
        kept = [record for newest in self._newest.values() for record in newest]
        self._newest = {}
        return sorted(kept, key=lambda record: (record.timestamp, record.partition, record.offset))

    def close(self) -> None:
        """Let the broker go."""
        self._consumer.close()

    def _read(self, seconds: float) -> list[Followed]:
        from confluent_kafka import KafkaError  # noqa: PLC0415  # loads librdkafka

        found = []
        first = self._consumer.consume(1, seconds)
        for message in first + (self._consumer.consume(_CHUNK, 0) if first else []):
            error = message.error()
            place = (message.topic(), message.partition())
            if error is None:
                found.append(followed(message))
                reached = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name for it
                reached = message.offset()
            elif error.fatal() or not error.retriable():
                raise BrokerUnavailableError(f"{place[0]}: {error.str()}")
            else:
                continue
            if reached >= self._ends[place]:
                self._unread.discard(place)
        return found

    def _assign(self, topics: Iterable[str], start: Start, only: int | None) -> None:
        from confluent_kafka import TopicPartition  # noqa: PLC0415  # loads librdkafka

        assigned = []
        for topic in topics:
            metadata = self._consumer.list_topics(topic, _METADATA_S).topics[topic]
            if metadata.error is not None or not metadata.partitions:
                raise TopicsError(f"the broker has no topic {topic}; `keepstream topics create` makes ours")
            for number in metadata.partitions if only is None else (only,):
                low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), _METADATA_S)
                if isinstance(start, int):
                    at = max(low, high - _MARKERS * start - _CHUNK)
                    self._newest[topic, number] = deque(maxlen=start)
                else:
                    at = low if start == "beginning" else high
                assigned.append(TopicPartition(topic, number, at))
                self._ends[topic, number] = high
                if at < high:
                    self._unread.add((topic, number))
        self._consumer.assign(assigned)


def followed(message: Any) -> Followed:
    """Return a message of librdkafka as a record."""
    return Followed(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        message.headers() or (),
    )
