"""Which events of a partition are applied: each event id once, and none that comes too late.

Ids are kept as 64-bit hashes in buckets of an hour of event time or a bounded number of ids, so the window
costs a fixed number of bytes an event and is forgotten bucket by bucket: each when its window has passed, or
the oldest before that where there are too many.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from online_models.clock import NEVER
from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.events import Int64s, Reject, UInt64s
from online_models.hash_set import HashSet

HOUR_MS: Final = 3_600_000
ROW_PREFIX: Final = b"\0dedupe:"
_MERGE_AT: Final = 16
_FULL_ROW: Final = 32_768
_PARTS: Final = 8
"""Buckets that a window filled within one hour has at least: so much of it is dropped at a time."""

Bucket = tuple[int, int]
"""Hour of event time, and number of the bucket within it."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The decision on consecutive events; together the three hold every event once.

    Parameters
    ----------
    accepted
        Indices of events to apply, ascending.
    duplicates
        Indices of events whose id was seen within the window.
    rejects
        Pairs of index and reason.
    """

    accepted: Int64s
    duplicates: Int64s
    rejects: list[tuple[int, Reject]]

    @classmethod
    def concat(cls, pieces: Sequence[Self]) -> Self:
        """Return decisions on consecutive events as one."""
        if len(pieces) == 1:
            return pieces[0]
        return cls(
            np.concatenate([piece.accepted for piece in pieces]),
            np.concatenate([piece.duplicates for piece in pieces]),
            [reject for piece in pieces for reject in piece.rejects],
        )


class Admission:
    """The dedupe window and the lateness rule of one partition.

    Parameters
    ----------
    allowed_lateness_ms
        How far an event's time may lie behind the largest time seen before it.
    dedupe_window_ms
        How long an event id is remembered, counted from its hour; at least the lateness.
    max_ids
        Ids remembered at most. When so many are reached, the oldest are dropped, an eighth or so.

    Attributes
    ----------
    latest_ms
        The largest event time seen, -1 before the first; the store saves it with its clock.
    dropped
        Ids dropped by this process before their window had passed.

    Raises
    ------
    InvalidParameterError
        When a parameter is outside its range.
    """

    def __init__(self, *, allowed_lateness_ms: int, dedupe_window_ms: int, max_ids: int = 20_000_000) -> None:
        if allowed_lateness_ms < 0:
            raise InvalidParameterError(
                f"allowed_lateness_ms must not be negative, got {allowed_lateness_ms}"
            )
        if dedupe_window_ms < allowed_lateness_ms:
            raise InvalidParameterError(
                f"dedupe_window_ms must be at least allowed_lateness_ms, got {dedupe_window_ms}"
            )
        if max_ids < 1:
            raise InvalidParameterError(f"max_ids must be at least 1, got {max_ids}")
        self.allowed_lateness_ms = allowed_lateness_ms
        self.dedupe_window_ms = dedupe_window_ms
        self.max_ids = max_ids
        self.latest_ms = -1
        self.dropped = 0
        self._part_size = -(-max_ids // _PARTS)
        self._known = HashSet()
        self._rows: dict[Bucket, dict[int, UInt64s]] = {}
        self._fresh: dict[Bucket, list[UInt64s]] = {}
        self._open: dict[int, tuple[int, int]] = {}
        self._tombstones: list[bytes] = []

    def admit(self, event_ids: UInt64s, times: Int64s) -> Admitted:
        """Decide on consecutive events and remember the ids of those accepted.

        Parameters
        ----------
        event_ids, times
            (n,) hashes of the ids and event times in log order; at least one event.
        """
        pieces, start = [], 0
        while start < event_ids.size:
            if len(self._known) >= self.max_ids:
                self._drop_oldest()
            # The bound is reached with the last event of a piece or not at all, however batches were cut.
            stop = start + self.max_ids - len(self._known)
            pieces.append(self._decide(event_ids[start:stop], times[start:stop], start))
            start = stop
        return Admitted.concat(pieces)

    def _decide(self, event_ids: UInt64s, times: Int64s, offset: int) -> Admitted:
        latest = np.maximum.accumulate(np.maximum(times, self.latest_ms))
        self.latest_ms = int(latest[-1])
        late = times < latest - self.allowed_lateness_ms
        known = self._known.contains(event_ids)
        if not (late.any() or known.any() or _repeats(event_ids)):
            # As nearly always: nothing more to find out.
            self._remember(event_ids, times)
            everything = np.arange(event_ids.size)
            return Admitted(everything + offset, everything[:0], [])
        candidates = np.flatnonzero(~(late | known))
        _, first = np.unique(event_ids[candidates], return_index=True)
        first.sort()
        accepted = candidates[first]
        self._remember(event_ids[accepted], times[accepted])
        # An id accepted earlier in this very batch is known as well.
        repeated = known | np.isin(event_ids, event_ids[accepted])
        repeated[accepted] = False
        earlier = self._accepted_before(event_ids, accepted, repeated & late & ~known)
        duplicates = np.flatnonzero(repeated & ~(late & ~known & ~earlier))
        rejects = [
            (index + offset, _too_late(int(times[index]), int(latest[index]), self.allowed_lateness_ms))
            for index in np.flatnonzero(late & ~known & ~earlier).tolist()
        ]
        return Admitted(accepted + offset, duplicates + offset, rejects)

    def next_due(self) -> int:
        """Return when the oldest bucket leaves the window, `NEVER` without one."""
        hours = [hour for hour, _ in (*self._rows, *self._fresh)]
        return (min(hours) + 1) * HOUR_MS + self.dedupe_window_ms if hours else NEVER

    def tick(self, now_ms: int) -> None:
        """Forget the buckets that have left the window."""
        self._drop(
            bucket
            for bucket in self._buckets()
            if (bucket[0] + 1) * HOUR_MS + self.dedupe_window_ms <= now_ms
        )

    def _buckets(self) -> list[Bucket]:
        """Return the buckets in use, the oldest first."""
        return sorted({*self._rows, *self._fresh})

    def _drop_oldest(self) -> None:
        """Drop the oldest buckets until an eighth of the places is free."""
        left, gone = len(self._known), []
        for bucket in self._buckets():
            if left <= self.max_ids - self._part_size:
                break
            left -= self._size_of(bucket)
            gone.append(bucket)
        self.dropped += len(self._known) - left
        self._drop(gone)

    def _size_of(self, bucket: Bucket) -> int:
        pieces = (*self._rows.get(bucket, {}).values(), *self._fresh.get(bucket, ()))
        return sum(piece.size for piece in pieces)

    def _drop(self, buckets: Iterable[Bucket]) -> None:
        gone = list(buckets)
        if not gone:
            return
        for bucket in gone:
            rows = self._rows.pop(bucket, {})
            self._tombstones += [_row_key(bucket, number) for number in rows]
            pieces = [np.zeros(0, np.uint64), *rows.values(), *self._fresh.pop(bucket, ())]
            self._known.remove(np.concatenate(pieces))
            if self._open.get(bucket[0], (-1, 0))[0] == bucket[1]:
                del self._open[bucket[0]]

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the rows to write: new hashes, one row a bucket touched, and tombstones of what was dropped.

        Small rows of a bucket are merged now and then, so that their number stays logarithmic.
        """
        changed: dict[bytes, bytes | None] = dict.fromkeys(self._tombstones)
        self._tombstones = []
        for bucket, pieces in self._fresh.items():
            rows = self._rows.setdefault(bucket, {})
            number = max(rows, default=-1) + 1
            rows[number] = np.concatenate(pieces)
            for merged in self._merge(rows, number):
                changed[_row_key(bucket, merged)] = None
            changed[_row_key(bucket, number)] = rows[number].astype("<u8", copy=False).tobytes()
        self._fresh = {}
        return list(changed.items())

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load rows as `dirty_rows` returns them; call `restored` after the last.

        Raises
        ------
        CorruptStateError
            When a key or a value is something else.
        """
        for key, value in rows:
            bucket, number = _parse_key(key)
            if value is None:
                self._rows.get(bucket, {}).pop(number, None)
            elif len(value) % 8:
                raise CorruptStateError(f"row {key!r} has {len(value)} bytes, expected a multiple of 8", key)
            else:
                self._rows.setdefault(bucket, {})[number] = np.frombuffer(value, "<u8").astype(np.uint64)

    def restored(self) -> None:
        """Finish loading."""
        self._rows = {bucket: rows for bucket, rows in self._rows.items() if rows}
        self._open = {hour: (part, self._size_of((hour, part))) for hour, part in self._buckets()}
        self._index()

    def __len__(self) -> int:
        """Return the number of remembered ids."""
        return len(self._known)

    @property
    def nbytes(self) -> int:
        """Bytes of the ids and of the set to find them in."""
        return 8 * len(self._known) + self._known.nbytes

    def _accepted_before(
        self, event_ids: UInt64s, accepted: Int64s, doubtful: np.ndarray[tuple[int], np.dtype[np.bool_]]
    ) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        # A late event may carry an id that is accepted only further down the batch: then it is too late.
        before = np.zeros(event_ids.size, np.bool_)
        if doubtful.any():
            place = dict(zip(event_ids[accepted].tolist(), accepted.tolist(), strict=True))
            for index in np.flatnonzero(doubtful).tolist():
                before[index] = place[int(event_ids[index])] < index
        return before

    def _remember(self, hashes: UInt64s, times: Int64s) -> None:
        if not hashes.size:
            return
        self._known.add(hashes)
        hours = times // HOUR_MS
        for hour in sorted(set(hours.tolist())):
            self._fill(hour, hashes[hours == hour])

    def _fill(self, hour: int, hashes: UInt64s) -> None:
        """Put hashes into the open bucket of their hour, and open the next one whenever it is full."""
        while hashes.size:
            part, count = self._open.get(hour, (0, 0))
            if count >= self._part_size:
                part, count = part + 1, 0
            room = self._part_size - count
            piece, hashes = hashes[:room], hashes[room:]
            self._fresh.setdefault((hour, part), []).append(piece)
            self._open[hour] = (part, count + piece.size)

    def _merge(self, rows: dict[int, UInt64s], newest: int) -> list[int]:
        """Fold rows of like size into the newest; return the numbers that are gone."""
        gone: list[int] = []
        while True:
            size = rows[newest].size
            like = [number for number, row in rows.items() if number != newest and row.size <= 2 * size]
            if size >= _FULL_ROW or len(like) < _MERGE_AT - 1:
                return gone
            rows[newest] = np.concatenate([*(rows.pop(number) for number in like), rows[newest]])
            gone += like

    def _index(self) -> None:
        self._known = HashSet()
        pieces = [piece for rows in self._rows.values() for piece in rows.values()]
        pieces += [piece for fresh in self._fresh.values() for piece in fresh]
        if pieces:
            self._known.add(np.unique(np.concatenate(pieces)))


def _repeats(values: UInt64s) -> bool:
    ordered = np.sort(values)
    return bool((ordered[1:] == ordered[:-1]).any())


def _too_late(time_ms: int, latest_ms: int, allowed_ms: int) -> Reject:
    behind = (latest_ms - time_ms) / 1000
    return Reject(
        "too_late", f"{behind:.0f} s behind the partition's clock, allowed {allowed_ms / 1000:.0f} s"
    )


def _row_key(bucket: Bucket, number: int) -> bytes:
    hour, part = bucket
    return ROW_PREFIX + (f"{hour}:{number}:{part}" if part else f"{hour}:{number}").encode()


def _parse_key(key: bytes) -> tuple[Bucket, int]:
    try:
        hour, number, *part = map(int, key.removeprefix(ROW_PREFIX).split(b":"))
        (of_hour,) = part or (0,)
    except ValueError as error:
        raise CorruptStateError(f"{key!r} is not a row of the dedupe window", key) from error
    return (hour, of_hour), number
