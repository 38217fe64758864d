"""Reading an items' store directly, as if every change were broadcast at once."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from online_models.events import Floats, Int64s, UInt64s, hash_id
from online_models.items.cooccurrence import CooccurrenceStore
from online_models.items.popular import PopularLists
from online_models.items.source import Int32s, Neighbourhood, log2_or_none


class DirectNeighbours:
    """A `NeighbourSource` over one store that owns all items: what a broadcast without delay would show.

    Parameters
    ----------
    store
        The store to read.
    """

    def __init__(self, store: CooccurrenceStore) -> None:
        self.settings = store.settings
        self._store = store
        self._lists = PopularLists()

    @property
    def size(self) -> int:
        """Upper bound of the rows."""
        return self._store.size

    def rows_of(self, hashes: UInt64s) -> Int64s:
        """Return the rows of items by hash, in the same shape, -1 where unknown."""
        return self._store.rows_of(hashes.ravel()).reshape(hashes.shape)

    def hashes(self, rows: Int64s) -> UInt64s:
        """Return the hashes of known rows (n,)."""
        hashes: UInt64s = self._store.rows["hash"][rows]
        return hashes

    def neighbours(self, rows: Int64s | Int32s, most: int | None = None) -> Neighbourhood:
        """Return the partners of known rows (n,), as many as would be broadcast, at most so many."""
        held = self._store.rows[rows]
        used = held["used"].copy()
        width = min(self.settings.published_partners, most or self.settings.slots, used.max(initial=0))
        hashes, weights = self._store.slots.strongest(
            rows.astype(np.int64), used, np.ones(used.size, np.float32), held["popularity"].copy(), width
        )
        partners = self.rows_of(hashes).astype(np.int32)
        return Neighbourhood(partners, weights, held["epoch"].astype(np.float64))

    def heat(self, rows: Int64s | Int32s) -> tuple[Floats, Floats]:
        """Return slow and fast heat of known rows (n,); -inf where never touched."""
        held = self._store.rows
        slow = log2_or_none(held["popularity"][rows]) + held["epoch"][rows]
        fast = log2_or_none(held["lately"][rows]) + held["lately_epoch"][rows]
        return slow, fast

    def popular(self) -> Int64s:
        """Return the rows that are popular now, hottest first."""
        return self._fresh_lists().popular()

    def of_same_category(self, rows: Int64s) -> Int64s:
        """Return (n, m) hottest rows of the categories of rows (n,), -1 where there are fewer."""
        codes = np.where(rows >= 0, self._store.rows["category"][rows], 0).astype(np.int64)
        return self._fresh_lists().of_categories(codes)

    def categories(self, rows: Int64s) -> Int64s:
        """Return category codes of known rows (n,); 0 = unknown."""
        codes: Int64s = self._store.rows["category"][rows].view(np.int64)
        return codes

    def category_code(self, name: str) -> int:
        """Return the code of a category."""
        return int(np.uint64(hash_id(name)).view(np.int64))

    def prices(self, rows: Int64s) -> Floats:
        """Return the latest prices of known rows (n,); NaN where unknown."""
        prices: Floats = self._store.rows["price"][rows]
        return prices

    def item_id(self, row: int) -> str:
        """Return the id of an item, "" where only its hash is known."""
        return self._store.name_of(int(self._store.rows["hash"][row]))

    def item_ids(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of several items."""
        return [self.item_id(row) for row in rows]

    def nameless(self, rows: Int64s) -> npt.NDArray[np.bool_]:
        """Return which of known rows (n,) are known by their hash only."""
        name, hashes = self._store.name_of, self._store.rows["hash"][rows]
        return np.array([not name(value) for value in hashes.tolist()], np.bool_)

    def category(self, row: int) -> str:
        """Return the category of an item, "" where unknown."""
        return self._store.name_of(int(self._store.rows["category"][row]))

    def _fresh_lists(self) -> PopularLists:
        held = self._store.rows
        if self._lists.stale(self._store.changes, self.size):
            held = held[: self.size]
            heat = log2_or_none(held["popularity"]) + held["epoch"]
            self._lists.rebuild(self._store.changes, heat, held["category"].astype(np.int64))
        return self._lists
