"""The broadcast neighbour rows and the columnar table that every worker derives from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from online_models.events import Floats, Int64s, UInt64s, hash_ids
from online_models.items.hash_index import HashIndex
from online_models.items.pairs import Floats32
from online_models.items.partner_pool import PartnerPool
from online_models.items.popular import PopularLists
from online_models.items.settings import CooccurrenceSettings
from online_models.items.source import Int32s, Neighbourhood, log2_or_none

NOT_KNOWN: Final = -1
_MARGIN: Final = 1_000


@dataclass(frozen=True, slots=True)
class NeighbourRow:
    """One item as it is broadcast.

    Parameters
    ----------
    item_id, item_hash
        The item and its `hash_id`.
    category
        Latest known category, "" where unknown.
    price
        Latest known price, NaN where unknown.
    popularity, lately
        Touches, decayed by the slow and the fast half-life to `time_ms`.
    time_ms
        Event time of the item's latest update, epoch milliseconds.
    touches
        Exact lifetime count.
    partner_ids, partner_hashes
        p partners, strongest first; an id is "" where only its hash is known. Without hashes, those of the
        ids.
    weights
        (p, 3) forward weight, backward weight (decayed to `time_ms`), and the share of the item's touches
        that the partner directly followed.
    """

    item_id: str
    item_hash: int
    category: str
    price: float
    popularity: float
    lately: float
    time_ms: int
    touches: int
    partner_ids: Sequence[str] = ()
    partner_hashes: UInt64s | None = None
    weights: Floats32 = field(default_factory=lambda: np.zeros((0, 3), np.float32))


class NeighbourTable:
    """The latest `NeighbourRow` of every item, as columns; a `NeighbourSource`.

    A partner gets its row with its first mention, before its own broadcast arrives. A row is used again when
    its broadcast was deleted and no other row speaks of it; such rows are looked for when they may be many.

    Parameters
    ----------
    settings
        The settings of the store that publishes the rows (half-lives, partners in a row).
    capacity
        Rows to make room for at first.

    Examples
    --------
    >>> from online_models.events import hash_id
    >>> table = NeighbourTable(CooccurrenceSettings())
    >>> table.upsert([NeighbourRow("a", hash_id("a"), "toys", 5.0, 1.0, 1.0, 1000, 1)])
    >>> row = table.rows_of(np.array([hash_id("a")], np.uint64))[0]
    >>> table.item_id(row), table.category(row), int(table.touches[row])
    ('a', 'toys', 1)
    """

    def __init__(self, settings: CooccurrenceSettings, capacity: int = 1024) -> None:
        self.settings = settings
        self.hash = np.zeros(capacity, np.uint64)
        self.touches = np.zeros(capacity, np.int64)
        self.price = np.full(capacity, np.nan)
        self._pool = PartnerPool(settings.published_partners, capacity)
        self._instant = np.zeros(capacity)
        self._heat = np.full((2, capacity), -np.inf)
        self._category = np.zeros(capacity, np.int64)
        self._ids: list[str] = []
        self._free: list[int] = []
        self._broadcast = np.zeros(capacity, np.bool_)
        self._broadcasts = 0
        self._mentions_limit = self._categories_limit = _MARGIN
        self._named = np.zeros(capacity, np.bool_)
        self._index = HashIndex()
        self._row_of: dict[str, int] = {}
        self._category_code: dict[str, int] = {"": 0}
        self._category_name = [""]
        self._lists = PopularLists()
        self._changes = 0

    def __len__(self) -> int:
        """Return the number of items known, also those only mentioned as partners."""
        return len(self._index)

    @property
    def size(self) -> int:
        """Upper bound of the rows."""
        return len(self._ids)

    @property
    def nbytes(self) -> int:
        """Bytes of the columns."""
        columns = (
            self.hash,
            self.touches,
            self.price,
            self._broadcast,
            self._pool,
            self._index,
            self._instant,
            self._heat,
            self._category,
            self._named,
        )
        return sum(column.nbytes for column in columns)

    def upsert(self, rows: Sequence[NeighbourRow]) -> None:
        """Take over rows; a later row of an item replaces an earlier one."""
        rows = list({row.item_hash: row for row in rows}.values())
        if not rows:
            return
        at = self._intern(
            [row.item_id for row in rows],
            lambda places: np.array([rows[place].item_hash for place in places], np.uint64),
        )
        width = self._pool.width
        partners = self._intern(
            [name for row in rows for name in row.partner_ids[:width]], _partner_hashes(rows, width)
        )
        counts = np.array([min(len(row.partner_ids), width) for row in rows])
        self._pool.write(at, counts, partners, np.concatenate([row.weights[:width] for row in rows]))
        self._describe(at, rows)
        self._mark(at, broadcast=True)
        self._changes += at.size
        self._sweep_if_overgrown()

    def remove(self, hashes: Sequence[int]) -> None:
        """Forget items whose broadcast row was deleted; they stay known as long as others speak of them."""
        if not hashes:
            return
        at = self.rows_of(np.array(hashes, np.uint64))
        at = at[at != NOT_KNOWN]
        self._pool.clear(at)
        self._heat[:, at] = -np.inf
        self.touches[at] = 0
        self._category[at] = 0
        self.price[at] = np.nan
        self._mark(at, broadcast=False)
        self._changes += at.size
        self._sweep_if_overgrown()

    def rows_of(self, hashes: UInt64s) -> Int64s:
        """Return the rows of items by hash, in the same shape, -1 where unknown."""
        return self._index.find(self.hash, hashes.ravel()).reshape(hashes.shape)

    def hashes(self, rows: Int64s) -> UInt64s:
        """Return the hashes of known rows (n,)."""
        return self.hash[rows]

    def neighbours(self, rows: Int64s | Int32s, most: int | None = None) -> Neighbourhood:
        """Return the partners of known rows (n,), at most so many."""
        return Neighbourhood(*self._pool.read(rows, most), self._instant[rows])

    def heat(self, rows: Int64s | Int32s) -> tuple[Floats, Floats]:
        """Return slow and fast heat of known rows (n,); -inf where never touched."""
        slow, fast = self._heat
        return slow[rows], fast[rows]

    def popular(self) -> Int64s:
        """Return the rows that are popular now, hottest first."""
        return self._fresh_lists().popular()

    def of_same_category(self, rows: Int64s) -> Int64s:
        """Return (n, m) hottest rows of the categories of rows (n,), -1 where there are fewer."""
        codes = np.where(rows >= 0, self._category[rows], 0)
        return self._fresh_lists().of_categories(codes)

    def categories(self, rows: Int64s) -> Int64s:
        """Return category codes of known rows (n,); 0 = unknown."""
        return self._category[rows]

    def category_code(self, name: str) -> int:
        """Return the code of a category, -1 where no item has it."""
        return self._category_code.get(name, NOT_KNOWN)

    def prices(self, rows: Int64s) -> Floats:
        """Return the latest prices of known rows (n,); NaN where unknown."""
        return self.price[rows]

    def item_id(self, row: int) -> str:
        """Return the id of an item, "" where only its hash is known."""
        return self._ids[row]

    def item_ids(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of several items."""
        return [self._ids[row] for row in rows]

    def category(self, row: int) -> str:
        """Return the category of an item, "" where unknown."""
        return self._category_name[int(self._category[row])]

    def nameless(self, rows: Int64s) -> npt.NDArray[np.bool_]:
        """Return which of known rows (n,) are known by their hash only."""
        return ~self._named[rows]

    def names_of(self, hashes: UInt64s) -> list[str]:
        """Return the ids behind hashes (n,), "" where one is not known."""
        return [self._ids[row] if row >= 0 else "" for row in self.rows_of(hashes).tolist()]

    def _describe(self, at: Int64s, rows: Sequence[NeighbourRow]) -> None:
        numbers = np.array([(row.popularity, row.lately, row.time_ms, row.price) for row in rows])
        instant = numbers[:, 2] / self.settings.half_life_ms
        self._instant[at] = instant
        self._heat[0, at] = log2_or_none(numbers[:, 0]) + instant
        self._heat[1, at] = log2_or_none(numbers[:, 1]) + numbers[:, 2] / self.settings.lately_half_life_ms
        self.price[at] = numbers[:, 3]
        self.touches[at] = [row.touches for row in rows]
        codes = self._category_code
        for row in rows:
            if row.category not in codes:
                codes[row.category] = len(codes)
                self._category_name.append(row.category)
        self._category[at] = [codes[row.category] for row in rows]

    def _intern(self, names: Sequence[str], hashes: Callable[[list[int]], UInt64s]) -> Int64s:
        """Return the rows of items by name; those that are not known by it by their hash."""
        found = list(map(self._row_of.get, names))
        missing = [place for place, row in enumerate(found) if row is None]
        if missing:
            by_hash = self._rows_by_hash(hashes(missing)).tolist()
            for place, row in zip(missing, by_hash, strict=True):
                found[place] = row
                if names[place] and not self._ids[row]:
                    self._ids[row] = names[place]
                    self._named[row] = True
                    self._row_of[names[place]] = row
        return np.array(found, np.int64)

    def _rows_by_hash(self, hashes: UInt64s) -> Int64s:
        """Return the rows of hashes (n,), new ones for those that have none."""
        found = self._index.find(self.hash, hashes)
        new = np.array(list(dict.fromkeys(hashes[found < 0].tolist())), np.uint64)
        if new.size:
            rows = np.array([self._new_row() for _ in range(new.size)])
            self._make_room()
            self.hash[rows] = new
            self._index.add(self.hash, rows)
            found = self._index.find(self.hash, hashes)
        return found

    def _new_row(self) -> int:
        if self._free:
            return self._free.pop()
        self._ids.append("")
        return len(self._ids) - 1

    def _mark(self, at: Int64s, *, broadcast: bool) -> None:
        self._broadcasts += int(np.count_nonzero(self._broadcast[at] != broadcast)) * (1 if broadcast else -1)
        self._broadcast[at] = broadcast

    def _sweep_if_overgrown(self) -> None:
        mentions = len(self) - self._broadcasts
        if mentions > self._mentions_limit or len(self._category_name) > self._categories_limit:
            self._sweep()

    def _sweep(self) -> None:
        """Free the rows of which no broadcast row speaks, and the names of categories without items."""
        live = np.flatnonzero(self._broadcast)
        spoken_of = self._broadcast.copy()
        partners = self.neighbours(live).partners
        spoken_of[partners[partners != NOT_KNOWN]] = True
        for row in np.flatnonzero((self.hash != 0) & ~spoken_of).tolist():
            self._row_of.pop(self._ids[row], None)
            self._ids[row] = ""
            self._free.append(row)
        self.hash[~spoken_of] = 0
        self._named[~spoken_of] = False
        self._index.rebuild(self.hash, np.flatnonzero(self.hash))
        used = np.union1d(self._category[live], [0])
        self._category_name = [self._category_name[code] for code in used.tolist()]
        self._category_code = {name: code for code, name in enumerate(self._category_name)}
        self._category[live] = np.searchsorted(used, self._category[live])
        self._mentions_limit = 2 * (len(self) - self._broadcasts) + _MARGIN
        self._categories_limit = 2 * used.size + _MARGIN
        # Rows will be used again: lists made of them are outdated.
        self._changes += self.size + _MARGIN

    def _make_room(self) -> None:
        more = len(self._ids) - self.hash.size
        if more <= 0:
            return
        more = max(more, self.hash.size // 2)
        self.hash = np.concatenate((self.hash, np.zeros(more, np.uint64)))
        self.touches = np.concatenate((self.touches, np.zeros(more, np.int64)))
        self.price = np.concatenate((self.price, np.full(more, np.nan)))
        self._pool.make_room(self.hash.size)
        self._instant = np.concatenate((self._instant, np.zeros(more)))
        self._heat = np.concatenate((self._heat, np.full((2, more), -np.inf)), axis=1)
        self._category = np.concatenate((self._category, np.zeros(more, np.int64)))
        self._named = np.concatenate((self._named, np.zeros(more, np.bool_)))
        self._broadcast = np.concatenate((self._broadcast, np.zeros(more, np.bool_)))

    def _fresh_lists(self) -> PopularLists:
        if self._lists.stale(self._changes, self.size):
            self._lists.rebuild(self._changes, self._heat[0, : self.size], self._category[: self.size])
        return self._lists


def _partner_hashes(rows: Sequence[NeighbourRow], width: int) -> Callable[[list[int]], UInt64s]:
    """Return what tells the hashes of some of the partners of all rows, by their places among these."""

    def hashes(places: list[int]) -> UInt64s:
        if all(row.partner_hashes is None for row in rows):
            names = [name for row in rows for name in row.partner_ids[:width]]
            return hash_ids([names[place] for place in places])
        given = [
            hash_ids(row.partner_ids[:width]) if row.partner_hashes is None else row.partner_hashes[:width]
            for row in rows
        ]
        return np.concatenate(given)[places]

    return hashes
