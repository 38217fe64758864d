"""Rows of bytes without their zeros: of what is kept of a user, most is 0 or much below its type's limit.

A row is cut into words of eight bytes. First come bits that tell which words are not zero, then for each of
these a byte that tells which of its bytes are not, and those bytes. All rows share one pool; each has a block
of it, as long as it needs, and blocks that are given back are used again by the next row of that length. A
pool that is full, or of which much lies idle, is made anew without gaps.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from online_models.errors import InvalidParameterError
from online_models.events import Int64s
from online_models.kernels import kernel

Bytes = npt.NDArray[np.uint8]
UInt16s = npt.NDArray[np.uint16]
UInt32s = npt.NDArray[np.uint32]

_WORD: Final = 8
_UNIT: Final = 16
"""Bytes; blocks are as long as so many units. A free block holds in its first bytes where the next one is."""

_MOST_UNITS: Final = 65_535
_FIRST_UNITS: Final = 4_096
_NEEDED: Final = ("C", "W")

_GAPS: Final = 8
"""The share of a pool that may lie idle is one in so many."""


@kernel("void(i8, i8, u4[::1], u2[::1], u1[:, ::1], u4[::1], i8[::1])")
def _resize(  # noqa: PLR0917  # columns
    number: int, units: int, start: UInt32s, size: UInt16s, pool: Bytes, free: UInt32s, book: Int64s
) -> None:
    """Give a row a block of another length; what it held is lost. The pool has room for it."""
    before = np.int64(size[number])
    if before == units:
        return
    if before > 0:
        for place in range(4):
            pool[start[number], place] = (free[before] >> (8 * place)) & 255
        free[before] = start[number]
        book[1] += before
    if units == 0:
        start[number] = 0
    elif free[units] != 0:
        first = np.int64(free[units])
        start[number] = first
        book[1] -= units
        free[units] = (
            np.uint32(pool[first, 0])
            | (np.uint32(pool[first, 1]) << 8)
            | (np.uint32(pool[first, 2]) << 16)
            | (np.uint32(pool[first, 3]) << 24)
        )
    else:
        start[number] = book[0]
        book[0] += units
    size[number] = units


@kernel("void(u1[:, ::1], i8[::1], u4[::1], u2[::1], u1[:, ::1], u4[::1], i8[::1], u1[::1])")
def _write(  # noqa: PLR0917  # columns
    rows: Bytes,
    numbers: Int64s,
    start: UInt32s,
    size: UInt16s,
    pool: Bytes,
    free: UInt32s,
    book: Int64s,
    packed: Bytes,
) -> None:
    """Pack rows into their blocks.

    `free` holds by length the first free block, `book` the end of what is used of the pool and idle units.
    """
    width = rows.shape[1]
    words = (width + _WORD - 1) // _WORD
    for i in range(rows.shape[0]):
        row = rows[i]
        used = (words + 7) // 8
        packed[:used] = 0
        for word in range(words):
            begin = word * _WORD
            mark = used
            bits = 0
            for bit in range(min(_WORD, width - begin)):
                value = row[begin + bit]
                if value != 0:
                    bits |= 1 << bit
                    mark += 1
                    packed[mark] = value
            if bits != 0:
                packed[word >> 3] |= 1 << (word & 7)
                packed[used] = bits
                used = mark + 1
        units = (used + _UNIT - 1) // _UNIT
        _resize(numbers[i], units, start, size, pool, free, book)
        first = start[numbers[i]]
        for unit in range(units):
            for place in range(_UNIT):
                pool[first + unit, place] = packed[unit * _UNIT + place]


@kernel("void(i8[::1], u4[::1], u2[::1], u1[:, ::1], u1[:, ::1])")
def _read(numbers: Int64s, start: UInt32s, size: UInt16s, pool: Bytes, rows: Bytes) -> None:
    """Unpack blocks into rows, which are zero."""
    flat = pool.reshape(-1)
    words = (rows.shape[1] + _WORD - 1) // _WORD
    for i in range(numbers.size):
        number = numbers[i]
        if number < 0 or size[number] == 0:
            continue
        first = np.int64(start[number]) * _UNIT
        at = first + (words + 7) // 8
        for word in range(words):
            if flat[first + (word >> 3)] >> (word & 7) & 1:
                bits = flat[at]
                at += 1
                for bit in range(_WORD):
                    if bits >> bit & 1:
                        rows[i, word * _WORD + bit] = flat[at]
                        at += 1


@kernel("i8(u4[::1], u2[::1], u1[:, ::1], u1[:, ::1])")
def _move(start: UInt32s, size: UInt16s, pool: Bytes, fresh: Bytes) -> int:
    """Copy every row's block to another pool, one behind the other; return where that ends."""
    end = 1
    for number in range(start.size):
        for unit in range(int(size[number])):
            fresh[end + unit] = pool[start[number] + unit]
        if size[number] != 0:
            start[number] = end
            end += int(size[number])
    return end


class PackedRows:
    """Rows of one width under numbers; each takes as much memory as its bytes that are not zero.

    Parameters
    ----------
    width
        Bytes of a row.
    capacity
        Rows to make room for; they are zero.

    Raises
    ------
    InvalidParameterError
        When rows are wider than can be kept.

    Examples
    --------
    >>> kept = PackedRows(width=100, capacity=3)
    >>> rows = np.zeros((2, 100), np.uint8)
    >>> rows[:, 50] = 7, 8
    >>> kept.write(np.array([2, 0]), rows)
    >>> kept.read(np.array([0, 1, 2, -1]))[:, 50].tolist()
    [8, 0, 7, 0]
    """

    def __init__(self, width: int, capacity: int) -> None:
        words = -(-width // _WORD)
        self._most = -(-(width + words + -(-words // 8)) // _UNIT)
        if not 0 < self._most <= _MOST_UNITS:
            raise InvalidParameterError(f"width must be 1 to about 900,000 bytes, got {width}")
        self.width = width
        self._start = np.zeros(capacity, np.uint32)
        self._size = np.zeros(capacity, np.uint16)
        # The first unit belongs to nobody: 0 ends the chain of free blocks.
        self._pool = np.zeros((_FIRST_UNITS, _UNIT), np.uint8)
        self._free = np.zeros(self._most + 1, np.uint32)
        self._book = np.array([1, 0], np.int64)
        self._packed = np.zeros(self._most * _UNIT, np.uint8)

    @property
    def nbytes(self) -> int:
        """Bytes of the pool up to its last block, and of what tells where rows lie in it."""
        return int(self._start.nbytes + self._size.nbytes + self._book[0] * _UNIT)

    def make_room(self, capacity: int) -> None:
        """Take in further rows, up to a number; they are zero."""
        more = capacity - self._start.size
        if more > 0:
            self._start = np.concatenate((self._start, np.zeros(more, np.uint32)))
            self._size = np.concatenate((self._size, np.zeros(more, np.uint16)))

    def read(self, numbers: Int64s) -> Bytes:
        """Return (n, width) rows as copies; one with a number below 0 is zero."""
        rows = np.zeros((numbers.size, self.width), np.uint8)
        _read(np.require(numbers, np.int64, _NEEDED), self._start, self._size, self._pool, rows)
        return rows

    def write(self, numbers: Int64s, rows: npt.NDArray[Any]) -> None:
        """Keep (n, width) rows under n numbers; of a number that is there twice, the last."""
        if not numbers.size:
            return
        self._extend(numbers.size * self._most)
        _write(
            # Rows that are restored lie in bytes that cannot be written to.
            *(
                np.require(rows, np.uint8, _NEEDED),
                np.require(numbers, np.int64, _NEEDED),
                self._start,
                self._size,
            ),
            *(self._pool, self._free, self._book, self._packed),
        )

    def drop(self, number: int) -> None:
        """Let a row be zero."""
        _resize(number, 0, self._start, self._size, self._pool, self._free, self._book)

    def _extend(self, units: int) -> None:
        """Make sure that the pool has so many units behind its end; make it anew if it is full or gappy."""
        end, idle = self._book.tolist()
        if end + units > len(self._pool) or idle * _GAPS > end + _FIRST_UNITS:
            wanted = end - idle + units
            # By an eighth, so that little lies idle; at first by more, which is little too.
            fresh = np.zeros((wanted + max(wanted // 8, _FIRST_UNITS), _UNIT), np.uint8)
            self._free[:] = 0
            self._book[:] = _move(self._start, self._size, self._pool, fresh), 0
            self._pool = fresh
