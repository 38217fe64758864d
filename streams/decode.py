"""Records to columns: every record becomes an event of an `EventBatch` or a reject with a reason."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from operator import itemgetter
from typing import Final

import msgspec
import numpy as np

from online_models.errors import InvalidParameterError
from online_models.events import KIND, OTHER, EventBatch, Int64s, Reject, hash_ids
from streams import cloud_events
from streams.engine.handler import Record
from streams.malformed import UNREADABLE, explain
from streams.pseudonyms import Pseudonyms
from streams.schemas.event import Event, Item
from streams.scrutiny import Read, Scrutiny

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a run of records holds.

    Parameters
    ----------
    events
        The accepted events in log order.
    index
        (n,) position of each event's record in the run.
    rejects
        Position and reason of every other record, in log order.
    """

    events: EventBatch
    index: Int64s
    rejects: list[tuple[int, Reject]]


class Decoder:
    """Reads events as they lie in the log; the same records always give the same answer.

    Parameters
    ----------
    max_event_bytes
        Longest accepted value, bytes.
    future_tolerance_ms
        How far an event's time may lie ahead of its record's timestamp, milliseconds.
    max_depth
        Deepest accepted nesting of objects and arrays.
    pseudonyms
        Replace the ids of users and visitors; None keeps them.

    Raises
    ------
    InvalidParameterError
        If a limit is not positive (`future_tolerance_ms`: negative), or `max_depth` exceeds 100.

    Examples
    --------
    >>> value = b'{"event_id": "e1", "event_name": "login", "event_time": 1772360100250, "user_id": "c-1"}'
    >>> records = [Record(0, 1772360100300, b"c-1", value), Record(1, 1772360100301, b"c-1", b"{}")]
    >>> decoded = Decoder().decode(records)
    >>> decoded.events.subject, decoded.rejects[0][1].reason
    (['u:c-1'], 'missing_field')
    """

    def __init__(
        self,
        *,
        max_event_bytes: int = 256 * 1024,
        future_tolerance_ms: int = 300_000,
        max_depth: int = 32,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        if max_event_bytes < 1:
            raise InvalidParameterError(f"max_event_bytes must be at least 1, got {max_event_bytes}")
        if future_tolerance_ms < 0:
            raise InvalidParameterError(
                f"future_tolerance_ms must not be negative, got {future_tolerance_ms}"
            )
        if not 1 <= max_depth <= 100:
            raise InvalidParameterError(f"max_depth must be from 1 to 100, got {max_depth}")
        self._max_event_bytes = max_event_bytes
        self._max_depth = max_depth
        self._pseudonyms = pseudonyms
        self._scrutiny = Scrutiny(future_tolerance_ms=future_tolerance_ms, max_depth=max_depth)
        self._parse = msgspec.json.Decoder(Event).decode

    def decode(self, records: Sequence[Record]) -> Decoded:
        """Return the events of the records as columns, and the rejects.

        Parameters
        ----------
        records
            Consecutive records of one partition.
        """
        read, rejects = self._read_all(records)
        index = np.array(read.places, np.int64)
        times = _times(read.events)
        stamps = np.array([record.timestamp for record in records], np.int64)[index]
        found = self._scrutiny.judge(read, times, stamps)
        events: Sequence[Event] = read.events
        if found:
            rejects.extend((read.places[row], reject) for row, reject in found.items())
            rejects.sort(key=itemgetter(0))
            kept = [row for row in range(len(events)) if row not in found]
            events, index, times = [events[row] for row in kept], index[kept], times[kept]
        offsets = np.array([record.offset for record in records], np.int64)[index]
        subjects = _subjects(events)
        if self._pseudonyms is not None:
            subjects = [self._pseudonyms.subject(subject) for subject in subjects]
        return Decoded(_columns(events, subjects, times, offsets), index, rejects)

    def _read_all(self, records: Sequence[Record]) -> tuple[Read, list[tuple[int, Reject]]]:
        """Read every record into a struct, or note why it cannot be."""
        read = Read([], [], [])
        rejects: list[tuple[int, Reject]] = []
        parse, limit = self._parse, self._max_event_bytes
        events, values, places = read
        for position, record in enumerate(records):
            raw = record.value
            if not raw or len(raw) > limit:
                rejects.append((position, self._unread(raw)))
                continue
            try:
                event = parse(raw)
            except UNREADABLE as error:
                outcome = self._second_look(raw, record.headers, error)
                if isinstance(outcome, Reject):
                    rejects.append((position, outcome))
                    continue
                event, raw = outcome
            events.append(event)
            values.append(raw)
            places.append(position)
        return read, rejects

    def _unread(self, raw: bytes | None) -> Reject:
        if not raw:
            return Reject("empty_value", "the record has no value")
        return Reject("too_large", f"{len(raw)} bytes, at most {self._max_event_bytes} are accepted")

    def _second_look(
        self, raw: bytes, headers: Sequence[tuple[str, bytes | None]], error: Exception
    ) -> tuple[Event, bytes] | Reject:
        """Return the event completed from its CloudEvents headers, else the reject."""
        if headers and "missing required field" in str(error):
            try:
                filled = cloud_events.fill(raw, headers)
                if filled is not None:
                    return self._parse(filled), filled
            except UNREADABLE as still:
                return explain(still, raw, self._max_depth)
        return explain(error, raw, self._max_depth)


def _times(events: Sequence[Event]) -> Int64s:
    """Return (n,) event times, epoch milliseconds, rounded down."""
    times = [event.event_time for event in events]
    return np.array(
        [time if isinstance(time, int) else (time - _EPOCH) // _MILLISECOND for time in times], np.int64
    )


def _subjects(events: Sequence[Event]) -> list[str]:
    return ["a:" + str(e.anonymous_id) if e.user_id is None else "u:" + e.user_id for e in events]


def _columns(events: Sequence[Event], subjects: list[str], times: Int64s, offsets: Int64s) -> EventBatch:
    groups = [_items(event) for event in events]
    items = list(chain.from_iterable(groups))
    names = [item.item_id for item in items]
    starts = np.zeros(len(events) + 1, np.int64)
    np.cumsum([len(group) for group in groups], out=starts[1:])
    return EventBatch(
        subject=subjects,
        event_id=hash_ids([event.event_id for event in events]),
        kind=np.array([KIND.get(event.event_name, OTHER) for event in events], np.int8),
        time=times,
        offset=offsets,
        session=hash_ids([event.session_id or "" for event in events]),
        value=np.array([event.value for event in events], np.float64),  # None becomes NaN
        rating=np.array([event.rating for event in events], np.float64),
        item_start=starts,
        item=names,
        item_hash=hash_ids(names),
        category=[item.item_category or "" for item in items],
        price=np.array([item.price for item in items], np.float64),
        quantity=np.array([1.0 if item.quantity is None else item.quantity for item in items], np.float64),
    )


def _items(event: Event) -> Sequence[Item]:
    """Return the distinct items of an event."""
    items = event.items
    if items:
        if len(items) == 1 or len({item.item_id for item in items}) == len(items):
            return items
        return list(_merged(items))
    if event.item_id is None:
        return ()
    return (Item(event.item_id, event.item_category, event.item_brand, event.price, event.quantity),)


def _merged(items: Sequence[Item]) -> Iterator[Item]:
    """Yield each item once: its first known category, brand and price, and its quantities added."""
    same: dict[str, list[Item]] = {}
    for item in items:
        same.setdefault(item.item_id, []).append(item)
    for item_id, group in same.items():
        yield Item(
            item_id,
            next((item.item_category for item in group if item.item_category), None),
            next((item.item_brand for item in group if item.item_brand), None),
            next((item.price for item in group if item.price is not None), None),
            sum(1.0 if item.quantity is None else item.quantity for item in group),
        )
