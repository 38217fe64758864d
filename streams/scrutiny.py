"""The rules that structs cannot state, run over a whole batch at once so that good events pay little."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from online_models.events import Int64s, Reject
from streams.malformed import NO_CURRENCY, OUTSIDE, SINGULAR, depth, not_utf8, repeated_key, too_deep
from streams.schemas.event import Event
from streams.schemas.fields import EARLIEST_MS, LATEST_MS

_QUOTED: Final = tuple(f'"{name}"'.encode() for name in SINGULAR)
_ESCAPED_ASCII: Final = re.compile(rb"\\u00[4-7]")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
_IDS: Final = ("event_id", "user_id", "anonymous_id", "session_id", "item_id")

Found = Iterator[tuple[int, Reject]]


class Read(NamedTuple):
    """Events that could be read, the bytes they were read from, and where these lie.

    Parameters
    ----------
    events, values
        n structs and their JSON texts.
    places
        n positions of their records in the run.
    """

    events: list[Event]
    values: list[bytes]
    places: list[int]


class Scrutiny:
    """Finds the events of a batch that break a rule.

    Every rule first asks the batch as a whole, and looks at single events only where the answer leaves a
    doubt; an event's verdict depends on its own record alone.

    Parameters
    ----------
    future_tolerance_ms
        How far an event's time may lie ahead of its record's timestamp, milliseconds.
    max_depth
        Deepest accepted nesting.
    """

    def __init__(self, *, future_tolerance_ms: int, max_depth: int) -> None:
        self._future_tolerance_ms = future_tolerance_ms
        self._max_depth = max_depth

    def judge(self, read: Read, times: Int64s, stamps: Int64s) -> dict[int, Reject]:
        """Return the first broken rule of every row that breaks one.

        Parameters
        ----------
        read
            n events.
        times
            (n,) event times, epoch milliseconds.
        stamps
            (n,) broker timestamps of their records, epoch milliseconds; negative where unknown.
        """
        text = b"\n".join(read.values)
        found: dict[int, Reject] = {}
        for rule in (
            _not_utf8(read, text),
            self._too_deep(read, text),
            _repeated(read, text),
            _bad_ids(read, text),
            _bad_currencies(read),
            _without_subject(read),
            _bad_times(times),
            self._from_the_future(times, stamps),
        ):
            for row, reject in rule:
                found.setdefault(row, reject)
        return found

    def _too_deep(self, read: Read, text: bytes) -> Found:
        lists = [event.items for event in read.events if event.items is not None]
        openers = text.count(b"{") + text.count(b"[") - len(read.events) - len(lists) - sum(map(len, lists))
        if openers + 3 <= self._max_depth:
            return  # all that lies beside events, lists and items is not enough even in one event
        for row, value in enumerate(read.values):
            if value.count(b"{") + value.count(b"[") > self._max_depth and depth(value) > self._max_depth:
                yield row, too_deep(self._max_depth)

    def _from_the_future(self, times: Int64s, stamps: Int64s) -> Found:
        tolerance = self._future_tolerance_ms
        for row in np.flatnonzero((stamps >= 0) & (times - tolerance > stamps)).tolist():
            ahead = (int(times[row]) - int(stamps[row])) / 1000
            message = f"event_time: {ahead:.3f} s after its record, {tolerance / 1000:g} s are tolerated"
            yield row, Reject("from_the_future", message)


def _not_utf8(read: Read, text: bytes) -> Found:
    if text.isascii():
        return
    for row, value in enumerate(read.values):
        try:
            value.decode()
        except UnicodeDecodeError as error:
            yield row, not_utf8(error)


def _repeated(read: Read, text: bytes) -> Found:
    """Find repeated names; one that the text holds as often as events have the field repeats nowhere."""
    events = read.events
    escaped = b"\\" in text and _ESCAPED_ASCII.search(text) is not None  # names may hide behind escapes
    present = {
        b'"event_': 3 * len(events),
        b'"user_id"': sum([event.user_id is not None for event in events]),
        b'"anonymous_id"': sum([event.anonymous_id is not None for event in events]),
        b'"items"': sum([event.items is not None for event in events]),
    }
    if not escaped and all(text.count(name) == count for name, count in present.items()):
        return
    for row, value in enumerate(read.values):
        if any(value.count(name) > 1 for name in _QUOTED) or (escaped and _ESCAPED_ASCII.search(value)):
            reject = repeated_key(value)
            if reject:
                yield row, reject


def _bad_ids(read: Read, text: bytes) -> Found:
    """Find blank ids and ids with control characters, where the text can hold any."""
    if text.isascii() and not any(mark in text for mark in (b"\\", b'" ', b"\x7f")):
        return
    for name in _IDS:
        column = [getattr(event, name) or "" for event in read.events]
        yield from _judged(name, column, range(len(column)))
    rows = [row for row, event in enumerate(read.events) for _ in event.items or ()]
    items = [item.item_id for event in read.events for item in event.items or ()]
    yield from _judged("items[].item_id", items, rows)


def _judged(name: str, ids: Sequence[str], rows: Sequence[int]) -> Found:
    checks: tuple[tuple[Callable[[str], object], Reject], ...] = (
        (str.isspace, Reject("empty_value", f"{name}: is blank")),
        (_CONTROL.search, Reject("bad_value", f"{name}: holds a control character")),
    )
    for wrong, reject in checks:
        if any(map(wrong, ids)):
            yield from ((row, reject) for row, id_ in zip(rows, ids, strict=True) if wrong(id_))


def _bad_currencies(read: Read) -> Found:
    column = [event.currency for event in read.events]
    bad = {
        code for code in set(column) if code and not (code.isascii() and code.isalpha() and code.isupper())
    }
    if bad:
        reject = Reject("bad_value", f"currency: {NO_CURRENCY}")
        yield from ((row, reject) for row, code in enumerate(column) if code in bad)


def _without_subject(read: Read) -> Found:
    for row, event in enumerate(read.events):
        if event.user_id is None and event.anonymous_id is None:
            yield row, Reject("no_subject", "neither user_id nor anonymous_id is given")


def _bad_times(times: Int64s) -> Found:
    for row in np.flatnonzero((times < EARLIEST_MS) | (times >= LATEST_MS)).tolist():
        yield row, Reject("bad_time", f"event_time: {OUTSIDE}")
