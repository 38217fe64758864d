"""A table of fixed-size rows under string keys, held as one numpy structured array.

Everything columnar in a store lives here: the array is the working memory, its raw bytes are the changelog.
"""

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.events import Int64s

_HEADER: Final = [("version", "<u2"), ("size", "<u4")]
_DOUBLING_LIMIT: Final = 65_536


class Table:
    """Rows of one dtype under string keys.

    The live part of `rows` is ``rows[:size]``; rows of removed keys are zeroed and used again. Take `rows`
    anew after `intern` and `restore`: a growing table moves to a larger array.

    Parameters
    ----------
    dtype
        Fields of a row; fixed-size numbers only.
    version
        Version of the row's meaning, 0 to 65535, written before every row; other versions are refused.
    capacity
        Rows to make room for at first.

    Raises
    ------
    InvalidParameterError
        When a parameter is outside its range.

    Examples
    --------
    >>> table = Table(np.dtype([("count", "<i8")]), version=1)
    >>> rows, created = table.intern(["ann", "bob", "ann"])
    >>> rows.tolist(), created.tolist()
    ([0, 1, 0], [0, 1])
    >>> table.rows["count"][rows[0]] += 5
    >>> table.touch(rows[:1])
    >>> copy = Table(table.dtype, version=1)
    >>> copy.restore(table.dirty_rows())
    >>> copy.rows["count"][copy.get("ann")]
    np.int64(5)
    """

    def __init__(self, dtype: np.dtype[np.void], *, version: int, capacity: int = 1024) -> None:
        if dtype.hasobject or dtype.names is None:
            raise InvalidParameterError(f"dtype must have fields of fixed-size numbers, got {dtype}")
        if not 0 <= version < 65_536:
            raise InvalidParameterError(f"version must be 0 to 65535, got {version}")
        if capacity < 1:
            raise InvalidParameterError(f"capacity must be at least 1, got {capacity}")
        self.dtype = dtype
        self.version = version
        self.size = 0
        self.rows: npt.NDArray[Any] = np.zeros(capacity, dtype)
        self._stored = np.dtype([*_HEADER, ("row", dtype)])
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
        return int(self.rows.nbytes)

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
        self.rows[row] = np.zeros((), self.dtype)
        self._dirty[row] = False
        self._keys[row] = None
        self._free.append(row)
        self._removed[key] = None

    def touch(self, rows: Int64s) -> None:
        """Mark rows as changed."""
        self._dirty[rows] = True

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return what changed since the last call, encoded, and count it as clean.

        Returns
        -------
        list
            Pairs of the key in UTF-8 and the row's bytes behind a header of version and size; None marks a
            removed key.
        """
        changed: list[tuple[bytes, bytes | None]] = [(key.encode(), None) for key in self._removed]
        self._removed.clear()
        rows = np.flatnonzero(self._dirty[: self.size])
        self._dirty[rows] = False
        stored = np.empty(rows.size, self._stored)
        stored["version"] = self.version
        stored["size"] = self.dtype.itemsize
        stored["row"] = self.rows[rows]
        blob, step = stored.tobytes(), self._stored.itemsize
        for place, row in enumerate(rows.tolist()):
            changed.append((self.key_of(row).encode(), blob[place * step : (place + 1) * step]))
        return changed

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load changelog rows; a later row of a key replaces an earlier one, None removes the key.

        Parameters
        ----------
        rows
            Pairs as `dirty_rows` returns them. Loaded rows count as clean.

        Raises
        ------
        CorruptStateError
            When a row has another version or size; the message names its key.
        """
        latest = dict(rows)
        values = list(latest.values())
        if None in values:
            for key in compress(latest, [value is None for value in values]):
                self._forget(key.decode())
            latest = {key: value for key, value in latest.items() if value is not None}
            values = list(latest.values())
        if not latest:
            return
        stored = self._decode(list(latest), values)
        places, _ = self.intern([key.decode() for key in latest])
        self.rows[places] = stored["row"]
        self._dirty[places] = False
        if self._removed:
            for key in latest:
                self._removed.pop(key.decode(), None)

    def _decode(self, keys: list[bytes], values: list[bytes | None]) -> npt.NDArray[Any]:
        step = self._stored.itemsize
        lengths = np.fromiter(map(len, values), np.int64, len(values))  # type: ignore[arg-type]  # no None left
        if (wrong := np.flatnonzero(lengths != step)).size:
            at = int(wrong[0])
            raise CorruptStateError(f"row {keys[at]!r} has {lengths[at]} bytes, expected {step}")
        stored = np.frombuffer(b"".join(values), self._stored)  # type: ignore[arg-type]  # no None left
        good = (stored["version"] == self.version) & (stored["size"] == self.dtype.itemsize)
        if (wrong := np.flatnonzero(~good)).size:
            at = int(wrong[0])
            version, size = int(stored["version"][at]), int(stored["size"][at])
            raise CorruptStateError(
                f"row {keys[at]!r} has version {version} and {size} bytes, "
                f"expected version {self.version} and {self.dtype.itemsize} bytes"
            )
        return stored

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
        capacity = self.rows.size
        if self.size <= capacity:
            return
        # Large tables grow by a half only: for a moment both arrays are there.
        growth = capacity if capacity < _DOUBLING_LIMIT else capacity // 2
        larger = max(self.size, capacity + growth)
        grown = np.zeros(larger, self.dtype)
        grown[:capacity] = self.rows
        self.rows = grown
        dirty = np.zeros(larger, np.bool_)
        dirty[:capacity] = self._dirty
        self._dirty = dirty
