"""Rows by the hash of what they are of: an open-addressing index beside the column that holds the hashes."""

from typing import Final

import numpy as np

from online_models.events import Int64s, UInt64s
from online_models.items.source import Int32s
from online_models.kernels import kernel

_FIRST_BITS: Final = 8
_WORD: Final = 64
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)


class HashIndex:
    """Finds rows by 64-bit hash; eight to sixteen bytes a row, where a dict takes a hundred and forty.

    The hashes themselves stay in a column of the caller's, by row, which every call is given. Rows are added
    one after the other and taken out by making the index anew.

    Examples
    --------
    >>> column = np.array([70, 50, 90], np.uint64)
    >>> index = HashIndex()
    >>> index.rebuild(column, np.arange(3))
    >>> index.find(column, np.array([90, 60], np.uint64)).tolist()
    [2, -1]
    """

    def __init__(self) -> None:
        self._bits = _FIRST_BITS
        self._places = np.zeros(1 << self._bits, np.int32)
        self._count = 0

    def __len__(self) -> int:
        """Return the number of rows in the index."""
        return self._count

    @property
    def nbytes(self) -> int:
        """Bytes of the index."""
        return self._places.nbytes

    def find(self, column: UInt64s, hashes: UInt64s) -> Int64s:
        """Return the rows of hashes (n,), -1 where there is none; 0 stands for no hash."""
        rows = np.empty(hashes.size, np.int64)
        _find(np.ascontiguousarray(hashes), column, self._places, _WORD - self._bits, rows)
        return rows

    def add(self, column: UInt64s, rows: Int64s) -> None:
        """Take in rows (n,) whose hashes are not in the index yet; of equal ones the first stays.

        Parameters
        ----------
        column
            Hash of every row, none of them 0.
        rows
            Which to take in.
        """
        if 2 * (self._count + rows.size) > self._places.size:
            kept = np.sort(self._places[self._places > 0]) - 1
            self._start(2 * (self._count + rows.size))
            self._count = int(_add(kept.astype(np.int64), column, self._places, _WORD - self._bits))
        self._count += int(_add(rows, column, self._places, _WORD - self._bits))

    def rebuild(self, column: UInt64s, rows: Int64s) -> None:
        """Hold these rows (n,) and no others."""
        self._start(2 * rows.size)
        self._count = int(_add(rows, column, self._places, _WORD - self._bits))

    def _start(self, places: int) -> None:
        self._bits = max(_FIRST_BITS, places.bit_length())
        self._places = np.zeros(1 << self._bits, np.int32)


@kernel("void(u8[::1], u8[:], i4[::1], i8, i8[::1])")
def _find(hashes: UInt64s, column: UInt64s, places: Int32s, shift: int, rows: Int64s) -> None:
    """Look every hash up: the leading bits of its product with a large odd number say where to begin.

    Hashes of one partition have the same remainder, so the same last bits; an empty place ends the search.
    """
    last = places.size - 1
    for number in range(hashes.size):
        value = hashes[number]
        rows[number] = -1
        if value == 0:
            continue
        at = np.int64(value * _MULTIPLIER >> np.uint64(shift))
        while places[at] > 0:
            if column[places[at] - 1] == value:
                rows[number] = places[at] - 1
                break
            at = (at + 1) & last


@kernel("i8(i8[::1], u8[:], i4[::1], i8)")
def _add(rows: Int64s, column: UInt64s, places: Int32s, shift: int) -> int:
    """Put rows into empty places and return how many had a hash that was not there."""
    last, added = places.size - 1, 0
    for number in range(rows.size):
        value = column[rows[number]]
        at = np.int64(value * _MULTIPLIER >> np.uint64(shift))
        while places[at] > 0 and column[places[at] - 1] != value:
            at = (at + 1) & last
        if places[at] == 0:
            places[at] = rows[number] + 1
            added += 1
    return added
