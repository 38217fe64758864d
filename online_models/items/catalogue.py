"""What the shop says of its items: category, brand, price, and whether they can be bought at present."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.events import Floats, Int64s, UInt64s
from online_models.items.slots import Bools

ABSENT: Final = -1
_MOST_ITEMS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """One item as the shop describes it.

    Parameters
    ----------
    item_id, item_hash
        The item and its `hash_id`.
    category, brand
        "" where the shop says none.
    price
        Price per unit, NaN where the shop says none.
    available
        Whether it can be bought at present.
    since_ms
        From when on it is sold, epoch milliseconds; 0 where the shop does not say.
    """

    item_id: str
    item_hash: int
    category: str = ""
    brand: str = ""
    price: float = math.nan
    available: bool = True
    since_ms: int = 0


class _Names:
    """Names as small numbers; a number is given anew once nobody holds it. 0 is the empty name."""

    def __init__(self) -> None:
        self.code_of: dict[str, int] = {"": 0}
        self.names = [""]
        self._holders = [0]
        self._free: list[int] = []

    def hold(self, name: str) -> int:
        if not name:
            return 0
        code = self.code_of.get(name)
        if code is None:
            code = self._free.pop() if self._free else len(self.names)
            if code == len(self.names):
                self.names.append(name)
                self._holders.append(0)
            self.code_of[name], self.names[code] = code, name
        self._holders[code] += 1
        return code

    def release(self, code: int) -> None:
        if not code:
            return
        self._holders[code] -= 1
        if not self._holders[code]:
            del self.code_of[self.names[code]]
            self.names[code] = ""
            self._free.append(code)


class Catalogue:
    """The shop's items as columns, one row each.

    Parameters
    ----------
    max_items
        Items held at most; further ones are refused. About 200 bytes each.

    Attributes
    ----------
    changes
        Items written or removed so far.
    moves
        How often an item came or went: in between rows stay where they are.

    Raises
    ------
    InvalidParameterError
        When `max_items` is below 1.

    Examples
    --------
    >>> from online_models.events import hash_id
    >>> catalogue = Catalogue()
    >>> catalogue.upsert([CatalogueItem("a", hash_id("a"), "toys", available=False)])
    []
    >>> row = catalogue.rows_of(np.array([hash_id("a")], np.uint64))
    >>> catalogue.available(row, now_ms=1000).tolist(), catalogue.category_names(row)
    ([False], ['toys'])
    """

    def __init__(self, max_items: int = _MOST_ITEMS) -> None:
        if max_items < 1:
            raise InvalidParameterError(f"max_items must be at least 1, got {max_items}")
        self.max_items = max_items
        self.changes = self.moves = 0
        self._row_of: dict[int, int] = {}
        self._ids: list[str] = []
        self._free: list[int] = []
        self._categories, self._brands = _Names(), _Names()
        self._hash = np.zeros(0, np.uint64)
        self._category = np.zeros(0, np.int32)
        self._brand = np.zeros(0, np.int32)
        self._price = np.zeros(0)
        self._available = np.zeros(0, np.bool_)
        self._since = np.zeros(0, np.int64)

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._row_of)

    @property
    def nbytes(self) -> int:
        """Bytes of the columns."""
        columns = (self._hash, self._category, self._brand, self._price, self._available, self._since)
        return sum(column.nbytes for column in columns)

    def upsert(self, items: Sequence[CatalogueItem]) -> list[int]:
        """Take items over, later ones replacing earlier ones; return the places of those refused."""
        refused = []
        for place, item in enumerate(items):
            row = self._row_of.get(item.item_hash)
            if row is None:
                if len(self._row_of) >= self.max_items:
                    refused.append(place)
                    continue
                row = self._row_of[item.item_hash] = self._new_row()
                self.moves += 1
            category, brand = self._categories.hold(item.category), self._brands.hold(item.brand)
            self._categories.release(int(self._category[row]))
            self._brands.release(int(self._brand[row]))
            self._ids[row] = item.item_id
            self._hash[row], self._category[row], self._brand[row] = item.item_hash, category, brand
            self._price[row], self._available[row] = item.price, item.available
            self._since[row] = item.since_ms
            self.changes += 1
        return refused

    def remove(self, hashes: Sequence[int]) -> None:
        """Forget items; those not known are passed over."""
        for value in hashes:
            row = self._row_of.pop(value, None)
            if row is None:
                continue
            self._categories.release(int(self._category[row]))
            self._brands.release(int(self._brand[row]))
            self._ids[row] = ""
            self._hash[row] = self._category[row] = self._brand[row] = 0
            self._available[row] = False
            self._free.append(row)
            self.changes += 1
            self.moves += 1

    def rows(self) -> Int64s:
        """Return the rows of all items."""
        return np.fromiter(self._row_of.values(), np.int64, len(self._row_of))

    def rows_of(self, hashes: UInt64s) -> Int64s:
        """Return the rows of items by hash, in the same shape, -1 where unknown."""
        if not self._row_of:
            return np.full(hashes.shape, ABSENT, np.int64)
        get = self._row_of.get
        rows = np.array([get(value, ABSENT) for value in hashes.ravel().tolist()], np.int64)
        return rows.reshape(hashes.shape)

    def hashes(self, rows: Int64s) -> UInt64s:
        """Return the hashes of rows, in the same shape."""
        return self._hash[rows]

    def available(self, rows: Int64s, now_ms: int) -> Bools:
        """Return which of known rows can be bought at an event time, in the same shape."""
        return np.asarray(self._available[rows] & (self._since[rows] <= now_ms), np.bool_)

    def categories(self, rows: Int64s) -> Int64s:
        """Return category codes of rows, in the same shape; 0 where unknown, also for row -1."""
        return self._known(self._category, rows)

    def brands(self, rows: Int64s) -> Int64s:
        """Return brand codes of rows, in the same shape; 0 where unknown, also for row -1."""
        return self._known(self._brand, rows)

    def prices(self, rows: Int64s) -> Floats:
        """Return the prices of known rows, in the same shape; NaN where unknown."""
        return self._price[rows]

    def since(self, rows: Int64s) -> Int64s:
        """Return since when known rows are sold, in the same shape, epoch milliseconds; 0 where unknown."""
        return self._since[rows]

    def category_code(self, name: str) -> int:
        """Return the code of a category, -1 where no item is of it."""
        return self._categories.code_of.get(name, ABSENT)

    def brand_code(self, name: str) -> int:
        """Return the code of a brand, -1 where no item is of it."""
        return self._brands.code_of.get(name, ABSENT)

    def category_names(self, rows: Int64s) -> list[str]:
        """Return the categories of rows (n,), "" where unknown."""
        return [self._categories.names[code] for code in self.categories(rows).tolist()]

    def brand_names(self, rows: Int64s) -> list[str]:
        """Return the brands of rows (n,), "" where unknown."""
        return [self._brands.names[code] for code in self.brands(rows).tolist()]

    def item_id(self, row: int) -> str:
        """Return the id of a row."""
        return self._ids[row]

    def _known(self, column: np.ndarray, rows: Int64s) -> Int64s:
        if not column.size:
            return np.zeros(rows.shape, np.int64)
        codes: Int64s = np.where(rows >= 0, column[rows], 0).astype(np.int64)
        return codes

    def _new_row(self) -> int:
        if self._free:
            return self._free.pop()
        self._ids.append("")
        row = len(self._ids) - 1
        if row >= self._hash.size:
            more = max(1024, self._hash.size // 2)
            for name in ("_hash", "_category", "_brand", "_price", "_available", "_since"):
                column = getattr(self, name)
                setattr(self, name, np.concatenate((column, np.zeros(more, column.dtype))))
        return row
