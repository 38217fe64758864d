"""New items, which nobody can be said to have touched: found by category, brand and price."""

from typing import Final, NamedTuple

import numpy as np

from online_models.events import Floats, Int64s, UInt64s
from online_models.items.histories import Histories
from online_models.items.shop import Shop
from online_models.items.slots import Bools
from online_models.items.source import LEAST_HEAT, NeighbourSource, present_heat

_DAY_MS: Final = 86_400_000
_LEAST_MS: Final = 600_000
_KEPT: Final = 16
"""New items of a category or brand that are offered at the same time: the newest."""
_TOUCHES: Final = 3
"""Newest touches that are looked at."""
_MIN_CHANGES: Final = 50
_SHARE: Final = 0.02
_BRAND: Final = 0.5
_PRICE: Final = 0.5
_CHANCE: Final = 0.05
"""How much chance adds at most: among items alike, every user gets others."""


class ColdPicks(NamedTuple):
    """New items for n users, best first.

    Parameters
    ----------
    rows
        (n, m) rows of the catalogue, -1 where there are fewer.
    by_category
        (n, m) whether it is of the category of what the user looks at; else of the brand.
    """

    rows: Int64s
    by_category: Bools


class ColdItems:
    """Finds items of the catalogue with next to no touches that are close to what users look at.

    Closeness to a touch is 1 for its category, 1/2 for its brand, and up to 1/2 within the category for the
    price; touches count 1 / position. The index of new items is made anew once enough of the catalogue has
    changed, an item has come on sale (within ten minutes), or a day of event time has passed.

    Parameters
    ----------
    touches
        An item with fewer touches, fading, is new.
    """

    def __init__(self, touches: float = 5.0) -> None:
        self._limit = float(np.log2(touches))
        self._changes, self._holds_until, self._any = -1, 0, False
        self._by_category = np.full((1, _KEPT), -1, np.int64)
        self._by_brand = np.full((1, _KEPT), -1, np.int64)

    def pick(
        self, shop: Shop, histories: Histories, source: NeighbourSource, now_ms: int, count: int
    ) -> ColdPicks:
        """Return up to `count` new items for each of n users.

        Parameters
        ----------
        shop
            Whose catalogue is searched; what it does not sell, or blocks, is no candidate.
        histories
            n users.
        source
            Where touches are read.
        now_ms
            Present event time, epoch milliseconds.
        count
            How many.
        """
        users = len(histories)
        nothing = ColdPicks(np.full((users, 0), -1, np.int64), np.zeros((users, 0), np.bool_))
        if not count or not len(shop.catalogue) or not histories.items.shape[1]:
            return nothing
        self._bring_up_to_date(shop, source, now_ms)
        if not self._any:
            return nothing
        catalogue = shop.catalogue
        touched = catalogue.rows_of(histories.items[:, :_TOUCHES])
        categories, brands = catalogue.categories(touched), catalogue.brands(touched)
        offers = np.concatenate(
            (self._of(self._by_category, categories), self._of(self._by_brand, brands)), axis=1
        )
        offers = _once_each(np.where(self._fit(shop, offers, source, now_ms), offers, -1))
        near, by_category = _closeness(shop, offers, touched)
        score = np.where(offers >= 0, near + _CHANCE * _chance(catalogue.hashes(offers), histories), 0.0)
        best = np.argsort(-score, axis=1, kind="stable")[:, :count]
        found = np.take_along_axis(np.where(score > _CHANCE, offers, -1), best, axis=1)
        return ColdPicks(found, np.take_along_axis(by_category, best, axis=1))

    def _fit(self, shop: Shop, offers: Int64s, source: NeighbourSource, now_ms: int) -> Bools:
        """Return which offers can be bought, are not blocked, and are new still."""
        distinct, back = np.unique(offers, return_inverse=True)
        hashes = shop.catalogue.hashes(np.maximum(distinct, 0))
        fit = (distinct >= 0) & shop.catalogue.available(np.maximum(distinct, 0), now_ms)
        if len(shop.rules):
            fit &= ~shop.blocks(hashes, shop.rules.at(now_ms))
        return (fit & self._new(hashes, source, now_ms))[back].reshape(offers.shape)

    def _new(self, hashes: UInt64s, source: NeighbourSource, now_ms: int) -> Bools:
        rows = source.rows_of(hashes)
        heat = np.full(rows.size, LEAST_HEAT)
        known = rows >= 0
        heat[known] = present_heat(source, rows[known], now_ms)
        return np.asarray(heat < self._limit, np.bool_)

    def _bring_up_to_date(self, shop: Shop, source: NeighbourSource, now_ms: int) -> None:
        catalogue = shop.catalogue
        changed = catalogue.changes - self._changes
        few = changed < max(_MIN_CHANGES, int(_SHARE * len(catalogue)))
        if self._changes >= 0 and few and now_ms < self._holds_until:
            return
        rows = catalogue.rows()
        later = catalogue.since(rows)
        # A new one is made when the next item comes on sale, too.
        next_ms = max(int(later[later > now_ms].min(initial=now_ms + _DAY_MS)), now_ms + _LEAST_MS)
        self._changes, self._holds_until = catalogue.changes, next_ms
        rows = rows[catalogue.available(rows, now_ms)]
        rows = rows[self._new(catalogue.hashes(rows), source, now_ms)]
        newest = rows[np.lexsort((catalogue.hashes(rows), -catalogue.since(rows)))]
        self._any = newest.size > 0
        self._by_category = _index(catalogue.categories(newest), newest)
        self._by_brand = _index(catalogue.brands(newest), newest)

    @staticmethod
    def _of(index: Int64s, codes: Int64s) -> Int64s:
        """Return (n, m) the offers of the codes (n, t)."""
        known = (codes > 0) & (codes < len(index))
        found = np.where(known[:, :, None], index[np.where(known, codes, 0)], -1)
        return found.reshape(len(codes), -1)


def _index(codes: Int64s, rows: Int64s) -> Int64s:
    """Return (codes, kept) the first rows of each code above 0, -1 where there are fewer."""
    order = np.argsort(codes, kind="stable")
    codes, rows = codes[order], rows[order]
    first = np.searchsorted(codes, codes)
    nth = np.arange(codes.size) - first
    kept = (nth < _KEPT) & (codes > 0)
    index = np.full((int(codes.max(initial=0)) + 1, _KEPT), -1, np.int64)
    index[codes[kept], nth[kept]] = rows[kept]
    return index


def _once_each(offers: Int64s) -> Int64s:
    """Return sorted offers (n, m) with -1 in place of repetitions."""
    ordered = np.sort(offers, axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = -1
    return ordered


def _closeness(shop: Shop, offers: Int64s, touched: Int64s) -> tuple[Floats, Bools]:
    """Return (n, m) closeness of offers to touched items (n, t), newest first; and whether by category."""
    catalogue = shop.catalogue
    categories, brands = catalogue.categories(touched)[:, None, :], catalogue.brands(touched)[:, None, :]
    same = (catalogue.categories(offers)[:, :, None] == categories) & (categories > 0)
    brand = (catalogue.brands(offers)[:, :, None] == brands) & (brands > 0)
    price = catalogue.prices(offers)[:, :, None]
    theirs = np.where(touched >= 0, catalogue.prices(touched), np.nan)[:, None, :]
    gap = np.full(same.shape, np.inf)
    both = (price > 0) & (theirs > 0) & same
    np.divide(np.broadcast_to(price, same.shape), np.broadcast_to(theirs, same.shape), out=gap, where=both)
    close = np.where(both, np.exp(-np.abs(np.log(gap, out=np.zeros(gap.shape), where=both))), 0.0)
    share = 1.0 / (1.0 + np.arange(touched.shape[1]))
    near: Floats = ((same + _BRAND * brand + _PRICE * close) * share).sum(axis=2)
    return near, same.any(axis=2)


def _chance(hashes: UInt64s, histories: Histories) -> Floats:
    """Return (n, m) numbers from 0 to 1, drawn from item and user's history by hash."""
    mixed = hashes ^ np.bitwise_xor.reduce(histories.items, axis=1)[:, None]
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) / 2**53, np.float64)
