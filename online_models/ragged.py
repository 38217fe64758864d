"""Columns of which most rows fill only the first few entries: each row takes as much memory as it fills.

All rows share one pool of entries. A row has a block of it, of one of few sizes; a block that is given back
is used again by the next row that needs one of its size. A pool that is full is made anew without gaps.
"""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from online_models.events import Int64s

Column = npt.NDArray[Any]

_SMALLEST: Final = 2
_FIRST_ENTRIES: Final = 1_024


class RaggedColumns:
    """Columns of n rows with up to `width` entries each, of which the filled ones come first.

    An entry is filled where its first column is not zero. The size of a row's block follows from what it
    holds now, not from what it held.

    Parameters
    ----------
    kinds
        Name and type of each column; without any, rows hold nothing.
    width
        Entries that a row may have.
    capacity
        Rows to make room for.

    Examples
    --------
    >>> columns = RaggedColumns({"item": np.dtype("u8"), "count": np.dtype("u2")}, width=100, capacity=3)
    >>> columns.put(np.array([2, 0]), [np.array([[7, 8, 9], [5, 0, 0]]), np.array([[1, 1, 4], [2, 0, 0]])])
    >>> item, count = columns.take(np.array([0, 1, 2]))
    >>> item.tolist(), count.tolist()
    ([[5, 0, 0, 0], [0, 0, 0, 0], [7, 8, 9, 0]], [[2, 0, 0, 0], [0, 0, 0, 0], [1, 1, 4, 0]])
    """

    def __init__(self, kinds: Mapping[str, np.dtype[Any]], width: int, capacity: int) -> None:
        self.names = tuple(kinds)
        self.width = width
        doubled = [_SMALLEST << n for n in range(width.bit_length()) if _SMALLEST << n < width]
        self._sizes = np.array([0, *doubled, width])
        self._free = {size: array("q") for size in self._sizes[1:].tolist()}
        # The first block belongs to nobody and stays zero: what a row lacks is read there.
        self._end = width
        self._pool: list[Column] = [np.zeros(max(_FIRST_ENTRIES, width), kind) for kind in kinds.values()]
        self._start = np.zeros(capacity if kinds else 0, np.int64)
        self._size = np.zeros(self._start.size, np.uint16)

    @property
    def nbytes(self) -> int:
        """Bytes of the pool, free blocks included, and of what tells where rows lie in it."""
        return self._start.nbytes + self._size.nbytes + sum(column.nbytes for column in self._pool)

    def make_room(self, capacity: int) -> None:
        """Take in further rows, up to a number; they hold nothing."""
        more = capacity - self._start.size
        if self.names and more > 0:
            self._start = np.concatenate((self._start, np.zeros(more, np.int64)))
            self._size = np.concatenate((self._size, np.zeros(more, np.uint16)))

    def take(self, rows: Int64s, room: Int64s | int = 0) -> list[Column]:
        """Return what rows hold, as copies.

        Parameters
        ----------
        rows
            (n,) rows; one below 0 holds nothing.
        room
            Free places wanted behind what each row holds, of all or (n,) of each.

        Returns
        -------
        list
            (n, k) of each column, filled up with zeros; k is what the fullest row needs, at most the width.
        """
        if not self.names:
            return []
        size = np.where(rows < 0, 0, self._size[rows]).astype(np.int64)
        across = np.arange(min(int((size + room).max(initial=0)), self.width))
        places = self._start[rows][:, None] + across
        places[across >= size[:, None]] = 0
        return [column[places] for column in self._pool]

    def put(self, rows: Int64s, columns: Sequence[Column]) -> None:
        """Let n different rows hold something else: (n, k) of each column, k at most the width."""
        if not self.names or not rows.size:
            return
        filled = columns[0] != 0
        across = np.arange(filled.shape[1])
        needed = np.where(filled, across + 1, 0).max(axis=1, initial=0)
        size = self._sizes[np.searchsorted(self._sizes, needed)]
        self._resize(rows, size)
        short = int(size.max()) - across.size
        if short > 0:
            across = np.arange(size.max())
            columns = [np.pad(column, ((0, 0), (0, short))) for column in columns]
        held = across < size[:, None]
        places = (self._start[rows][:, None] + across)[held]
        for pooled, column in zip(self._pool, columns, strict=True):
            pooled[places] = column[held]

    def drop(self, rows: Int64s) -> None:
        """Let rows (n,) hold nothing."""
        if self.names:
            self._resize(rows, np.zeros(rows.size, np.int64))

    def _resize(self, rows: Int64s, size: Int64s) -> None:
        """Give rows zeroed blocks of the sizes (n,) where theirs are of others; what they held is lost."""
        change = np.flatnonzero(self._size[rows] != size)
        if not change.size:
            return
        rows, size = rows[change], size[change]
        before = self._size[rows].astype(np.int64)
        for old in np.unique(before[before > 0]).tolist():
            starts = self._start[rows[before == old]]
            for column in self._pool:
                column[starts[:, None] + np.arange(old)] = 0
            self._free[old].extend(starts.tolist())
        self._size[rows] = size
        self._start[rows] = 0
        for new in np.unique(size[size > 0]).tolist():
            wanted = rows[size == new]
            self._start[wanted] = self._blocks(new, wanted.size)

    def _blocks(self, size: int, count: int) -> Int64s:
        """Return the starts of unused blocks."""
        free = self._free[size]
        if self._end + size * (count - len(free)) > self._pool[0].size:
            self._make_anew(size * count)
        kept = max(len(free) - count, 0)
        again = np.array(free[kept:], np.int64)
        del free[kept:]
        fresh = self._end + size * np.arange(count - again.size)
        self._end += size * fresh.size
        return np.concatenate((again, fresh))

    def _make_anew(self, room: int) -> None:
        """Move all blocks to pools without gaps, with room for so many entries more."""
        for free in self._free.values():
            del free[:]
        # Rows that are to get a block start at 0 until they have it.
        owners = [np.flatnonzero((self._size == size) & (self._start > 0)) for size in self._free]
        ends = self.width + np.cumsum(
            [0, *(size * rows.size for size, rows in zip(self._free, owners, strict=True))]
        )
        self._end = int(ends[-1])
        # By an eighth, so that little lies idle; at first by more, which is little too.
        entries = self._end + room + max((self._end + room) // 8, _FIRST_ENTRIES)
        pools = [np.zeros(entries, column.dtype) for column in self._pool]
        for size, rows, first in zip(self._free, owners, ends[:-1].tolist(), strict=True):
            places = self._start[rows][:, None] + np.arange(size)
            for pool, column in zip(pools, self._pool, strict=True):
                pool[first : first + places.size] = column[places].ravel()
            self._start[rows] = first + size * np.arange(rows.size)
        self._pool = pools
