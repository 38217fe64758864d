"""The items' store: decayed pair weights, popularity and exact touches of every item of a partition."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from online_models import snapshots
from online_models.errors import CorruptStateError, blame
from online_models.events import Int64s, UInt64s, hash_id
from online_models.items.counting import ItemCounter, category_codes
from online_models.items.eviction import (
    SWEEP_MS,
    idle_since,
    latest_ms,
    most_faded,
    new_rows_at_most,
    sweeps_before,
)
from online_models.items.item_table import ItemTable
from online_models.items.names import NAME_KEY, Names
from online_models.items.neighbours import NeighbourRow
from online_models.items.pairs import PairBatch
from online_models.items.publishing import Throttle, neighbour_rows
from online_models.items.settings import CooccurrenceSettings
from online_models.items.slots import SlotPool
from online_models.journal import Journal
from online_models.row_format import SCHEMA_ROWS

CLOCK_ROW: Final = b"\0clock"


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

    Counts are exact as long as the item is kept, weights decay by forward decay; nothing depends on how many
    records of the log are applied at once. Rows are keyed by the item's hash, so that a pair counts even when
    its sender only knew the hash.

    Memory is bounded: before a record is counted, items that nobody touched for `state_ttl_ms` are evicted
    (once a day of event time), and where there are more than `max_items`, those that have faded most, until
    a tenth of the places is free. An evicted item that comes back starts from nothing.

    Parameters
    ----------
    settings
        Slots, half-lives, the throttle of publication and the bounds.

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
        self._counter = ItemCounter(settings)
        self._table = ItemTable(settings)
        self._names = Names()
        self._journal = Journal()
        self._throttle = Throttle(settings)
        self._now_ms = self._sent_ms = 0
        self._clock_dirty = False
        self._withdrawn: list[str] = []
        self.evicted = {"idle": 0, "full": 0}
        """Items evicted by this process: nobody touched them any more, or there were too many."""
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
    def slots(self) -> SlotPool:
        """The partners of all rows; read only."""
        return self._table.slots

    @property
    def size(self) -> int:
        """Upper bound of the rows in use."""
        return self._table.size

    @property
    def nbytes(self) -> int:
        """Bytes of the columns, names left aside."""
        return self._table.nbytes

    def apply(self, batch: PairBatch, sent_ms: int = 0) -> None:
        """Count the touches and pairs of a record, in order."""
        self.apply_all([batch], [sent_ms])

    def apply_all(self, batches: Sequence[PairBatch], sent_ms: Sequence[int]) -> None:
        """Count consecutive records; the same as one after the other.

        Parameters
        ----------
        batches
            What the records hold.
        sent_ms
            Broker time of each record, epoch milliseconds; 0 where there is no broker.
        """
        waiting: list[PairBatch] = []
        sent: list[int] = []
        now_ms, rows_at_most = self._now_ms, len(self)
        for batch, written_ms in zip(batches, sent_ms, strict=True):
            if not len(batch):
                continue
            reached_ms = latest_ms(batch)
            crosses = sweeps_before(reached_ms) > sweeps_before(now_ms)
            if crosses or rows_at_most > self.settings.max_items:
                self._count(waiting, sent)
                if crosses:
                    self._evict_idle(sweeps_before(reached_ms) * SWEEP_MS)
                self._evict_faded()
                waiting, sent, rows_at_most = [], [], len(self)
            waiting.append(batch)
            sent.append(written_ms)
            now_ms = max(now_ms, reached_ms)
            rows_at_most += new_rows_at_most(batch)
        self._count(waiting, sent)

    def withdrawn(self) -> list[str]:
        """Return the ids of items evicted since the last call: their broadcast rows are to be deleted."""
        gone, self._withdrawn = self._withdrawn, []
        return gone

    def _count(self, batches: Sequence[PairBatch], sent_ms: Sequence[int]) -> None:
        if not batches:
            return
        batch = PairBatch.concat(batches)
        self._names.note(batch.hashes.tolist(), batch.names)
        codes = category_codes(batch.categories)
        self._names.note(codes.tolist(), batch.categories)
        row_of = self._rows_of_batch(batch)
        touched, owner = row_of[batch.touch_item], row_of[batch.owner]
        changed, times = np.concatenate((touched, owner)), np.concatenate((batch.touch_time, batch.time))
        self._reach(int(times.max()), sent_ms[-1])
        self._note_sent(batches, sent_ms, touched, owner)
        rows, slots = self._table.rows, self._table.slots
        self._counter.advance(rows, slots, changed, times)
        self._counter.count_touches(rows, batch, touched, codes[batch.touch_category])
        self._counter.count_pairs(rows, slots, batch, owner)
        self._table.touch(changed)
        self.changes += changed.size
        self._throttle.changed(changed, self._table.rows.size)
        if self._names.overgrown:
            self._sweep_names()

    def _reach(self, time_ms: int, sent_ms: int) -> None:
        if time_ms > self._now_ms or sent_ms != self._sent_ms:
            self._now_ms, self._sent_ms = max(self._now_ms, time_ms), sent_ms
            self._clock_dirty = True

    def _note_sent(
        self, batches: Sequence[PairBatch], sent_ms: Sequence[int], touched: Int64s, owner: Int64s
    ) -> None:
        """Note the broker time of the record that changed a row last."""
        touch = pair = 0
        for batch, sent in zip(batches, sent_ms, strict=True):
            touches, pairs = touch + batch.touch_item.size, pair + batch.owner.size
            self._table.rows["sent_ms"][touched[touch:touches]] = sent
            self._table.rows["sent_ms"][owner[pair:pairs]] = sent
            touch, pair = touches, pairs

    def _evict_idle(self, now_ms: int) -> None:
        rows, live = self._table.rows, self._table.live_rows()
        self._remove(idle_since(rows, live, now_ms - self.settings.state_ttl_ms), "idle")

    def _evict_faded(self) -> None:
        most = self.settings.max_items
        if len(self) > most:
            live = self._table.live_rows()
            self._remove(most_faded(self._table.rows, live, live.size - most + most // 10), "full")

    def _remove(self, gone: Int64s, reason: str) -> None:
        if not gone.size:
            return
        for value in np.sort(self._table.rows["hash"][gone]).tolist():
            name = self._names.get(value)
            if name:
                self._withdrawn.append(name)
        self._table.remove(gone)
        self._throttle.forget(gone)
        self.evicted[reason] += gone.size
        # Rows will be used again: whatever was derived from them is outdated.
        self.changes += self.size

    def publish(self, now_ms: int = 0, sent_ms: int | None = None) -> list[NeighbourRow]:
        """Return the rows due for broadcast and count them as published.

        An item whose id is not known yet cannot be spoken of outside and waits for its next change.

        Parameters
        ----------
        now_ms
            Event time, epoch milliseconds, where it has gone on beyond the records.
        sent_ms
            Broker time, epoch milliseconds; that of the last record by default.
        """
        sent_ms = self._sent_ms if sent_ms is None else sent_ms
        due = self._throttle.due(self._table.rows["touches"], max(now_ms, self._now_ms), sent_ms)
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
        return int(self._table.find(np.array([item_hash], np.uint64))[0])

    def rows_of(self, hashes: UInt64s) -> Int64s:
        """Return the rows of items (n,), -1 where they have none."""
        return self._table.find(hashes)

    def name_of(self, value: int) -> str:
        """Return the id or category name behind a hash, "" where it is not known."""
        return self._names.get(value)

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the rows changed since the last call, encoded, and count them as clean."""
        changed = [*self._names.dirty_rows(), *self._table.dirty_rows()]
        if self._clock_dirty:
            self._clock_dirty = False
            clock = {"now": self._now_ms, "sent": self._sent_ms}
            changed.append((CLOCK_ROW, snapshots.pack("items-clock", 1, clock)))
        return self._journal.seal(changed)

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
            elif row[0] == CLOCK_ROW:
                if row[1] is not None:
                    with blame(CLOCK_ROW), snapshots.reading("items-clock"):
                        clock = snapshots.unpack("items-clock", 1, row[1])
                        # Earlier releases had no broker time.
                        self._now_ms, self._sent_ms = int(clock["now"]), int(clock.get("sent", 0))
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
        self._now_ms = int(rows["last_ms"][live].max(initial=self._now_ms))
        self.changes = live.size
        self._throttle.restored(rows, self._now_ms, self._sent_ms)

    def _rows_of_batch(self, batch: PairBatch) -> Int64s:
        """Return (u,) rows of the batch's items, creating those that are touched or own pairs here."""
        found = self._table.find(batch.hashes)
        needed = np.zeros(found.size, np.bool_)
        needed[batch.touch_item] = True
        needed[batch.owner] = True
        missing = np.flatnonzero(needed & (found < 0))
        if missing.size:
            found[missing] = self._table.intern(batch.hashes[missing])
        return found

    def _describe(self, at: Int64s, width: int) -> list[NeighbourRow]:
        return neighbour_rows(self._table, at, self._names, self.settings, width)

    def _sweep_names(self) -> None:
        rows = self._table.rows[: self._table.size]
        self._names.sweep(
            np.unique(np.concatenate((self._table.slots.partner, rows["hash"], rows["category"])))
        )
