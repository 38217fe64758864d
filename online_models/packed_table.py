"""A table of wide rows most bytes of which are zero, kept without these."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from online_models.events import Int64s
from online_models.layout import Layout
from online_models.packed_rows import PackedRows
from online_models.table import Table


class PackedTable(Table):
    """Rows of one layout under string keys, to be read and written as copies: `rows` is empty.

    Parameters
    ----------
    layout, ragged, capacity
        As of `Table`.

    Raises
    ------
    InvalidParameterError
        When a parameter is outside its range.

    Examples
    --------
    >>> from online_models.layout import Schema
    >>> table = PackedTable(Layout(Schema(np.dtype([("count", "<i8"), ("ring", "<f4", (50,))]))))
    >>> numbers, _ = table.intern(["ann", "bob"])
    >>> rows = table.read(numbers)
    >>> rows["count"] += 5
    >>> table.write(numbers, rows)
    >>> table.read(numbers[1:])["count"].tolist()
    [5]
    """

    def __init__(self, layout: Layout, *, ragged: Sequence[str] = (), capacity: int = 1024) -> None:
        super().__init__(layout, ragged=ragged, capacity=capacity)
        self._fixed = self.rows.dtype
        self.rows = np.zeros(0, self._fixed)
        self._packed = PackedRows(self._fixed.itemsize, capacity)

    @property
    def nbytes(self) -> int:
        """Bytes of the rows, free ones included."""
        return self._packed.nbytes + self.ragged.nbytes

    def read(self, numbers: Int64s) -> npt.NDArray[Any]:
        """Return (n,) rows as copies; one with a number below 0 is zero."""
        return self._packed.read(numbers).view(self._fixed).reshape(numbers.size)

    def write(self, numbers: Int64s, rows: npt.NDArray[Any]) -> None:
        """Let the rows of n keys be others."""
        content = np.ascontiguousarray(rows).view(np.uint8).reshape(numbers.size, self._fixed.itemsize)
        self._packed.write(numbers, content)

    def _clear(self, row: int) -> None:
        self._packed.drop(row)

    def _grow(self, capacity: int) -> None:
        self._packed.make_room(capacity)
