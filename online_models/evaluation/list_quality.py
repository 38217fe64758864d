"""What published lists are made of: coverage, novelty, diversity and Gini of the latest whole window."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.evaluation.ranking import ListProperties
from online_models.events import UInt64s
from online_models.items.shop import Shop
from online_models.items.source import LEAST_HEAT, NeighbourSource, present_heat

_WINDOW: Final = 2_000
_TOGETHER: Final = 64
"""Lists that are described at once: one by one it would take longer than to make them."""


class ListQuality:
    """Properties of lists by windows of so many; see `ListProperties` for what they mean.

    While the first window is not full, what it came to so far is told. Kept in memory only.

    Parameters
    ----------
    window
        Lists of a window.

    Raises
    ------
    InvalidParameterError
        When `window` is below 1.
    """

    def __init__(self, window: int = _WINDOW) -> None:
        if window < 1:
            raise InvalidParameterError(f"window must be at least 1, got {window}")
        self._window = window
        self._properties = ListProperties()
        self._lists = 0
        self._known = 0
        self._touches = 0.0
        self._last: dict[str, float] = {}
        self._waiting: list[UInt64s] = []
        self._moment: tuple[Shop, NeighbourSource, int] | None = None

    def add(self, lists: Sequence[UInt64s], shop: Shop, source: NeighbourSource, now_ms: int) -> None:
        """Take lists that were published; they are described once they are many, or somebody asks.

        Parameters
        ----------
        lists
            n lists of hashes.
        shop
            Whose catalogue tells categories, where it does.
        source
            Where categories and popularity are read.
        now_ms
            Present event time, epoch milliseconds.
        """
        self._waiting += lists
        self._moment = shop, source, now_ms
        if len(self._waiting) >= _TOGETHER:
            self._take(shop, source, now_ms)

    def get(self) -> dict[str, float]:
        """Return the four properties; nothing before the first list."""
        if self._waiting and self._moment:
            self._take(*self._moment)
        if self._last or not self._lists:
            return self._last
        return self._properties.get(self._known)

    def _take(self, shop: Shop, source: NeighbourSource, now_ms: int) -> None:
        """Describe the lists that wait."""
        lists, self._waiting = self._waiting, []
        table = np.zeros((len(lists), max(1, *map(len, lists))), np.uint64)
        for place, listed in enumerate(lists):
            table[place, : len(listed)] = listed
        begin = 0
        while begin < len(table):
            if not self._lists:
                self._count_touches(source, now_ms)
            part = table[begin : begin + self._window - self._lists]
            self._describe(part, shop, source, now_ms)
            begin += len(part)
            self._lists += len(part)
            if self._lists == self._window:
                self._last = self._properties.get(self._known)
                self._properties, self._lists = ListProperties(), 0

    def _describe(self, table: UInt64s, shop: Shop, source: NeighbourSource, now_ms: int) -> None:
        rows = np.where(table != 0, source.rows_of(table), -1)
        heat = np.full(rows.shape, LEAST_HEAT)
        known = rows >= 0
        heat[known] = present_heat(source, rows[known], now_ms)
        shares = np.exp2(heat) / max(self._touches, 1.0)
        categories = shop.categories(rows, source).view(np.uint64)
        self._properties.update(table, np.where(known, np.minimum(shares, 1.0), 0.0), categories)

    def _count_touches(self, source: NeighbourSource, now_ms: int) -> None:
        """Count the items and their touches, anew at the begin of each window: it takes a look at all."""
        heat = present_heat(source, np.arange(source.size), now_ms)
        live = heat > LEAST_HEAT
        self._known, self._touches = int(np.count_nonzero(live)), float(np.exp2(heat[live]).sum())
