"""Rows in two parts: the fields that every row fills, and array fields of which most rows fill little."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from online_models.errors import InvalidParameterError
from online_models.layout import Rows


class SplitRows:
    """Takes whole rows apart and puts them together again, byte by byte.

    Parameters
    ----------
    whole
        Fields of a whole row, without gaps.
    ragged
        Names of array fields of one length that lie side by side; their entries may be arrays themselves.

    Raises
    ------
    InvalidParameterError
        When the ragged fields are none, or do not lie side by side.

    Examples
    --------
    >>> whole = np.dtype([("a", "u1"), ("items", "u2", (3,)), ("b", "f4")])
    >>> split = SplitRows(whole, ["items"])
    >>> split.fixed.names, split.width
    (('a', 'b'), 3)
    >>> rows = np.array([(1, (7, 8, 0), 0.5)], whole)
    >>> split.join(split.fixed_of(rows), [np.array([[7, 8]])]) == rows
    array([ True])
    """

    def __init__(self, whole: np.dtype[Any], ragged: Sequence[str] = ()) -> None:
        names = whole.names or ()
        first = names.index(ragged[0]) if ragged and ragged[0] in names else 0
        lengths = {whole[name].shape[:1] for name in ragged if name in names}
        if names[first : first + len(ragged)] != tuple(ragged) or len(lengths) > 1 or () in lengths:
            raise InvalidParameterError(f"ragged must name array fields side by side, got {list(ragged)}")
        self.whole = whole
        self.fixed = np.dtype([(name, whole[name]) for name in names if name not in ragged])
        self.kinds = {name: whole[name].base for name in ragged}
        self.width = lengths.pop()[0] if lengths else 0
        self._begin = sum(whole[name].itemsize for name in names[:first])
        self._end = self._begin + sum(whole[name].itemsize for name in ragged)

    def fixed_of(self, rows: Rows) -> Rows:
        """Return the fixed fields of (n,) whole rows."""
        if not self.kinds:
            return rows
        fixed = np.empty(rows.size, self.fixed)
        given, taken = _bytes(np.ascontiguousarray(rows)), _bytes(fixed)
        taken[:, : self._begin] = given[:, : self._begin]
        taken[:, self._begin :] = given[:, self._end :]
        return fixed

    def join(self, fixed: Rows, columns: Sequence[npt.NDArray[Any]]) -> Rows:
        """Return whole rows out of (n,) fixed fields and (n, k, ...) of each ragged one."""
        rows = self.widened(fixed)
        for name, column in zip(self.kinds, columns, strict=True):
            rows[name][:, : column.shape[1]] = column
        return rows

    def widened(self, fixed: Rows) -> Rows:
        """Return whole rows with (n,) fixed fields, the ragged ones zero."""
        if not self.kinds:
            return fixed
        rows = np.zeros(fixed.size, self.whole)
        given, made = _bytes(np.ascontiguousarray(fixed)), _bytes(rows)
        made[:, : self._begin] = given[:, : self._begin]
        made[:, self._end :] = given[:, self._begin :]
        return rows


def _bytes(rows: Rows) -> npt.NDArray[np.uint8]:
    return rows.view(np.uint8).reshape(rows.size, rows.dtype.itemsize)
