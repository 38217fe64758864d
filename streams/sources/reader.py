"""Reading files of any layout as one stream of events."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, Self

from streams.errors import SourceError
from streams.sources.detect import layout_of
from streams.sources.files import InputFile
from streams.sources.head import Head, head_of
from streams.sources.layout import Event, Layout, Skipped
from streams.sources.mapping import FieldMapping
from streams.sources.ordering import OrderWatch, in_time_order
from streams.sources.record import SourceRecord, record_of
from streams.sources.report import SourceReport

Path = str | os.PathLike[str]

LOOK_AHEAD: Final = 20_000
"""Events whose order is looked at before the first is handed out."""


class EventReader:
    """The events of some files in file order; opens all and settles their layouts before the first is read.

    Parameters
    ----------
    paths
        Files in any mix of layouts, plain, gzip, zstandard or Parquet; ``-`` is standard input.
    format
        A name out of `streams.sources.detect.LAYOUTS` for all files; None looks at each.
    mapping
        Columns of the fields, for tables of no known layout, in the notation of `FieldMapping.of`.

    Raises
    ------
    SourceError
        If a file cannot be read or its layout is not clear.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        *,
        format: str | None = None,  # noqa: A002  # named as the option
        mapping: Mapping[str, str] | FieldMapping | None = None,
    ) -> None:
        if mapping is not None and not isinstance(mapping, FieldMapping):
            mapping = FieldMapping.of(mapping)
        self._files: list[InputFile] = []
        self._plan: list[tuple[InputFile, Head, Layout]] = []
        self.report = SourceReport()
        try:
            for path in paths:
                source = InputFile(path)
                self._files.append(source)
                head = head_of(source)
                self._plan.append((source, head, layout_of(head, format, mapping)))
        except BaseException:
            self.close()
            raise
        if not self._files:
            raise SourceError("no file given")

    @property
    def layouts(self) -> Sequence[tuple[str, str]]:
        """File and name of its layout, in reading order."""
        return [(source.name, layout.name) for source, _, layout in self._plan]

    @property
    def bytes_total(self) -> int:
        """Size of all files as they lie on disk; 0 if one is standard input."""
        sizes = [source.size for source in self._files]
        return sum(sizes) if all(sizes) else 0

    @property
    def bytes_read(self) -> int:
        """Bytes of the files, as they lie on disk, read so far."""
        return sum(source.bytes_read for source in self._files)

    def __iter__(self) -> Iterator[Event]:
        """Yield the events once; rows that hold none are counted in `report`."""
        report = self.report
        for source, head, layout in self._plan:
            for entry in layout.read(source, head):
                if isinstance(entry, Skipped):
                    report.skip(source.name, *entry)
                else:
                    report.events += 1
                    yield entry
            source.close()

    def records(self) -> Iterator[SourceRecord]:
        """Yield the events as they are sent."""
        return map(record_of, self)

    def sorted_records(self) -> Iterator[SourceRecord]:
        """Yield the events of all files by time; everything is read before the first comes out."""
        return in_time_order(self.records())

    def close(self) -> None:
        """Close every file."""
        for source in self._files:
            source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_events(
    paths: Iterable[Path],
    format: str | None = None,  # noqa: A002  # named as the option
    mapping: Mapping[str, str] | None = None,
    *,
    sort: bool = False,
) -> Iterator[Event]:
    """Yield the events of files: dictionaries, or bytes where they are passed on as they are.

    Parameters
    ----------
    paths, format, mapping
        As for `EventReader`.
    sort
        Yield them by event time (as bytes) instead of in file order.
    """
    with EventReader(paths, format=format, mapping=mapping) as reader:
        if sort:
            for record in reader.sorted_records():
                yield record.value
        else:
            yield from reader


def checked_order(
    records: Iterator[SourceRecord], advice: str, look_ahead: int = LOOK_AHEAD
) -> Iterator[SourceRecord]:
    """Return the same records, unless the first `look_ahead` are clearly out of time order.

    Raises
    ------
    SourceError
        If more than one in a hundred comes over an hour after a younger one; ends with the advice.
    """
    watch = OrderWatch()
    first = list(islice(records, look_ahead))
    for record in first:
        watch.see(record.time_ms)
    if watch.late * 100 > watch.events:
        raise SourceError(f"not in time order: {watch.describe()}; {advice}")
    return _chain(first, records)


def _chain(first: list[SourceRecord], rest: Iterator[SourceRecord]) -> Iterator[SourceRecord]:
    yield from first
    first.clear()
    yield from rest
