"""Which events of a partition are applied: each event id once, and none that comes too late.

Ids are kept as 64-bit hashes in hourly buckets of event time, so the window costs a fixed number of bytes an
event and is forgotten bucket by bucket.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from online_models.clock import NEVER
from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.events import Int64s, Reject, UInt64s

HOUR_MS: Final = 3_600_000
ROW_PREFIX: Final = b"\0dedupe:"
_MERGE_AT: Final = 16
_FULL_ROW: Final = 32_768


class HashSet:
    """A set of non-zero 64-bit hashes in one array, by open addressing, with vectorised verbs.

    Examples
    --------
    >>> known = HashSet()
    >>> known.add(np.array([5, 9], dtype=np.uint64))
    >>> known.contains(np.array([9, 4], dtype=np.uint64)).tolist()
    [True, False]
    """

    def __init__(self) -> None:
        self._slots: UInt64s = np.zeros(1024, np.uint64)
        self._size = 0

    def __len__(self) -> int:
        """Return the number of hashes."""
        return self._size

    def contains(self, hashes: UInt64s) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return (n,) whether each hash is in the set."""
        found = np.zeros(hashes.size, np.bool_)
        waiting = np.arange(hashes.size)
        places = self._home(hashes)
        while waiting.size:
            there = self._slots[places]
            found[waiting] = there == hashes[waiting]
            further = (there != 0) & ~found[waiting]
            waiting, places = waiting[further], (places[further] + 1) & (self._slots.size - 1)
        return found

    def add(self, hashes: UInt64s) -> None:
        """Add hashes that are distinct and not yet in the set."""
        self._size += hashes.size
        if 2 * self._size > self._slots.size:
            kept = self._slots[self._slots != 0]
            self._slots = np.zeros(1 << (4 * self._size - 1).bit_length(), np.uint64)
            self._place(kept)
        self._place(hashes)

    def _home(self, hashes: UInt64s) -> Int64s:
        # Fibonacci hashing: ids that are not random in their low bits still spread.
        spread = hashes * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(20)
        return (spread & np.uint64(self._slots.size - 1)).astype(np.int64)

    def _place(self, hashes: UInt64s) -> None:
        places = self._home(hashes)
        while hashes.size:
            free = self._slots[places] == 0
            self._slots[places[free]] = hashes[free]
            # Of several that met at a free slot one stays; the others go on.
            left = self._slots[places] != hashes
            hashes, places = hashes[left], (places[left] + 1) & (self._slots.size - 1)


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


class Admission:
    """The dedupe window and the lateness rule of one partition.

    Parameters
    ----------
    allowed_lateness_ms
        How far an event's time may lie behind the largest time seen before it.
    dedupe_window_ms
        How long an event id is remembered, counted from its hour; at least the lateness.

    Attributes
    ----------
    latest_ms
        The largest event time seen, -1 before the first; the store saves it with its clock.

    Raises
    ------
    InvalidParameterError
        When a parameter is outside its range.
    """

    def __init__(self, *, allowed_lateness_ms: int, dedupe_window_ms: int) -> None:
        if allowed_lateness_ms < 0:
            raise InvalidParameterError(
                f"allowed_lateness_ms must not be negative, got {allowed_lateness_ms}"
            )
        if dedupe_window_ms < allowed_lateness_ms:
            raise InvalidParameterError(
                f"dedupe_window_ms must be at least allowed_lateness_ms, got {dedupe_window_ms}"
            )
        self.allowed_lateness_ms = allowed_lateness_ms
        self.dedupe_window_ms = dedupe_window_ms
        self.latest_ms = -1
        self._known = HashSet()
        self._rows: dict[int, dict[int, UInt64s]] = {}
        self._fresh: dict[int, list[UInt64s]] = {}
        self._tombstones: list[bytes] = []

    def admit(self, event_ids: UInt64s, times: Int64s) -> Admitted:
        """Decide on consecutive events and remember the ids of those accepted.

        Parameters
        ----------
        event_ids, times
            (n,) hashes of the ids and event times in log order; at least one event.
        """
        latest = np.maximum.accumulate(np.maximum(times, self.latest_ms))
        self.latest_ms = int(latest[-1])
        late = times < latest - self.allowed_lateness_ms
        known = self._known.contains(event_ids)
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
            (index, _too_late(int(times[index]), int(latest[index]), self.allowed_lateness_ms))
            for index in np.flatnonzero(late & ~known & ~earlier).tolist()
        ]
        return Admitted(accepted, duplicates, rejects)

    def next_due(self) -> int:
        """Return when the oldest bucket leaves the window, `NEVER` without one."""
        hours = [*self._rows, *self._fresh]
        return (min(hours) + 1) * HOUR_MS + self.dedupe_window_ms if hours else NEVER

    def tick(self, now_ms: int) -> None:
        """Forget the buckets that have left the window."""
        gone = {
            hour
            for hour in (*self._rows, *self._fresh)
            if (hour + 1) * HOUR_MS + self.dedupe_window_ms <= now_ms
        }
        if not gone:
            return
        for hour in sorted(gone):
            self._tombstones += [_row_key(hour, number) for number in self._rows.pop(hour, {})]
            self._fresh.pop(hour, None)
        self._index()

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the rows to write: new hashes, one row an hour touched, and tombstones of what was dropped.

        Small rows of an hour are merged now and then, so that their number stays logarithmic.
        """
        changed: dict[bytes, bytes | None] = dict.fromkeys(self._tombstones)
        self._tombstones = []
        for hour, pieces in self._fresh.items():
            rows = self._rows.setdefault(hour, {})
            number = max(rows, default=-1) + 1
            rows[number] = np.concatenate(pieces)
            for merged in self._merge(rows, number):
                changed[_row_key(hour, merged)] = None
            changed[_row_key(hour, number)] = rows[number].astype("<u8", copy=False).tobytes()
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
            hour, number = _parse_key(key)
            if value is None:
                self._rows.get(hour, {}).pop(number, None)
            elif len(value) % 8:
                raise CorruptStateError(f"row {key!r} has {len(value)} bytes, expected a multiple of 8", key)
            else:
                self._rows.setdefault(hour, {})[number] = np.frombuffer(value, "<u8").astype(np.uint64)

    def restored(self) -> None:
        """Finish loading."""
        self._rows = {hour: rows for hour, rows in self._rows.items() if rows}
        self._index()

    def __len__(self) -> int:
        """Return the number of remembered ids."""
        return len(self._known)

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
        for hour in np.unique(hours).tolist():
            self._fresh.setdefault(hour, []).append(hashes[hours == hour])

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


def _too_late(time_ms: int, latest_ms: int, allowed_ms: int) -> Reject:
    behind = (latest_ms - time_ms) / 1000
    return Reject(
        "too_late", f"{behind:.0f} s behind the partition's clock, allowed {allowed_ms / 1000:.0f} s"
    )


def _row_key(hour: int, number: int) -> bytes:
    return ROW_PREFIX + f"{hour}:{number}".encode()


def _parse_key(key: bytes) -> tuple[int, int]:
    try:
        hour, number = key.removeprefix(ROW_PREFIX).split(b":")
        return int(hour), int(number)
    except ValueError as error:
        raise CorruptStateError(f"{key!r} is not a row of the dedupe window", key) from error
