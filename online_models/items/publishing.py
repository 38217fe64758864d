"""When a changed item's neighbours are worth broadcasting again, and what is then said."""

from typing import Any

import numpy as np
import numpy.typing as npt

from online_models.events import Int64s, UInt64s
from online_models.items.names import Names
from online_models.items.neighbours import NeighbourRow
from online_models.items.settings import CooccurrenceSettings
from online_models.items.slots import BACKWARD, FORWARD, LAG1
from online_models.items.source import lag1_shares


class Throttle:
    """Picks changed rows whose own touches have grown enough, or that waited long enough.

    Its memory is rebuilt, not saved: after a restore every item that changed within the last interval is
    published once more, so that no reader misses what a lost process had still held back.
    """

    def __init__(self, settings: CooccurrenceSettings) -> None:
        self._growth = 1.0 + settings.publish_growth
        self._every_change = settings.publish_growth == 0.0
        self._interval_ms = settings.publish_interval_ms
        self._touches = np.zeros(0, np.int64)
        self._time = np.zeros(0, np.int64)
        self._pending = np.zeros(0, np.bool_)

    def changed(self, rows: Int64s, capacity: int) -> None:
        """Note that rows changed, in a table with room for `capacity` rows."""
        self._grow(capacity)
        self._pending[rows] = True

    def due(self, touches: Int64s, now_ms: int) -> Int64s:
        """Return the rows to publish now, ascending, and count them as published.

        Parameters
        ----------
        touches
            (n,) touches of all rows.
        now_ms
            Event time, epoch milliseconds.
        """
        rows = np.flatnonzero(self._pending)
        if not self._every_change:
            before = self._touches[rows]
            grown = (touches[rows] > before) & (touches[rows] >= before * self._growth)
            rows = rows[grown | (now_ms - self._time[rows] >= self._interval_ms)]
        self._pending[rows] = False
        self._touches[rows] = touches[rows]
        self._time[rows] = now_ms
        return rows

    def forget(self, rows: Int64s) -> None:
        """Take rows (n,) out: their items are gone."""
        self._pending[rows] = False
        self._touches[rows] = 0
        self._time[rows] = 0

    def restored(self, touches: Int64s, latest_ms: Int64s, now_ms: int) -> None:
        """Start from restored rows (n,), republishing what changed within the last interval."""
        self._grow(touches.size)
        self._touches[: touches.size] = touches
        self._time[: touches.size] = latest_ms
        self._pending[: touches.size] = (touches > 0) & (latest_ms > now_ms - self._interval_ms)
        self._touches[: touches.size][self._pending[: touches.size]] = 0

    def _grow(self, capacity: int) -> None:
        if capacity > self._pending.size:
            more = capacity - self._pending.size
            self._touches = np.concatenate((self._touches, np.zeros(more, np.int64)))
            self._time = np.concatenate((self._time, np.zeros(more, np.int64)))
            self._pending = np.concatenate((self._pending, np.zeros(more, np.bool_)))


def neighbour_rows(
    held: npt.NDArray[Any], names: Names, settings: CooccurrenceSettings, width: int
) -> list[NeighbourRow]:
    """Return the store's rows (n,) as they are broadcast, each with its `width` strongest partners."""
    instant = held["last_ms"] / settings.half_life_ms
    slow = np.exp2(held["epoch"] - instant)
    fast = np.exp2(held["lately_epoch"] - held["last_ms"] / settings.lately_half_life_ms)
    weights = held["weights"].copy()
    weights[:, :, LAG1] = lag1_shares(weights[:, :, LAG1], held["popularity"])
    weights[:, :, :LAG1] *= slow[:, None, None].astype(np.float32)
    order = np.argsort(-(weights[:, :, FORWARD] + weights[:, :, BACKWARD]), axis=1, kind="stable")
    order = order[:, :width]
    partners = np.take_along_axis(held["partner"], order, axis=1)
    weights = np.take_along_axis(weights, order[:, :, None], axis=1)
    popularity, lately = held["popularity"] * slow, held["lately"] * fast
    used = np.minimum(held["used"], width).tolist()
    return [
        _neighbour_row(held[i], names, partners[i, :k], weights[i, :k], (popularity[i], lately[i]))
        for i, k in enumerate(used)
    ]


def _neighbour_row(
    held: Any, names: Names, partners: UInt64s, weights: Any, counts: tuple[float, float]
) -> NeighbourRow:
    item_hash = int(held["hash"])
    return NeighbourRow(
        item_id=names.get(item_hash),
        item_hash=item_hash,
        category=names.get(int(held["category"])),
        price=float(held["price"]),
        popularity=float(counts[0]),
        lately=float(counts[1]),
        time_ms=int(held["last_ms"]),
        touches=int(held["touches"]),
        partner_ids=[names.get(value) for value in partners.tolist()],
        partner_hashes=partners,
        weights=weights,
    )
