"""The rows of a partition's items: in memory by hash, in the changelog under it."""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from online_models.errors import CorruptStateError
from online_models.events import Int64s, UInt64s
from online_models.items.hash_index import HashIndex
from online_models.items.rows import SLOT_FIELDS, item_layout
from online_models.items.settings import CooccurrenceSettings
from online_models.items.slots import SlotPool
from online_models.row_format import RowFormat
from online_models.split_rows import SplitRows
from online_models.table import larger_capacity

_FIRST_ROWS: Final = 1_024
_KEY: Final = 16
"""Characters of a key: the hash in hexadecimal digits."""


class ItemTable:
    """Rows of items under their hashes, their partners in blocks as large as they are many.

    The live part of `rows` is ``rows[:size]``; rows of removed items are zeroed and used again. Take `rows`
    anew after `intern` and `restore`: a growing table moves to a larger array.

    Parameters
    ----------
    settings
        Slots, half-lives.

    Attributes
    ----------
    rows
        All fields but the partners and their weights.
    slots
        These, by the numbers of rows.

    Examples
    --------
    >>> table = ItemTable(CooccurrenceSettings())
    >>> table.intern(np.array([7, 5], np.uint64)).tolist(), table.find(np.array([5, 6], np.uint64)).tolist()
    ([0, 1], [1, -1])
    """

    def __init__(self, settings: CooccurrenceSettings) -> None:
        layout = item_layout(settings)
        self._split = SplitRows(layout.schema.dtype, SLOT_FIELDS)
        self._format = RowFormat(layout)
        self.size = 0
        self.rows: npt.NDArray[Any] = np.zeros(_FIRST_ROWS, self._split.fixed)
        self.slots = SlotPool(settings.slots, _FIRST_ROWS)
        self._index = HashIndex()
        self._free: list[int] = []
        self._dirty = np.zeros(_FIRST_ROWS, np.bool_)
        self._removed: dict[int, None] = {}

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._index)

    @property
    def nbytes(self) -> int:
        """Bytes of the columns, free rows included."""
        return int(self.rows.nbytes) + self.slots.nbytes + self._index.nbytes

    def find(self, hashes: UInt64s) -> Int64s:
        """Return the rows of items (n,), -1 where there is none."""
        return self._index.find(self.rows["hash"], hashes)

    def live_rows(self) -> Int64s:
        """Return the rows in use, ascending."""
        return np.flatnonzero(self.rows["hash"][: self.size])

    def intern(self, hashes: UInt64s) -> Int64s:
        """Return the row of every item (n,), creating rows for new ones, which count as touched."""
        found = self.find(hashes)
        if (found < 0).any():
            new, first = np.unique(hashes[found < 0], return_index=True)
            new = new[np.argsort(first)]
            rows = self._new_rows(new.size)
            self.rows["hash"][rows] = new
            self.rows["price"][rows] = np.nan
            self._dirty[rows] = True
            self._index.add(self.rows["hash"], rows)
            for value in new.tolist() if self._removed else ():
                self._removed.pop(value, None)
            found = self.find(hashes)
        return found

    def remove(self, gone: Int64s) -> None:
        """Forget different rows (n,) in use; they are zeroed and tombstones become due."""
        self._removed.update(dict.fromkeys(self.rows["hash"][gone].tolist()))
        self.slots.drop(gone)
        self.rows[gone] = np.zeros((), self.rows.dtype)
        self._dirty[gone] = False
        self._free += gone.tolist()
        self._index.rebuild(self.rows["hash"], self.live_rows())

    def touch(self, rows: Int64s) -> None:
        """Mark rows as changed."""
        self._dirty[rows] = True

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return what changed since the last call, encoded, and count it as clean; see `Table`."""
        changed: list[tuple[bytes, bytes | None]] = [(_key(value), None) for value in self._removed]
        self._removed.clear()
        rows = np.flatnonzero(self._dirty[: self.size])
        if rows.size:
            self._dirty[rows] = False
            changed += self._format.schema_rows()
            held = self.rows[rows]
            whole = self._split.widened(held)
            self.slots.take_into(rows, held["used"].copy(), whole["partner"], whole["weights"])
            changed += zip(map(_key, held["hash"].tolist()), self._format.encode(whole), strict=True)
        return changed

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load changelog rows; a later row of a key replaces an earlier one, None removes the key.

        Raises
        ------
        CorruptStateError
            When a row cannot be loaded; it names its key. Nothing of these rows has been loaded then.
        """
        latest = self._format.take_schemas(rows)
        hashes = _hashes(latest)
        kept = {key: value for key, value in latest.items() if value is not None}
        decoded = np.zeros(0, self._split.whole)
        if kept:
            decoded = self._format.decode(list(kept), list(kept.values()))
            self._check(kept, decoded)
        gone = self.find(hashes[[value is None for value in latest.values()]])
        if (gone >= 0).any():
            self.remove(gone[gone >= 0])
        places = self.intern(decoded["hash"].copy())
        self.rows[places] = self._split.fixed_of(decoded)
        self.slots.put(places, decoded["used"], decoded["partner"], decoded["weights"])
        self._dirty[places] = False
        for value in hashes.tolist() if self._removed else ():
            self._removed.pop(value, None)

    def _check(self, rows: dict[bytes, bytes], decoded: npt.NDArray[Any]) -> None:
        """Refuse rows that speak of another item, or of more slots than there are."""
        used = decoded["used"]
        wrong = (decoded["hash"] != _hashes(rows)) | (used < 0) | (used > self.slots.width)
        for at in np.flatnonzero(wrong).tolist():
            key = list(rows)[at]
            raise CorruptStateError(f"row {key!r} uses {used[at]} slots, of item {decoded['hash'][at]}", key)

    def _new_rows(self, count: int) -> Int64s:
        again = [self._free.pop() for _ in range(min(count, len(self._free)))]
        fresh = np.arange(self.size, self.size + count - len(again))
        self.size += fresh.size
        self._make_room()
        return np.concatenate((np.array(again, np.int64), fresh))

    def _make_room(self) -> None:
        capacity = self.rows.size
        if self.size <= capacity:
            return
        larger = larger_capacity(capacity, self.size)
        self.slots.make_room(larger)
        grown = np.zeros(larger, self.rows.dtype)
        grown[:capacity] = self.rows
        self.rows = grown
        self._dirty = np.concatenate((self._dirty, np.zeros(larger - capacity, np.bool_)))


def _key(value: int) -> bytes:
    return f"{value:016x}".encode()


def _hashes(keys: Iterable[bytes]) -> UInt64s:
    found = []
    for key in keys:
        try:
            found.append(int(key, 16) if len(key) == _KEY else 0)
        except ValueError:
            found.append(0)
        if not found[-1]:
            raise CorruptStateError(f"row {key!r} has a key that is no item's", key)
    return np.array(found, np.uint64)
