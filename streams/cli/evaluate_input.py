"""Files as batches of decoded events in time order, with everything that was left out counted by reason."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain, islice

import numpy as np

from online_models.events import EventBatch, Int64s
from online_models.items.shop import Shop
from streams.agents.shop import item_of
from streams.decode import Decoder
from streams.engine.handler import Record
from streams.errors import SourceError
from streams.sources.catalogue_file import BadItem, catalogue_items
from streams.sources.feed import Tally
from streams.sources.files import InputFile
from streams.sources.mapping import FieldMapping
from streams.sources.ordering import in_time_order
from streams.sources.progress import Progress
from streams.sources.reader import EventReader
from streams.sources.record import SourceRecord
from streams.sources.values import epoch_ms

_BATCH = 2_000
_SHOW_EVERY = 500


class TimedEvents:
    """The events of some files by event time: read and sorted at once, decoded batch by batch.

    Parameters
    ----------
    paths
        Files in any layout that `keepstream replay` knows.
    layout, mapping
        As `--format` and `--map` say.

    Raises
    ------
    SourceError
        If a file cannot be read, its layout is not clear, or it holds no event with a time.
    """

    def __init__(self, paths: Sequence[str], layout: str | None, mapping: Sequence[str] | None) -> None:
        columns = FieldMapping.parse(mapping) if mapping else None
        self._reader = EventReader(paths, format=layout, mapping=columns)
        self.layouts = [name for _, name in self._reader.layouts]
        self.rejects: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self._times: list[int] = []
        self._sorted = self._read()
        if not self._times:
            raise SourceError(f"{', '.join(paths)}: no event with a readable time")

    @property
    def total(self) -> int:
        """Events read."""
        return self._reader.report.events

    @property
    def skipped(self) -> dict[str, int]:
        """Rows that hold no event and events that were refused, by reason."""
        return dict(self._reader.report.skipped + self.rejects)

    @property
    def first_ms(self) -> int:
        """Earliest event time, epoch milliseconds."""
        return self._times[0]

    @property
    def last_ms(self) -> int:
        """Latest event time, epoch milliseconds."""
        return self._times[1]

    def lines(self) -> list[str]:
        """Return what was left out, in words."""
        refused = [f"{count:,} events refused: {reason}" for reason, count in self.rejects.most_common()]
        examples = [f"  {self.examples[reason]}" for reason, _ in self.rejects.most_common()]
        return [
            *self._reader.report.lines(),
            *chain.from_iterable(zip(refused, examples, strict=True)),
        ]

    def batches(self, title: str) -> Iterator[EventBatch]:
        """Yield the events once, showing progress on standard error.

        Parameters
        ----------
        title
            What is being done with them.
        """
        decoder, tally, offset = Decoder(), Tally(), 0
        with Progress(title, lambda seen: seen.events / self.total if self.total else None) as progress:
            while records := list(islice(self._sorted, _BATCH)):
                run = [
                    Record(offset + place, record.time_ms or 0, record.key, record.value)
                    for place, record in enumerate(records)
                ]
                decoded = decoder.decode(run)
                for _, reject in decoded.rejects:
                    self.rejects[reject.reason] += 1
                    self.examples.setdefault(reject.reason, reject.message)
                offset += len(records)
                for start in range(0, len(decoded.events), _SHOW_EVERY):
                    yield decoded.events.take(_span(start, min(start + _SHOW_EVERY, len(decoded.events))))
                    for record in records[start : start + _SHOW_EVERY]:
                        tally.count(record)
                    progress.show(tally)

    def _read(self) -> Iterator[SourceRecord]:
        """Read and sort everything, which settles the span of time, and return the records."""
        tally = Tally()

        def seen() -> Iterator[SourceRecord]:
            for record in self._reader.records():
                tally.count(record)
                if record.time_ms is not None:
                    low, high = self._times or (record.time_ms, record.time_ms)
                    self._times[:] = min(low, record.time_ms), max(high, record.time_ms)
                if not tally.events % _SHOW_EVERY:
                    progress.show(tally)
                yield record

        def share(_: Tally) -> float | None:
            return self._reader.bytes_read / self._reader.bytes_total if self._reader.bytes_total else None

        with Progress("read", share) as progress:
            records = in_time_order(seen())
            first = list(islice(records, 1))
        return chain(first, records)


def moment(text: str, events: TimedEvents, option: str = "--test-from") -> int:
    """Return a time given as RFC 3339, or as a share such as 50% of the span of the events.

    Parameters
    ----------
    text
        What the user wrote.
    events
        Those whose span a share refers to.
    option
        Where the user wrote it.

    Returns
    -------
    int
        Epoch milliseconds.

    Raises
    ------
    SourceError
        If the text is neither.
    """
    if text.endswith("%"):
        try:
            share = float(text[:-1]) / 100
        except ValueError:
            share = -1.0
        if 0 <= share <= 1:
            return round(events.first_ms + share * (events.last_ms - events.first_ms))
    elif (time := epoch_ms(text)) is not None:
        return time
    raise SourceError(f"{option} {text!r} is neither a time (RFC 3339) nor a share such as 50%")


def read_catalogue(file: str, shop: Shop) -> None:
    """Let a shop know the items of a file.

    Raises
    ------
    SourceError
        If a row is bad.
    """
    with closing(InputFile(file)) as source:
        for one in catalogue_items(source):
            if isinstance(one, BadItem):
                raise SourceError(f"{source.name}: line {one.line}: {one.reason}")
            shop.catalogue.upsert([item_of(one)])


def _span(start: int, stop: int) -> Int64s:
    return np.arange(start, stop)
