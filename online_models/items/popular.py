"""Popular-now and per-category lists over a growing table of items."""

from typing import Final

import numpy as np

from online_models.events import Floats, Int64s

_MIN_CHANGES: Final = 50
_SHARE: Final = 0.05


class PopularLists:
    """The hottest items, overall and by category, sorted anew only after enough changes.

    Heat is the logarithm of a forward-decayed count, so the order of two items does not change while
    neither is touched: the lists age only through updates, and are sorted anew when enough rows changed.

    Parameters
    ----------
    length
        Rows in the popular-now list.
    per_category
        Rows in each category's list.
    """

    def __init__(self, length: int = 50, per_category: int = 20) -> None:
        self._length = length
        self._per_category = per_category
        self._changes = -1
        self._popular = np.zeros(0, np.int64)
        self._order = np.zeros(0, np.int64)
        self._codes = np.zeros(0, np.int64)
        self._starts = np.zeros(1, np.int64)

    def stale(self, changes: int, size: int) -> bool:
        """Return whether the lists of `size` rows, changed `changes` times so far, are outdated."""
        return self._changes < 0 or changes - self._changes >= max(_MIN_CHANGES, int(size * _SHARE))

    def rebuild(self, changes: int, heat: Floats, category: Int64s) -> None:
        """Sort anew.

        Parameters
        ----------
        changes
            Row changes so far.
        heat
            (n,) comparable heat; -inf leaves a row out.
        category
            (n,) category codes, 0 = unknown.
        """
        live = np.flatnonzero(heat > -np.inf)
        top = live
        if live.size > self._length:
            top = live[np.argpartition(-heat[live], self._length)[: self._length]]
        self._popular = top[np.argsort(-heat[top], kind="stable")]
        known = live[category[live] != 0]
        self._order = known[np.lexsort((-heat[known], category[known]))]
        self._codes, starts = np.unique(category[self._order], return_index=True)
        self._starts = np.append(starts, known.size)
        self._changes = changes

    def popular(self) -> Int64s:
        """Return the hottest rows, hottest first."""
        return self._popular

    def of_categories(self, codes: Int64s) -> Int64s:
        """Return the hottest rows of each category, (n, per_category), -1 where there are fewer."""
        if not self._codes.size:
            return np.full((codes.size, self._per_category), -1, np.int64)
        at = np.minimum(np.searchsorted(self._codes, codes), self._codes.size - 1)
        place = self._starts[at][:, None] + np.arange(self._per_category)
        held = (place < self._starts[at + 1][:, None]) & (self._codes[at] == codes)[:, None]
        return np.where(held, self._order[np.minimum(place, self._order.size - 1)], -1)
