"""The contract of a file layout, and the loops that most layouts share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import xxhash

from streams.sources.files import InputFile
from streams.sources.head import Columns, Head
from streams.sources.tables import Row, table_rows

EventDict = dict[str, Any]
"""A flat Keepstream event, ready to be encoded as JSON."""

Event = EventDict | bytes
"""What a layout yields: an event, or bytes that are sent on as they are."""


class Bad(NamedTuple):
    """Why a row holds no event; `reason` is counted, `message` shown for the first few."""

    reason: str
    message: str


class Skipped(NamedTuple):
    """A row that was not turned into an event, with its line (or row) number."""

    line: int
    reason: str
    message: str


Read = Event | Skipped
Convert = Callable[[Sequence[Any]], EventDict | Bad]


def row_id(tag: str, number: int, raw: bytes) -> str:
    """Return an event id that is the same whenever the same file is read, and differs between equal rows.

    >>> row_id("otto", 17, b"a,b") == row_id("otto", 17, b"a,b") != row_id("otto", 18, b"a,b")
    True
    """
    return f"{tag}-{number:x}-{xxhash.xxh3_64_hexdigest(raw)}"


class Layout(ABC):
    """One layout of files: knows its files by their first rows, and turns rows into events."""

    name: ClassVar[str]
    """What `--format` calls it."""
    title: ClassVar[str]
    """What it is, in a few words."""

    @abstractmethod
    def confidence(self, head: Head) -> float:
        """Return from 0 (certainly not) to 1 (certainly) how likely the file has this layout."""

    @abstractmethod
    def read(self, source: InputFile, head: Head) -> Iterator[Read]:
        """Yield the events of the file in its order, and the rows that hold none."""


class TableLayout(Layout):
    """A layout of delimited text or Parquet in which every row is one event."""

    wanted: ClassVar[tuple[tuple[str, ...], ...]]
    """Columns that must exist, each with its aliases, in the spelling of `Columns`."""

    def confidence(self, head: Head) -> float:
        """Return .98 if every wanted column exists, else 0."""
        return 0.98 if head.columns is not None and head.columns.has_all(self.wanted) else 0.0

    @abstractmethod
    def converter(self, columns: Columns) -> Convert:
        """Return the function that turns the cells of a row into an event without its id."""

    def read(self, source: InputFile, head: Head) -> Iterator[Read]:
        """Yield one event a row."""
        columns = head.columns_for(self.name, self.wanted)
        convert = self.converter(columns)
        for row in table_rows(source, head, columns):
            if not isinstance(row, Row):
                yield Skipped(*row)
                continue
            event = convert(row.cells)
            if isinstance(event, Bad):
                yield Skipped(row.number, *event)
            else:
                event.setdefault("event_id", row_id(self.name, row.number, row.raw))
                yield event


class GroupedLayout(Layout):
    """A layout of delimited text or Parquet in which consecutive rows with one key are one event."""

    wanted: ClassVar[tuple[tuple[str, ...], ...]]
    most_items: ClassVar[int] = 200
    """An event holds at most so many items; a larger group becomes several events."""

    def confidence(self, head: Head) -> float:
        """Return .98 if every wanted column exists, else 0."""
        return 0.98 if head.columns is not None and head.columns.has_all(self.wanted) else 0.0

    @abstractmethod
    def group_key(self, columns: Columns) -> Callable[[Sequence[Any]], object]:
        """Return the function that gives the key of a row."""

    @abstractmethod
    def combine(self, rows: Sequence[Row], columns: Columns) -> Iterable[EventDict | Skipped]:
        """Turn the rows of one group into events without ids."""

    def read(self, source: InputFile, head: Head) -> Iterator[Read]:
        """Yield the events of one group after the other."""
        columns = head.columns_for(self.name, self.wanted)
        for rows in self._groups(source, head, columns):
            if isinstance(rows, Skipped):
                yield rows
                continue
            part = 0
            for event in self.combine(rows, columns):
                if isinstance(event, dict):
                    first = rows[0]
                    event["event_id"] = row_id(self.name, first.number, first.raw + part.to_bytes(4))
                    part += 1
                yield event

    def _groups(self, source: InputFile, head: Head, columns: Columns) -> Iterator[list[Row] | Skipped]:
        key_of = self.group_key(columns)
        group: list[Row] = []
        current: object = None
        for row in table_rows(source, head, columns):
            if not isinstance(row, Row):
                yield Skipped(*row)
                continue
            key = key_of(row.cells)
            if group and key != current:
                yield group
                group = []
            current = key
            group.append(row)
        if group:
            yield group


def without_nones(event: Mapping[str, Any]) -> EventDict:
    """Return the event without the fields that are None.

    >>> without_nones({"user_id": "1", "value": None})
    {'user_id': '1'}
    """
    return {name: value for name, value in event.items() if value is not None}
