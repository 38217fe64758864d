"""When a changed item's neighbours are worth broadcasting again, and what is then said."""

from typing import Any

import numpy as np
import numpy.typing as npt

from online_models.events import Int64s
from online_models.items.item_table import ItemTable
from online_models.items.names import Names
from online_models.items.neighbours import NeighbourRow
from online_models.items.settings import CooccurrenceSettings


class Throttle:
    """Picks changed rows whose own touches have grown enough, or that waited long enough.

    Both are measured in event time and in touches, of which a log that is replayed, or one with weeks between
    its first event and its last, has much in little time. So between two publications of a row at least a
    pause passes of broker time too: of the time at which the log was written. A row that waits is looked at
    with every record.

    Its memory is rebuilt, not saved: after a restore every item that changed within the last interval, of
    either time, is published once more, so that no reader misses what a lost process had still held back.
    """

    def __init__(self, settings: CooccurrenceSettings) -> None:
        self._growth = 1.0 + settings.publish_growth
        self._every_change = settings.publish_growth == 0.0
        self._interval_ms = settings.publish_interval_ms
        self._pause_ms = settings.publish_pause_ms
        self._touches = np.zeros(0, np.int64)
        self._time = np.zeros(0, np.int64)
        self._sent = np.zeros(0, np.int64)
        self._pending = np.zeros(0, np.bool_)

    def changed(self, rows: Int64s, capacity: int) -> None:
        """Note that rows changed, in a table with room for `capacity` rows."""
        self._grow(capacity)
        self._pending[rows] = True

    def due(self, touches: Int64s, now_ms: int, sent_ms: int) -> Int64s:
        """Return the rows to publish now, ascending, and count them as published.

        Parameters
        ----------
        touches
            (n,) touches of all rows.
        now_ms
            Event time, epoch milliseconds.
        sent_ms
            Broker time, epoch milliseconds, 0 where there is no broker. Clocks of producers differ, so it
            may go back: what is further away than the pause, on either side, is no longer held up.
        """
        rows = np.flatnonzero(self._pending)
        if rows.size and not self._every_change:
            before, now = self._touches[rows], touches[rows]
            grown = (now > before) & (now >= before * self._growth)
            wanted = grown | (now_ms - self._time[rows] >= self._interval_ms)
            if sent_ms:
                wanted &= (before == 0) | (np.abs(sent_ms - self._sent[rows]) >= self._pause_ms)
            rows = rows[wanted]
        self._pending[rows] = False
        self._touches[rows] = touches[rows]
        self._time[rows] = now_ms
        self._sent[rows] = sent_ms
        return rows

    def forget(self, rows: Int64s) -> None:
        """Take rows (n,) out: their items are gone."""
        self._pending[rows] = False
        self._touches[rows] = 0
        self._time[rows] = 0
        self._sent[rows] = 0

    def restored(self, rows: npt.NDArray[Any], now_ms: int, sent_ms: int) -> None:
        """Start from restored rows (n,), republishing what changed within the last interval."""
        self._grow(rows.size)
        recent = rows["last_ms"] > now_ms - self._interval_ms
        if sent_ms:
            recent |= np.abs(sent_ms - rows["sent_ms"]) < max(self._interval_ms, self._pause_ms)
        pending = (rows["touches"] > 0) & recent
        self._touches[: rows.size] = np.where(pending, 0, rows["touches"])
        self._time[: rows.size] = rows["last_ms"]
        self._sent[: rows.size] = rows["sent_ms"]
        self._pending[: rows.size] = pending

    def _grow(self, capacity: int) -> None:
        if capacity > self._pending.size:
            more = capacity - self._pending.size
            self._touches = np.concatenate((self._touches, np.zeros(more, np.int64)))
            self._time = np.concatenate((self._time, np.zeros(more, np.int64)))
            self._sent = np.concatenate((self._sent, np.zeros(more, np.int64)))
            self._pending = np.concatenate((self._pending, np.zeros(more, np.bool_)))


def neighbour_rows(
    table: ItemTable, rows: Int64s, names: Names, settings: CooccurrenceSettings, width: int
) -> list[NeighbourRow]:
    """Return rows (n,) of the table as they are broadcast, each with its `width` strongest partners."""
    held = table.rows[rows]
    slow = np.exp2(held["epoch"] - held["last_ms"] / settings.half_life_ms)
    fast = np.exp2(held["lately_epoch"] - held["last_ms"] / settings.lately_half_life_ms)
    used, popularity = held["used"].copy(), held["popularity"].copy()
    partners, weights = table.slots.strongest(rows, used, slow.astype(np.float32), popularity, width)
    hashes, text = held["hash"].tolist(), names.text
    columns = zip(
        hashes,
        held["category"].tolist(),
        held["price"].tolist(),
        (popularity * slow).tolist(),
        (held["lately"] * fast).tolist(),
        held["last_ms"].tolist(),
        held["touches"].tolist(),
        partners.tolist(),
        np.minimum(used, width).tolist(),
        strict=True,
    )
    return [
        NeighbourRow(
            item_id=text.get(item, ""),
            item_hash=item,
            category=text.get(category, ""),
            price=price,
            popularity=popularity,
            lately=lately,
            time_ms=time_ms,
            touches=touches,
            partner_ids=[text.get(partner, "") for partner in of[:count]],
            partner_hashes=partners[number, :count],
            weights=weights[number, :count],
        )
        for number, (item, category, price, popularity, lately, time_ms, touches, of, count) in enumerate(
            columns
        )
    ]
