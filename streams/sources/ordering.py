"""Whether events come in time order, and how to bring them into it when they do not fit in memory."""

import heapq
import struct
import tempfile
from collections.abc import Iterator
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Final

from streams.sources.record import SourceRecord

CHUNK_BYTES: Final = 256 << 20
"""Memory of the largest run that is sorted at once; larger inputs go through files."""
OVERHEAD_BYTES: Final = 250
"""What a record costs in memory beside its key and value."""
TOLERATED_MS: Final = 3_600_000
"""An hour: the allowed lateness of the worker's defaults."""
_SIZES: Final = struct.Struct("<qii")
_NONE: Final = -1

Timed = tuple[int, SourceRecord]


class OrderWatch:
    """Counts the events that come later than the allowed lateness after a younger one."""

    def __init__(self, tolerated_ms: int = TOLERATED_MS) -> None:
        self._tolerated = tolerated_ms
        self.latest_ms = -1
        self.events = 0
        self.late = 0
        self.worst_ms = 0

    def see(self, time_ms: int | None) -> None:
        """Take the next event's time into account.

        >>> watch = OrderWatch(tolerated_ms=10)
        >>> for time in (100, 95, 80): watch.see(time)
        >>> watch.late, watch.worst_ms
        (1, 20)
        """
        self.events += 1
        if time_ms is None:
            return
        behind = self.latest_ms - time_ms
        if behind <= 0:
            self.latest_ms = time_ms
        elif behind > self._tolerated:
            self.late += 1
            self.worst_ms = max(self.worst_ms, behind)

    def describe(self) -> str:
        """Return what was seen, in words."""
        minutes, worst = self._tolerated / 60_000, self.worst_ms / 3_600_000
        return (
            f"{self.late:,} of {self.events:,} events are over {minutes:g} min older than one before them"
            f" (the worst by {worst:,.1f} h)"
        )


def in_time_order(records: Iterator[SourceRecord], chunk_bytes: int = CHUNK_BYTES) -> Iterator[SourceRecord]:
    """Yield the records by time, equal times in their given order, with bounded memory.

    Runs of `chunk_bytes` are sorted in memory; if there is more than one they are kept in temporary files and
    merged. A record without a time stays behind the one before it.
    """
    runs = _runs(records, chunk_bytes)
    first = next(runs, [])
    first.sort(key=itemgetter(0))
    second = next(runs, None)
    if second is None:
        yield from map(itemgetter(1), first)
        return
    with tempfile.TemporaryDirectory(prefix="keepstream-sort-") as folder:
        paths = [_spill(first, Path(folder) / "run-0")]
        del first
        for number, run in enumerate(chain([second], runs), start=1):
            run.sort(key=itemgetter(0))
            paths.append(_spill(run, Path(folder) / f"run-{number}"))
        yield from map(itemgetter(1), heapq.merge(*map(_load, paths), key=itemgetter(0)))


def _runs(records: Iterator[SourceRecord], chunk_bytes: int) -> Iterator[list[Timed]]:
    run: list[Timed] = []
    size = 0
    latest = 0
    for record in records:
        latest = latest if record.time_ms is None else record.time_ms
        run.append((latest, record))
        size += OVERHEAD_BYTES + len(record.value)
        if size >= chunk_bytes:
            yield run
            run, size = [], 0
    if run:
        yield run


def _spill(run: list[Timed], path: Path) -> Path:
    with path.open("wb", buffering=1 << 20) as file:
        for time, (time_ms, key, value) in run:
            key_size = _NONE if key is None else len(key)
            # Times known and unknown differ by the sign of the value's size.
            file.write(_SIZES.pack(time, key_size, len(value) if time_ms is not None else ~len(value)))
            file.write((key or b"") + value)
    return path


def _load(path: Path) -> Iterator[Timed]:
    with path.open("rb", buffering=1 << 20) as file:
        while header := file.read(_SIZES.size):
            time, key_size, value_size = _SIZES.unpack(header)
            key = None if key_size == _NONE else file.read(key_size)
            known = value_size >= 0
            value = file.read(value_size if known else ~value_size)
            yield time, SourceRecord(time if known else None, key, value)
