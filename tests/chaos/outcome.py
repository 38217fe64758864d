"""Everything that a run left behind, read back from the broker in a form that two runs can be compared in."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import xxhash
from confluent_kafka import Message

from online_models import lessons
from online_models.admission import ROW_PREFIX as ADMISSION_ROWS
from online_models.churn.labels import ExampleBatch
from online_models.events import hash_ids
from online_models.items.pairs import PairBatch
from online_models.items.rank_examples import RankExamples
from online_models.journal import Journal
from online_models.winback.outcomes import OutcomeBatch
from streams import model_rows, topics
from streams.encode import read_dead_letter
from streams.engine.restore import POSITION_KEY, decode_position
from tests.chaos.reading import records
from tests.chaos.shop import ShopRun

Rows64 = npt.NDArray[np.int64]
Rows = dict[int, dict[bytes, bytes]]
"""Newest row of every key, by partition; erased ones are left out."""

OUTPUTS = (
    topics.RECOMMENDATIONS,
    topics.ALERTS,
    topics.INTERVENTIONS,
    topics.SCORES,
    topics.PROFILES,
    topics.RETENTION,
    topics.DEAD_LETTERS,
    topics.MODELS,
    topics.NEIGHBOURS,
)
"""What readers see, and must see once."""


class Place(NamedTuple):
    """Where a record lies, and a hash of it: what two readers must agree on."""

    partition: int
    offset: int
    digest: int


class Document(NamedTuple):
    """An output: its key, its id and a number that must grow from one output of a key to the next."""

    key: bytes
    id: str
    order: int
    content: str


@dataclass
class Outcome:
    """What a run left behind.

    Attributes
    ----------
    events
        (key, value) of the event log, by partition.
    users, items, trainer, ranker
        State rows.
    positions, committed
        Position rows and committed offsets, by source topic and partition.
    pairs
        Records of item pairs, by partition, in order.
    sent_ms
        When each of them was written, by partition, epoch milliseconds.
    examples, outcomes
        Records of training examples, in order, and of what came of win-back.
    rank_examples
        Records of sets of candidates, in order.
    documents
        Outputs in the order of their partitions, by topic name without prefix.
    erased
        Keys whose newest record is a tombstone, by topic name.
    places
        The same records as a reader finds them, by topic name and partition.
    """

    events: dict[int, list[tuple[bytes | None, bytes]]] = field(default_factory=lambda: defaultdict(list))
    users: Rows = field(default_factory=dict)
    items: Rows = field(default_factory=dict)
    trainer: Rows = field(default_factory=dict)
    ranker: Rows = field(default_factory=dict)
    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    committed: dict[tuple[str, int], int] = field(default_factory=dict)
    pairs: dict[int, list[PairBatch]] = field(default_factory=lambda: defaultdict(list))
    sent_ms: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    examples: list[ExampleBatch] = field(default_factory=list)
    outcomes: list[OutcomeBatch] = field(default_factory=list)
    rank_examples: list[RankExamples] = field(default_factory=list)
    documents: dict[str, list[Document]] = field(default_factory=dict)
    erased: dict[str, set[bytes]] = field(default_factory=dict)
    places: dict[str, list[Place]] = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return sum(map(len, self.documents.values()))


def read_outcome(run: ShopRun) -> Outcome:
    """Read what a run left behind; its workers have stopped."""
    found = Outcome()
    _read_logs(run, found)
    offsets = run.positions()
    for source, changelog, rows in (
        (topics.EVENTS, topics.USERS_CHANGELOG, found.users),
        (topics.ITEM_PAIRS, topics.ITEMS_CHANGELOG, found.items),
        (topics.EXAMPLES, topics.TRAINER_CHANGELOG, found.trainer),
        (topics.RANK_EXAMPLES, topics.RANKER_CHANGELOG, found.ranker),
    ):
        for partition, state in _rows(run, changelog).items():
            found.positions[source.name, partition] = decode_position(state.pop(POSITION_KEY))
            found.committed[source.name, partition] = offsets[run.topic(source), partition]
            rows[partition] = opened(state.items())
    for number, state in found.users.items():
        found.users[number] = _merged_ids(state)
    for topic in OUTPUTS:
        by_partition: dict[int, list[Message]] = defaultdict(list)
        for message in records(run.bootstrap, run.topic(topic)):
            by_partition[message.partition()].append(message)
        ordered = [message for number in sorted(by_partition) for message in by_partition[number]]
        found.places[topic.name] = [place_of(message) for message in ordered]
        found.documents[topic.name] = [_document(topic, m) for m in ordered if _is_document(topic, m)]
        newest = {message.key(): message.value() for message in ordered}
        found.erased[topic.name] = {key for key, value in newest.items() if value is None}
    return found


def _read_logs(run: ShopRun, found: Outcome) -> None:
    """Read what went into the agents."""
    for message in records(run.bootstrap, run.topic(topics.EVENTS)):
        found.events[message.partition()].append((message.key(), message.value()))
    for message in records(run.bootstrap, run.topic(topics.ITEM_PAIRS)):
        found.pairs[message.partition()].append(PairBatch.unpack(message.value()))
        found.sent_ms[message.partition()].append(message.timestamp()[1])
    for message in records(run.bootstrap, run.topic(topics.EXAMPLES)):
        lesson = lessons.unpack(message.value())
        if isinstance(lesson, OutcomeBatch):
            found.outcomes.append(lesson)
        else:
            assert isinstance(lesson, ExampleBatch)
            found.examples.append(lesson)
    for message in records(run.bootstrap, run.topic(topics.RANK_EXAMPLES)):
        found.rank_examples.append(RankExamples.unpack(message.value()))


def opened(rows: Iterable[tuple[bytes, bytes | None]]) -> dict[bytes, bytes]:
    """Return rows as a store made them, without the seals."""
    return {key: value for key, value in Journal().open(rows) if value is not None}


def place_of(message: Message) -> Place:
    """Return where a message lies and what it holds."""
    digest = xxhash.xxh64_intdigest((message.key() or b"") + b"\0" + (message.value() or b""))
    return Place(message.partition(), message.offset(), digest)


def _rows(run: ShopRun, changelog: topics.Topic) -> Rows:
    """Return the newest row of every key: what compaction would leave."""
    rows: Rows = defaultdict(dict)
    for message in records(run.bootstrap, run.topic(changelog)):
        if message.value() is None:
            rows[message.partition()].pop(message.key(), None)
        else:
            rows[message.partition()][message.key()] = message.value()
    return rows


def _merged_ids(rows: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Put the remembered event ids of an hour into one row, sorted: each checkpoint writes one of its own."""
    merged = {key: value for key, value in rows.items() if not key.startswith(ADMISSION_ROWS)}
    ids: dict[bytes, list[bytes]] = defaultdict(list)
    for key, value in rows.items():
        if key.startswith(ADMISSION_ROWS):
            hour = key.rpartition(b":")[0]
            ids[hour] += [value[at : at + 8] for at in range(0, len(value), 8)]
    return merged | {hour: b"".join(sorted(values)) for hour, values in ids.items()}


def _is_document(topic: topics.Topic, message: Message) -> bool:
    """Tell what is said from tombstones, and from a model that is kept under the day besides."""
    if message.value() is None:
        return False
    row = model_rows.parse(message.key() or b"") if topic is topics.MODELS else None
    return row is None or row.kind == "newest"


def _document(topic: topics.Topic, message: Message) -> Document:
    key = message.key() or b""
    if topic is topics.DEAD_LETTERS:
        letter = read_dead_letter(message.headers())
        assert letter is not None
        # The key of a reject may be none: order is that of the log.
        id_ = f"{letter.partition}-{letter.offset}"
        return Document(b"%d" % letter.partition, id_, letter.offset, letter.reason)
    content: dict[str, Any] = json.loads(message.value())
    if topic is topics.MODELS:
        return Document(key, content["model_version"], int(content["model_version"].split("-")[1]), "")
    if topic is topics.NEIGHBOURS:
        # Said again after a restore: what must hold is that no older row follows a newer one.
        return Document(key, f"{message.partition()}-{message.offset()}", content["touches"], "")
    if topic is topics.RECOMMENDATIONS:
        return Document(key, content["id"], int(content["id"].split("-")[1]), "")
    # What the record tells of the batch it was found in may differ; what was found may not.
    del content["source"]
    if topic is topics.INTERVENTIONS:
        # A decision's list is, like every list, as of the end of its batch.
        content.pop("items", None)
    if (outcome := content.get("outcome")) is not None:
        # Said when it is final, behind decisions that came later.
        return Document(
            key, f"{content['id']}, outcome", outcome["event_time"], json.dumps(content, sort_keys=True)
        )
    return Document(key, content["id"], content["event_time"], json.dumps(content, sort_keys=True))


def touch_rows(batches: dict[int, list[PairBatch]]) -> Rows64:
    """Return every touch that was passed on, sorted: whatever records they came in."""
    found = [
        (
            np.full(batch.touch_item.size, number),
            batch.hashes[batch.touch_item].view(np.int64),
            hash_ids(batch.categories)[batch.touch_category].view(np.int64),
            batch.touch_time,
            batch.touch_price.view(np.int64),
        )
        for number, records in batches.items()
        for batch in records
    ]
    return _sorted(found)


def pair_rows(batches: dict[int, list[PairBatch]]) -> Rows64:
    """Return every pair that was passed on, sorted."""
    found = [
        (
            np.full(batch.owner.size, number),
            batch.hashes[batch.owner].view(np.int64),
            batch.hashes[batch.partner].view(np.int64),
            batch.distance.astype(np.int64),
            batch.weight.astype(np.float64).view(np.int64),
            batch.time,
        )
        for number, records in batches.items()
        for batch in records
    ]
    return _sorted(found)


def _sorted(parts: Sequence[Sequence[npt.NDArray[Any]]]) -> Rows64:
    columns = [np.concatenate(column).astype(np.int64) for column in zip(*parts, strict=True)]
    return np.stack(columns, axis=1)[np.lexsort(columns)]


def example_counts(batches: list[ExampleBatch]) -> Counter[bytes]:
    """Return how often each example was passed on, down to the last bit of its features."""
    counts: Counter[bytes] = Counter()
    for batch in batches:
        columns = (batch.kind, batch.label, batch.landmark_ms, batch.matured_ms, batch.subject)
        plain = [column.tolist() for column in columns]
        counts.update(
            msgspec.msgpack.encode([*values, batch.features[n].tobytes()])
            for n, values in enumerate(zip(*plain, strict=True))
        )
    return counts


def rank_touches(batches: list[RankExamples]) -> Counter[int]:
    """Return of which moments how many sets were passed on."""
    counts: Counter[int] = Counter()
    for batch in batches:
        counts.update(batch.time_ms.tolist())
    return counts
