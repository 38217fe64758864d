"""The state of stopped workers as a file: saved whole from its topics, loaded into empty ones.

Changelogs hold state and positions, so a copy of them is consistent as long as nobody writes meanwhile and
nothing is on its way between the agents: then what lies in the topics between them need not be copied, and
the positions in these can be set anew. That is checked, not assumed.
"""

import gzip
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Self

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams import clients, topics
from streams.engine.restore import POSITION_KEY, decode_position, encode_position
from streams.errors import BrokerUnavailableError, StateCopyError
from streams.settings import Settings
from streams.topics import Topic
from streams.writer import Writer

Events = Literal["kept", "new"]
"""Whether the event topic beside the loaded state is the one that it was saved beside, or another one."""

SAVED: Final = tuple(topic for topic in topics.TOPICS if topic.compacted and topic is not topics.WORKERS)
_SOURCES: Final = {
    topics.USERS_CHANGELOG: topics.EVENTS,
    topics.ITEMS_CHANGELOG: topics.ITEM_PAIRS,
    topics.TRAINER_CHANGELOG: topics.EXAMPLES,
    topics.RANKER_CHANGELOG: topics.RANK_EXAMPLES,
}
"""By changelog: the topic that the positions in it are of."""

_MAGIC: Final = "keepstream-state"
_VERSION: Final = 1
_PASSING: Final = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
_CHUNK: Final = 5_000
_POLL_S: Final = 0.2
_DEADLINE_S: Final = 60.0


class Copied(NamedTuple):
    """What was saved or loaded: rows by topic, without prefix, and events that the state has not seen."""

    rows: dict[str, int]
    events_ahead: int


class _Part(NamedTuple):
    """One partition of one topic in the file; position None where it holds none."""

    topic: str
    partition: int
    rows: dict[bytes, bytes]
    position: int | None


class _Place(NamedTuple):
    """Where a loaded partition reads on, and how many events lie before it."""

    changelog: str
    partition: int
    position: int
    ahead: int


def save(settings: Settings, file: Path) -> Copied:
    """Write the newest row of every key of every state topic to a file.

    Raises
    ------
    StateCopyError
        When a worker is at work, or has left something between the agents; the message says what to do.
    BrokerUnavailableError
        When the broker stops answering.
    """
    partial = file.with_name(file.name + ".part")
    try:
        with _Reader(settings) as reader, gzip.open(partial, "wb", compresslevel=1) as out:
            copied = _save(settings, reader, out)
        partial.rename(file)
    finally:
        partial.unlink(missing_ok=True)
    return copied


def load(settings: Settings, file: Path, events: Events) -> Copied:
    """Write a saved state into empty topics; missing ones are created.

    Workers that start after that go on where the saved ones had stopped. With ``"kept"`` they read the events
    from there on; with ``"new"`` all events of the topic. Positions come last: of a copy that was broken off
    no worker makes use.

    Raises
    ------
    StateCopyError
        When the file is damaged or of another number of partitions, a topic is not empty, or the event topic
        lacks the position.
    BrokerUnavailableError
        When the broker stops answering.
    """
    rows = dict.fromkeys((topic.name for topic in SAVED), 0)
    for part in _parts(file):  # a first time, to the end: nothing is written from a damaged file
        rows[part.topic] += len(part.rows)
    topics.ensure(settings)
    with _Reader(settings) as reader:
        _check_room(settings, reader, next(_frames(file))[2])
        places = [_place(reader, part, events) for part in _parts(file) if part.position is not None]
    writer, prefix = Writer(settings), settings.broker.topic_prefix
    for part in _parts(file):
        for key, value in part.rows.items():
            writer.put(prefix + part.topic, key, value, partition=part.partition)
    writer.finish()
    for place in places:
        position = encode_position(place.position)
        writer.put(prefix + place.changelog, POSITION_KEY, position, partition=place.partition)
    writer.finish()
    return Copied(rows, sum(place.ahead for place in places))


def _save(settings: Settings, reader: "_Reader", out: gzip.GzipFile) -> Copied:
    before = {topic: reader.ends(topic) for topic in SAVED}
    out.write(_frame([_MAGIC, _VERSION, [len(ends) for ends in before.values()]]))
    rows = dict.fromkeys((topic.name for topic in SAVED), 0)
    ahead = dict.fromkeys((source for source in _SOURCES.values()), 0)
    for topic in SAVED:
        for part in reader.read(topic):
            out.write(_frame(part))
            rows[topic.name] += len(part.rows)
            if topic in _SOURCES:
                ahead[_SOURCES[topic]] += reader.count(_SOURCES[topic], part.partition, part.position)
    if before != {topic: reader.ends(topic) for topic in SAVED}:
        raise StateCopyError("a worker is writing: stop all workers first")
    for source, count in ahead.items():
        if count and source is not topics.EVENTS:
            raise StateCopyError(
                f"{count} records of {source.full_name(settings)} are not applied yet: let the workers "
                "read to the end (keepstream_lag_records 0) before they are stopped"
            )
    return Copied(rows, ahead[topics.EVENTS])


def _check_room(settings: Settings, reader: "_Reader", partitions: list[int]) -> None:
    found = [len(reader.bounds(topic)) for topic in SAVED]
    if found != partitions:
        raise StateCopyError(f"the state has {max(partitions)} partitions, the topics have {max(found)}")
    for topic in (*SAVED, topics.ITEM_PAIRS, topics.EXAMPLES):
        if any(low != high for low, high in reader.bounds(topic)):
            raise StateCopyError(f"{topic.full_name(settings)} is not empty: delete it, it is made anew")


def _place(reader: "_Reader", part: _Part, events: Events) -> _Place:
    source = next(source for changelog, source in _SOURCES.items() if changelog.name == part.topic)
    low, high = reader.bounds(source)[part.partition]
    position = part.position or 0
    if source is not topics.EVENTS or events == "new":
        position = low
    if not low <= position <= high:
        raise StateCopyError(
            f"the state stands at offset {position} of {source.name}[{part.partition}], which holds {low} "
            f"to {high}: it is another event topic or has lost events. --events new reads all that it holds"
        )
    return _Place(part.topic, part.partition, position, high - position if source is topics.EVENTS else 0)


class _Reader:
    """Reads topics of a set of settings, committed records only."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer = Consumer(
            clients.confluent(
                settings.broker,
                **{
                    "group.id": "keepstream-state",
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",
                    "enable.partition.eof": True,
                    "check.crcs": True,
                },
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def bounds(self, topic: Topic) -> list[tuple[int, int]]:
        """Return the first offset and the end of every partition."""
        name = topic.full_name(self._settings)
        until = time.monotonic() + _DEADLINE_S
        while True:
            try:
                return self._bounds(name)
            except KafkaException as error:
                # A topic that was just made has no leader for a moment.
                if error.args[0].code() not in _PASSING or time.monotonic() > until:
                    said = f"{name} cannot be read ({error.args[0].str()}): has a worker run here?"
                    raise BrokerUnavailableError(said) from error
            time.sleep(_POLL_S)

    def _bounds(self, name: str) -> list[tuple[int, int]]:
        found = self._consumer.list_topics(name, _DEADLINE_S).topics[name]
        if found.error is not None:
            raise KafkaException(found.error)
        return [
            self._consumer.get_watermark_offsets(TopicPartition(name, number), _DEADLINE_S)
            for number in sorted(found.partitions)
        ]

    def ends(self, topic: Topic) -> list[int]:
        """Return the end of every partition."""
        return [high for _, high in self.bounds(topic)]

    def read(self, topic: Topic) -> Iterator[_Part]:
        """Yield every partition with the newest row of each key, in the order of the log."""
        for number, (low, _) in enumerate(self.bounds(topic)):
            rows: dict[bytes, bytes | None] = {}
            for key, value in self._records(topic, number, low):
                rows.pop(key, None)
                rows[key] = value
            at = rows.pop(POSITION_KEY, None)
            held = {key: value for key, value in rows.items() if value is not None}
            yield _Part(topic.name, number, held, None if at is None else decode_position(at))

    def count(self, topic: Topic, number: int, position: int | None) -> int:
        """Return how many committed records lie from a position on."""
        low, high = self.bounds(topic)[number]
        start = low if position is None else max(low, position)
        return sum(1 for _ in self._records(topic, number, start)) if start < high else 0

    def _records(self, topic: Topic, number: int, start: int) -> Iterator[tuple[bytes, bytes | None]]:
        name = topic.full_name(self._settings)
        self._consumer.assign([TopicPartition(name, number, start)])
        until = time.monotonic() + _DEADLINE_S
        while time.monotonic() < until:
            for message in self._consumer.consume(_CHUNK, _POLL_S):
                error = message.error()
                if error is None:
                    until = time.monotonic() + _DEADLINE_S
                    yield message.key() or b"", message.value()
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name for it
                    return
                elif error.fatal():
                    raise BrokerUnavailableError(f"{name} cannot be read: {error.str()}")
        raise BrokerUnavailableError(f"{name}[{number}] could not be read to its end: is a transaction open?")


def _frame(content: Any) -> bytes:
    data = msgspec.msgpack.encode(content)
    return len(data).to_bytes(8, "little") + data


def _frames(file: Path) -> Iterator[Any]:
    """Yield what was written, checking that it is whole: gzip keeps a checksum of it all."""
    try:
        with gzip.open(file) as source:
            while head := source.read(8):
                yield msgspec.msgpack.decode(source.read(int.from_bytes(head, "little")))
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError) as error:
        raise StateCopyError(f"{file} cannot be read: {error}") from error


def _parts(file: Path) -> Iterator[_Part]:
    frames = _frames(file)
    match next(frames, None):
        case [str(magic), int(version), list()] if (magic, version) == (_MAGIC, _VERSION):
            pass
        case head:
            raise StateCopyError(f"{file} is no saved state that this release reads: {str(head)[:60]}")
    for frame in frames:
        try:
            yield msgspec.convert(frame, _Part)
        except msgspec.ValidationError as error:
            raise StateCopyError(f"{file} cannot be read: {error}") from error
