"""A table of rows under string keys, held as one numpy structured array.

Everything columnar in a store lives here: the array is the working memory, its raw bytes are the changelog.
There all rows are of one size; in memory, array fields that few rows fill take as much as is filled.
"""

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.events import Int64s
from online_models.layout import Layout
from online_models.ragged import RaggedColumns
from online_models.row_format import RowFormat
from online_models.split_rows import SplitRows

_DOUBLING_LIMIT: Final = 65_536


class Table:
    """Rows of one layout under string keys.

    The live part of `rows` is ``rows[:size]``; rows of removed keys are zeroed and used again. Take `rows`
    anew after `intern` and `restore`: a growing table moves to a larger array.

    Parameters
    ----------
    layout
        Fields of a row, and how rows of earlier releases and other settings become such rows.
    ragged
        Array fields of one length, side by side in the layout, that are kept apart: in memory a row has their
        entries up to the last one in which the first of these fields is not zero.
    capacity
        Rows to make room for at first.

    Attributes
    ----------
    rows
        All fields but the ragged ones.
    ragged
        The ragged ones, by the numbers of rows.

    Raises
    ------
    InvalidParameterError
        When a parameter is outside its range.

    Examples
    --------
    >>> from online_models.layout import Schema
    >>> layout = Layout(Schema(np.dtype([("count", "<i8")])))
    >>> table = Table(layout)
    >>> rows, created = table.intern(["ann", "bob", "ann"])
    >>> rows.tolist(), created.tolist()
    ([0, 1, 0], [0, 1])
    >>> table.rows["count"][rows[0]] += 5
    >>> table.touch(rows[:1])
    >>> copy = Table(layout)
    >>> copy.restore(table.dirty_rows())
    >>> copy.rows["count"][copy.get("ann")]
    np.int64(5)
    """

    def __init__(self, layout: Layout, *, ragged: Sequence[str] = (), capacity: int = 1024) -> None:
        if capacity < 1:
            raise InvalidParameterError(f"capacity must be at least 1, got {capacity}")
        self._split = SplitRows(layout.schema.dtype, ragged)
        self.size = 0
        self.rows: npt.NDArray[Any] = np.zeros(capacity, self._split.fixed)
        self.ragged = RaggedColumns(self._split.kinds, self._split.width, capacity)
        self._format = RowFormat(layout)
        self._index: dict[str, int] = {}
        self._keys: list[str | None] = []
        self._free: list[int] = []
        self._dirty = np.zeros(capacity, np.bool_)
        self._removed: dict[str, None] = {}

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._index)

    def __contains__(self, key: str) -> bool:
        """Return whether the key has a row."""
        return key in self._index

    @property
    def nbytes(self) -> int:
        """Bytes of the columns, free rows included."""
        return int(self.rows.nbytes) + self.ragged.nbytes

    @property
    def capacity(self) -> int:
        """Rows there is room for; a table that is full makes more."""
        return self._dirty.size

    def get(self, key: str) -> int:
        """Return the row of a key, -1 where there is none."""
        return self._index.get(key, -1)

    def find(self, keys: Iterable[str]) -> Int64s:
        """Return the rows of keys, -1 where there is none."""
        index = self._index
        return np.array([index.get(key, -1) for key in keys], dtype=np.int64)

    def key_of(self, row: int) -> str:
        """Return the key of a live row.

        Raises
        ------
        KeyError
            When the row is not in use.
        """
        key = self._keys[row] if 0 <= row < self.size else None
        if key is None:
            raise KeyError(row)
        return key

    def live_rows(self) -> Int64s:
        """Return the rows in use, ascending."""
        live = np.ones(self.size, np.bool_)
        live[self._free] = False
        return np.flatnonzero(live)

    def intern(self, keys: Sequence[str]) -> tuple[Int64s, Int64s]:
        """Return the row of every key, creating zeroed rows for new ones, which count as touched.

        Parameters
        ----------
        keys
            n keys; repeats are welcome.

        Returns
        -------
        rows
            (n,) row of each key.
        created
            The new rows, in the order in which their keys appeared.
        """
        index = self._index
        found = list(map(index.get, keys))
        created: list[int] = []
        if None in found:
            for position, row in enumerate(found):
                if row is None:
                    key = keys[position]
                    known = index.get(key)
                    if known is None:
                        known = self._new_row(key)
                        created.append(known)
                    found[position] = known
        fresh = np.array(created, dtype=np.int64)
        self._make_room()
        self._dirty[fresh] = True
        return np.array(found, dtype=np.int64), fresh

    def remove(self, key: str) -> None:
        """Forget a key; its row is zeroed and a tombstone becomes due. An unknown key is left alone."""
        row = self._index.pop(key, None)
        if row is None:
            return
        self._clear(row)
        self.ragged.drop(np.array([row]))
        self._dirty[row] = False
        self._keys[row] = None
        self._free.append(row)
        self._removed[key] = None

    def read(self, numbers: Int64s) -> npt.NDArray[Any]:
        """Return (n,) rows as copies."""
        return self.rows[numbers]

    def write(self, numbers: Int64s, rows: npt.NDArray[Any]) -> None:
        """Let the rows of n keys be others."""
        self.rows[numbers] = rows

    def touch(self, rows: Int64s) -> None:
        """Mark rows as changed."""
        self._dirty[rows] = True

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return what changed since the last call, encoded, and count it as clean.

        Returns
        -------
        list
            Pairs of the key in UTF-8 and the row as bytes; None marks a removed key. The first rows ever
            written come behind one that describes their fields.
        """
        changed: list[tuple[bytes, bytes | None]] = [(key.encode(), None) for key in self._removed]
        self._removed.clear()
        rows = np.flatnonzero(self._dirty[: self.size])
        if rows.size:
            self._dirty[rows] = False
            changed += self._format.schema_rows()
            keys = [self.key_of(row).encode() for row in rows.tolist()]
            whole = self._split.join(self.read(rows), self.ragged.take(rows))
            changed += zip(keys, self._format.encode(whole), strict=True)
        return changed

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load changelog rows; a later row of a key replaces an earlier one, None removes the key.

        Parameters
        ----------
        rows
            Pairs as `dirty_rows` returns them. Loaded rows count as clean, also those of earlier releases:
            they are written in the present layout when they change.

        Raises
        ------
        CorruptStateError
            When a row cannot be loaded; it names its key. Nothing of these rows has been loaded then.
        """
        latest = self._format.take_schemas(rows)
        values = list(latest.values())
        gone: list[str] = []
        if None in values:
            gone = _names(list(compress(latest, [value is None for value in values])))
            latest = {key: value for key, value in latest.items() if value is not None}
        found = [value for value in latest.values() if value is not None]
        names = _names(list(latest))
        decoded = self._format.decode(list(latest), found) if found else np.zeros(0, self._split.whole)
        for name in gone:
            self._forget(name)
        places, _ = self.intern(names)
        self.write(places, self._split.fixed_of(decoded))
        self.ragged.put(places, [decoded[name] for name in self.ragged.names])
        self._dirty[places] = False
        if self._removed:
            for name in names:
                self._removed.pop(name, None)

    def _forget(self, key: str) -> None:
        self.remove(key)
        self._removed.pop(key, None)

    def _new_row(self, key: str) -> int:
        self._removed.pop(key, None)
        if self._free:
            row = self._free.pop()
            self._keys[row] = key
        else:
            row = self.size
            self.size += 1
            self._keys.append(key)
        self._index[key] = row
        return row

    def _make_room(self) -> None:
        capacity = self.capacity
        if self.size <= capacity:
            return
        larger = larger_capacity(capacity, self.size)
        self.ragged.make_room(larger)
        self._grow(larger)
        dirty = np.zeros(larger, np.bool_)
        dirty[:capacity] = self._dirty
        self._dirty = dirty

    def _clear(self, row: int) -> None:
        self.rows[row] = np.zeros((), self.rows.dtype)

    def _grow(self, capacity: int) -> None:
        grown = np.zeros(capacity, self.rows.dtype)
        grown[: self.rows.size] = self.rows
        self.rows = grown


def larger_capacity(capacity: int, needed: int) -> int:
    """Return for how many rows a full table makes room.

    Large ones grow by a quarter only: for a moment both arrays are there.

    >>> larger_capacity(1_000, 1_001), larger_capacity(80_000, 80_001)
    (2000, 100000)
    """
    growth = capacity if capacity < _DOUBLING_LIMIT else capacity // 4
    return max(needed, capacity + growth)


def _names(keys: list[bytes]) -> list[str]:
    try:
        return list(map(bytes.decode, keys))
    except UnicodeDecodeError as error:
        raise CorruptStateError(f"row {error.object!r} has a key that is no text", error.object) from error
