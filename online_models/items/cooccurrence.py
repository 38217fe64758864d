"""The items' store: decayed pair weights, popularity and exact touches of every item of a partition."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from online_models.errors import CorruptStateError
from online_models.events import Int64s, hash_id
from online_models.items.decay import ForwardDecay
from online_models.items.names import NAME_KEY, Names
from online_models.items.neighbours import NeighbourRow
from online_models.items.pairs import PairBatch
from online_models.items.publishing import Throttle, neighbour_rows
from online_models.items.rows import item_layout, lately_decay, weight_decay
from online_models.items.settings import CooccurrenceSettings
from online_models.items.slots import (
    BACKWARD,
    FORWARD,
    PairUpdates,
    count_pairs,
)
from online_models.journal import Journal
from online_models.row_format import SCHEMA_ROWS
from online_models.table import Table


@dataclass(frozen=True, slots=True)
class ItemView:
    """What the store knows of one item, for lookups.

    Parameters
    ----------
    row
        The item as it would be broadcast now, with all of its partners.
    slots_used
        Slots in use.
    """

    row: NeighbourRow
    slots_used: int


class CooccurrenceStore:
    """Counts touches and pairs, and says whose neighbours are due for broadcast.

    Counts are exact, weights decay by forward decay; nothing depends on how the log was cut into batches.
    Rows are keyed by the item's hash, so that a pair counts even when its sender only knew the hash.

    Parameters
    ----------
    settings
        Slots, half-lives and the throttle of publication.

    Examples
    --------
    >>> from online_models.events import KIND
    >>> from online_models.items.pairs import pairs_from_touches
    >>> a, b = np.uint64(hash_id("a")), np.uint64(hash_id("b"))
    >>> store = CooccurrenceStore(CooccurrenceSettings())
    >>> store.apply(pairs_from_touches(
    ...     item=["a", "b"],
    ...     item_hash=np.array([a, b]),
    ...     kind=np.full(2, KIND["view_item"], np.int8),
    ...     time=np.array([1000, 2000]),
    ...     category=["toys", ""],
    ...     price=np.full(2, np.nan),
    ...     previous=np.array([[0], [a]], np.uint64),
    ... ))
    >>> view = store.lookup("a")
    >>> view.row.touches, view.row.category, view.row.partner_ids
    (1, 'toys', ['b'])
    """

    def __init__(self, settings: CooccurrenceSettings) -> None:
        self.settings = settings
        self.weight_decay = weight_decay(settings.half_life_ms)
        self.lately_decay = lately_decay(settings.lately_half_life_ms)
        self._table = Table(item_layout(settings))
        self._row_of: dict[int, int] = {}
        self._names = Names()
        self._journal = Journal()
        self._throttle = Throttle(settings)
        self._now_ms = 0
        self.changes = 0
        """Rows changed so far by this process, repeats included."""

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._table)

    @property
    def rows(self) -> npt.NDArray[Any]:
        """The rows, live up to `size`; read only."""
        return self._table.rows

    @property
    def size(self) -> int:
        """Upper bound of the rows in use."""
        return self._table.size

    @property
    def nbytes(self) -> int:
        """Bytes of the columns, names left aside."""
        return self._table.nbytes

    def apply(self, batch: PairBatch) -> None:
        """Count touches and pairs, in order."""
        if not len(batch):
            return
        hashes = batch.hashes.tolist()
        self._names.note(hashes, batch.names)
        row_of = self._rows_of_batch(batch, hashes)
        touched, owner = row_of[batch.touch_item], row_of[batch.owner]
        changed = np.concatenate((touched, owner))
        self._advance(changed, np.concatenate((batch.touch_time, batch.time)))
        self._count_touches(batch, touched)
        if owner.size:
            self._count_pairs(batch, owner)
        self._table.touch(changed)
        self.changes += changed.size
        self._throttle.changed(changed, self._table.rows.size)
        if self._names.overgrown:
            self._sweep_names()

    def publish(self) -> list[NeighbourRow]:
        """Return the rows due for broadcast and count them as published.

        An item whose id is not known yet cannot be spoken of outside and waits for its next change.
        """
        due = self._throttle.due(self._table.rows["touches"], self._now_ms)
        if not due.size:
            return []
        return [row for row in self._describe(due, self.settings.published_partners) if row.item_id]

    def lookup(self, item_id: str) -> ItemView | None:
        """Return what is known of an item, None where it was never touched."""
        row = self.row_of(hash_id(item_id))
        if row < 0:
            return None
        described = self._describe(np.array([row]), self.settings.slots)[0]
        return ItemView(described, int(self._table.rows["used"][row]))

    def row_of(self, item_hash: int) -> int:
        """Return the row of an item, -1 where it has none."""
        return self._row_of.get(item_hash, -1)

    def rows_of(self, hashes: Sequence[int]) -> list[int]:
        """Return the rows of items, -1 where they have none."""
        get = self._row_of.get
        return [get(value, -1) for value in hashes]

    def name_of(self, value: int) -> str:
        """Return the id or category name behind a hash, "" where it is not known."""
        return self._names.get(value)

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the rows changed since the last call, encoded, and count them as clean."""
        return self._journal.seal([*self._names.dirty_rows(), *self._table.dirty_rows()])

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load rows as `dirty_rows` returns them; a later row of a key replaces an earlier one.

        Raises
        ------
        CorruptStateError
            When a row cannot be loaded; it names its key.
        """
        items: list[tuple[bytes, bytes | None]] = []
        names: list[tuple[bytes, bytes | None]] = []
        for row in self._journal.open(rows):
            if row[0].startswith(NAME_KEY):
                names.append(row)
            elif row[0][:1] != b"\0" or row[0].startswith(SCHEMA_ROWS):
                items.append(row)
            else:
                raise CorruptStateError(f"row {row[0]!r} is of no kind that this release knows", row[0])
        self._names.restore(names)
        self._table.restore(items)

    def restored(self) -> None:
        """Finish loading: called once, before the first `apply`."""
        live = self._table.live_rows()
        rows = self._table.rows
        self._row_of = dict(zip(rows["hash"][live].tolist(), live.tolist(), strict=True))
        self._now_ms = int(rows["last_ms"][live].max(initial=0))
        self.changes = live.size
        self._throttle.restored(rows["touches"], rows["last_ms"], self._now_ms)

    def _rows_of_batch(self, batch: PairBatch, hashes: Sequence[int]) -> Int64s:
        """Return (u,) rows of the batch's items, creating those that are touched or own pairs here."""
        found = np.array(self.rows_of(hashes), np.int64)
        needed = np.zeros(found.size, np.bool_)
        needed[batch.touch_item] = True
        needed[batch.owner] = True
        missing = np.flatnonzero(needed & (found < 0))
        if missing.size:
            values = [hashes[i] for i in missing.tolist()]
            rows, created = self._table.intern([f"{value:016x}" for value in values])
            found[missing] = rows
            self._row_of.update(zip(values, rows.tolist(), strict=True))
            self._table.rows["hash"][rows] = batch.hashes[missing]
            self._table.rows["price"][created] = np.nan
        return found

    def _advance(self, changed: Int64s, time: Int64s) -> None:
        """Move changed rows to the epochs of their latest updates."""
        rows = self._table.rows
        self._now_ms = max(self._now_ms, int(time.max()))
        np.maximum.at(rows["last_ms"], changed, time)
        latest = rows["last_ms"][changed]
        self._move(self.weight_decay, changed, latest, "epoch", ("popularity", "weights"))
        self._move(self.lately_decay, changed, latest, "lately_epoch", ("lately",))

    def _move(
        self, decay: ForwardDecay, changed: Int64s, latest: Int64s, epoch_field: str, fields: Sequence[str]
    ) -> None:
        rows = self._table.rows
        epoch = decay.epochs(latest)
        if (epoch == rows[epoch_field][changed]).all():
            return
        moved, first = np.unique(changed, return_index=True)
        shift = (rows[epoch_field][moved] - epoch[first]).astype(np.int32)
        rows[epoch_field][moved] = epoch[first]
        for field in fields:
            held = rows[field][moved]
            rows[field][moved] = np.ldexp(held, shift.reshape(-1, *[1] * (held.ndim - 1)))

    def _count_touches(self, batch: PairBatch, touched: Int64s) -> None:
        rows = self._table.rows
        time = batch.touch_time
        np.add.at(rows["touches"], touched, 1)
        slow = self.weight_decay.increments(time, rows["epoch"][touched])
        fast = self.lately_decay.increments(time, rows["lately_epoch"][touched])
        np.add.at(rows["popularity"], touched, slow)
        np.add.at(rows["lately"], touched, fast)
        priced = ~np.isnan(batch.touch_price)
        rows["price"][touched[priced]] = batch.touch_price[priced]
        if len(batch.categories) > 1:
            codes = np.array([hash_id(name) if name else 0 for name in batch.categories], np.uint64)
            self._names.note(codes.tolist(), batch.categories)
            category = codes[batch.touch_category]
            known = category != 0
            rows["category"][touched[known]] = category[known]

    def _count_pairs(self, batch: PairBatch, owner: Int64s) -> None:
        rows = self._table.rows
        distance = batch.distance.astype(np.int64)
        grown = self.weight_decay.increments(batch.time, rows["epoch"][owner])
        updates = PairUpdates(
            owner=owner,
            partner=batch.hashes[batch.partner],
            direction=np.where(distance > 0, FORWARD, BACKWARD),
            direct=distance == 1,
            amount=(grown * batch.weight / np.abs(distance)).astype(np.float32),
        )
        count_pairs(rows, updates)

    def _describe(self, at: Int64s, width: int) -> list[NeighbourRow]:
        return neighbour_rows(self._table.rows[at], self._names, self.settings, width)

    def _sweep_names(self) -> None:
        rows = self._table.rows[self._table.live_rows()]
        self._names.sweep(
            np.unique(np.concatenate((rows["partner"].ravel(), rows["hash"], rows["category"])))
        )
