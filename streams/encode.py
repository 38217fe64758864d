"""Outputs to bytes: JSON documents in bulk with the keys of their records, their ids, and dead letters.

Every `encode_*` function returns one pair of key and value per document, in order.
"""

import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar
from zlib import crc32

import msgspec

from online_models.churn.scorer import SNAPSHOT_VERSION
from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.events import Reject
from streams.engine.handler import Record
from streams.schemas import (
    ChurnAlert,
    ChurnScore,
    CustomerProfile,
    Intervention,
    ItemNeighbours,
    ModelSnapshot,
    Recommendation,
    RetentionBoard,
    WorkerAnnouncement,
)

KeyValue = tuple[bytes, bytes]
Headers = list[tuple[str, bytes | None]]
Document = TypeVar("Document", bound=msgspec.Struct)

MAX_MESSAGE: Final = 1_000
"""Characters of a reject's message that go into the header."""
MAX_TRACEBACK: Final = 8_000
"""Last characters of a traceback that do."""

_PREFIX: Final = "error."
NULLS: Final = _PREFIX + "null"
"""Header of a dead letter: which of the event's key and value were null."""
_ENCODER: Final = msgspec.json.Encoder()


class DeadLetter(NamedTuple):
    """What the headers of a dead letter say.

    Parameters
    ----------
    reason, message
        Why the record was rejected.
    topic, partition, offset
        Where it lies.
    timestamp
        Broker timestamp of the rejected record, epoch milliseconds.
    traceback
        Where an exception came from; empty unless one was raised.
    """

    reason: str
    message: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    traceback: str = ""


def recommendation_id(partition: int, offset: int) -> str:
    """Return the id of the list that the event at this place caused.

    >>> recommendation_id(3, 1042)
    '3-1042'
    """
    return f"{partition}-{offset}"


def check_id(subject: str, at_ms: int) -> str:
    """Return the id of the score or alert of a subject's check at this event time.

    >>> check_id("u:c-4711", 1772360100250)
    'u:c-4711@1772360100250'
    """
    return f"{subject}@{at_ms}"


def encode_recommendations(documents: Sequence[Recommendation]) -> list[KeyValue]:
    """Return recommendations, keyed by subject."""
    return _encode([document.subject for document in documents], documents)


def encode_alerts(documents: Sequence[ChurnAlert]) -> list[KeyValue]:
    """Return churn alerts, keyed by subject."""
    return _encode([document.subject for document in documents], documents)


def encode_interventions(documents: Sequence[Intervention]) -> list[KeyValue]:
    """Return win-back decisions, keyed by subject."""
    return _encode([document.subject for document in documents], documents)


def encode_scores(documents: Sequence[ChurnScore]) -> list[KeyValue]:
    """Return churn scores, keyed by subject."""
    return _encode([document.subject for document in documents], documents)


def encode_profiles(documents: Sequence[CustomerProfile]) -> list[KeyValue]:
    """Return customers' profiles, keyed by subject."""
    return _encode([document.subject for document in documents], documents)


def encode_boards(documents: Sequence[RetentionBoard]) -> list[KeyValue]:
    """Return retention boards, keyed by partition."""
    return _encode([str(document.source.partition) for document in documents], documents)


def encode_neighbours(documents: Sequence[ItemNeighbours]) -> list[KeyValue]:
    """Return rows of items, keyed by item id."""
    return _encode([document.item_id for document in documents], documents)


def encode_announcement(document: WorkerAnnouncement) -> KeyValue:
    """Return a worker's announcement, keyed by instance."""
    return _encode([document.instance], [document])[0]


def encode_snapshot(document: ModelSnapshot) -> KeyValue:
    """Return a model snapshot, keyed by the model's name.

    Raises
    ------
    InvalidParameterError
        If the state would not survive: JSON knows neither NaN nor Infinity, nor keys that are no texts.
    """
    pair = _encode([document.model], [document])[0]
    if read(ModelSnapshot, pair[1]).state != document.state:
        raise InvalidParameterError(f"state of {document.model_version} holds a value that JSON cannot carry")
    return pair


def sealed(document: ModelSnapshot) -> ModelSnapshot:
    """Return a snapshot with its checksum: a digit that changed on its way would else be another weight."""
    plain = msgspec.structs.replace(document, checksum=0)
    return msgspec.structs.replace(plain, checksum=crc32(_ENCODER.encode(plain)))


def read_snapshot(value: bytes) -> ModelSnapshot:
    """Return a model snapshot that `encode_snapshot` has written.

    Raises
    ------
    CorruptStateError
        If the value is something else, is damaged, or is of a newer release.
    """
    document = read(ModelSnapshot, value)
    if document.format > SNAPSHOT_VERSION:
        raise CorruptStateError(
            f"{document.model_version} is of a newer release: format {document.format}, "
            f"this one reads up to {SNAPSHOT_VERSION}"
        )
    if document.checksum and sealed(document).checksum != document.checksum:
        raise CorruptStateError(f"{document.model_version} is damaged: its checksum does not fit")
    return document


def read(kind: type[Document], value: bytes) -> Document:
    """Return a document that one of the functions above has written.

    Parameters
    ----------
    kind
        Its struct.
    value
        The record's value.

    Raises
    ------
    CorruptStateError
        If the value is something else.
    """
    try:
        return msgspec.json.decode(value, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptStateError(f"no {kind.__name__}: {error}") from error


def dead_letter(
    record: Record, reject: Reject, topic: str, partition: int, error: BaseException | None = None
) -> Headers:
    """Return the headers of a rejected record's dead letter; its key and value stay as they are.

    Headers of the record are kept, except those of an earlier rejection. Where key or value are null, the
    dead letter has empty bytes (see `not_null`), and a header says which of the two were null.

    Parameters
    ----------
    record
        The rejected record.
    reject
        Why.
    topic, partition
        Where it was read.
    error
        What applying it raised.

    >>> dead_letter(Record(7, 1772360100250, None, b"{}"), Reject("no_subject", "nobody"), "t", 3)[:2]
    [('error.reason', b'no_subject'), ('error.message', b'nobody')]
    """
    said = DeadLetter(
        reject.reason,
        reject.message[:MAX_MESSAGE],
        topic,
        partition,
        record.offset,
        record.timestamp,
        # The end of a traceback says most.
        "" if error is None else "".join(traceback.format_exception(error))[-MAX_TRACEBACK:],
    )
    kept: Headers = [(name, value) for name, value in record.headers if not name.startswith(_PREFIX)]
    kept += [
        (_PREFIX + name, str(value).encode(errors="replace"))
        for name, value in said._asdict().items()
        if value != "" or name != "traceback"
    ]
    nulls = [name for name in ("key", "value") if getattr(record, name) is None]
    return [*kept, (NULLS, ",".join(nulls).encode())] if nulls else kept


def not_null(part: bytes | None) -> bytes:
    """Return the key or value of a dead letter: empty bytes stand for null.

    The topic is compacted: a null key would be refused, and a null value would delete what is under the key.
    """
    return b"" if part is None else part


def read_dead_letter(headers: Iterable[tuple[str, bytes | None]]) -> DeadLetter | None:
    """Return what the headers of a dead letter say, or None if these are the headers of something else.

    >>> read_dead_letter([("error.reason", b"poison")]) is None
    True
    """
    said: Mapping[str, Any] = {
        name.removeprefix(_PREFIX): value.decode(errors="replace")
        for name, value in headers
        if name.startswith(_PREFIX) and value is not None
    }
    try:
        values = [said[name] for name in DeadLetter._fields if name in said or name != "traceback"]
        return msgspec.convert(values, type=DeadLetter, strict=False)
    except (KeyError, msgspec.ValidationError):
        return None


def _encode(keys: Sequence[str], documents: Sequence[msgspec.Struct]) -> list[KeyValue]:
    lines = _ENCODER.encode_lines(documents).split(b"\n")  # JSON holds no raw line breaks
    return [(key.encode(), line) for key, line in zip(keys, lines, strict=False)]
