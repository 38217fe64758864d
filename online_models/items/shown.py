"""The lists that the shop really showed: where a touched item stood in the latest one of its user.

A touch that a list may have brought about says less of its item than another one: whoever learns from it has
to know the place at which it was shown.
"""

from collections.abc import Iterable
from itertools import islice
from operator import index as integer
from typing import Final, NamedTuple

import numpy as np

from online_models import snapshots
from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.events import KIND, TOUCH_KINDS, EventBatch, Int64s, UInt64s
from online_models.subject_rows import changed_rows, load_rows

ROW_PREFIX: Final = b"\0shown:"

_KIND: Final = "shown-list"
_VERSION: Final = 1
_SHOWN: Final = KIND["recommendation_shown"]
_PLACES: Final = 64
"""Places of a list that are remembered; so far down a list brings about next to nothing."""
_ROW_BYTES: Final = 500
_LOOKED_AT: Final = 2
"""Of the lists shown first, so many are looked at with every new one: they become fewer, not more."""


class _Shown(NamedTuple):
    """A list: the how manieth that was shown in this partition, when, and the hashes of its items."""

    number: int
    time_ms: int
    items: UInt64s


class ShownLists:
    """The latest list that was shown to each user, for as long as touches may come of it.

    Parameters
    ----------
    window_ms
        A touch may come of a list up to this long after it was shown, milliseconds.
    lateness_ms
        How late an event may be, milliseconds.
    max_users
        Lists that are kept; beyond, the one that was shown first is forgotten.

    Raises
    ------
    InvalidParameterError
        When `max_users` is below 1.
    """

    def __init__(self, window_ms: int, lateness_ms: int, max_users: int = 50_000) -> None:
        if max_users < 1:
            raise InvalidParameterError(f"max_users must be at least 1, got {max_users}")
        self._window_ms, self._keep_ms, self._max_users = window_ms, window_ms + lateness_ms, max_users
        self._lists: dict[str, _Shown] = {}
        self._in_order = True
        self._dirty: set[str] = set()

    def __len__(self) -> int:
        """Return the number of lists that are kept."""
        return len(self._lists)

    @property
    def nbytes(self) -> int:
        """Bytes, about."""
        return _ROW_BYTES * len(self._lists)

    def places(self, events: EventBatch, index: Int64s) -> Int64s:
        """Take events in log order; return where each item of the batch stood in its user's list.

        Parameters
        ----------
        events, index
            A batch, and (n,) which of its events to take.

        Returns
        -------
        Int64s
            (m,) for every entry of the item columns: the place, from 1, in the list that was shown before a
            touch; 0 where the item stood in none, or is not touched.
        """
        found = np.zeros(events.item_hash.size, np.int64)
        kind = events.kind[index]
        shown = kind == _SHOWN
        if not self._lists and not shown.any():
            return found
        for event in index[shown | np.isin(kind, TOUCH_KINDS)].tolist():
            entries = slice(int(events.item_start[event]), int(events.item_start[event + 1]))
            subject, time_ms = events.subject[event], int(events.time[event])
            if events.kind[event] == _SHOWN:
                self._show(subject, events.item_hash[entries], time_ms)
            elif (held := self._lists.get(subject)) and 0 <= time_ms - held.time_ms < self._window_ms:
                same = events.item_hash[entries][:, None] == held.items
                found[entries] = np.where(same.any(axis=1), same.argmax(axis=1) + 1, 0)
        return found

    def remove(self, subject: str) -> None:
        """Forget the list of a user."""
        if self._lists.pop(subject, None) is not None:
            self._dirty.add(subject)

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the rows changed since the last call."""
        rows = changed_rows(ROW_PREFIX, self._dirty, self._row)
        self._dirty = set()
        return rows

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load rows as `dirty_rows` returns them, in log order.

        Raises
        ------
        CorruptStateError
            When a row cannot be loaded; the message names its key.
        """
        load_rows(ROW_PREFIX, rows, self._lists, kind=_KIND, read=_read)
        self._in_order = False

    def _show(self, subject: str, items: UInt64s, time_ms: int) -> None:
        if not items.size:
            return
        if not self._in_order:
            # Rows come back in any order; lists are forgotten in that in which they were shown.
            self._lists = dict(sorted(self._lists.items(), key=lambda entry: entry[1].number))
            self._in_order = True
        number = next(reversed(self._lists.values())).number + 1 if self._lists else 1
        self._lists.pop(subject, None)
        self._lists[subject] = _Shown(number, time_ms, items[:_PLACES].copy())
        self._dirty.add(subject)
        for other, one in list(islice(self._lists.items(), _LOOKED_AT)):
            if one.time_ms + self._keep_ms <= time_ms or len(self._lists) > self._max_users:
                self.remove(other)

    def _row(self, subject: str) -> bytes | None:
        one = self._lists.get(subject)
        return None if one is None else snapshots.pack(_KIND, _VERSION, one._asdict())


def _read(value: bytes) -> _Shown:
    content = snapshots.unpack(_KIND, _VERSION, value)
    items = content["items"]
    if not isinstance(items, np.ndarray) or items.dtype != np.uint64 or items.ndim != 1:
        raise CorruptStateError(f"{_KIND} has items that are no hashes")
    return _Shown(integer(content["number"]), integer(content["time_ms"]), items.copy())
