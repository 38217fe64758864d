"""How an item's row grows by touches and pairs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from online_models.events import Int64s, hash_id
from online_models.items.pairs import PairBatch
from online_models.items.rows import lately_decay, weight_decay
from online_models.items.settings import CooccurrenceSettings
from online_models.items.slots import BACKWARD, FORWARD, PairUpdates, count_pairs

Rows = npt.NDArray[Any]


class ItemCounter:
    """Adds touches and pairs to rows of items, with two half-lives.

    Parameters
    ----------
    settings
        Half-lives.
    """

    def __init__(self, settings: CooccurrenceSettings) -> None:
        self._weights = weight_decay(settings.half_life_ms)
        self._lately = lately_decay(settings.lately_half_life_ms)

    def advance(self, rows: Rows, changed: Int64s, time: Int64s) -> None:
        """Move rows to the epochs of their latest updates.

        Parameters
        ----------
        rows
            All rows, changed in place.
        changed, time
            (n,) row and event time of every update.
        """
        np.maximum.at(rows["last_ms"], changed, time)
        latest = rows["last_ms"][changed]
        _move(rows, self._weights.epochs(latest), changed, "epoch", ("popularity", "weights"))
        _move(rows, self._lately.epochs(latest), changed, "lately_epoch", ("lately",))

    def count_touches(self, rows: Rows, batch: PairBatch, touched: Int64s) -> None:
        """Count the touches of a batch; `touched` (t,) are their rows."""
        time = batch.touch_time
        np.add.at(rows["touches"], touched, 1)
        slow = self._weights.increments(time, rows["epoch"][touched])
        fast = self._lately.increments(time, rows["lately_epoch"][touched])
        np.add.at(rows["popularity"], touched, slow)
        np.add.at(rows["lately"], touched, fast)
        priced = ~np.isnan(batch.touch_price)
        rows["price"][touched[priced]] = batch.touch_price[priced]
        category = category_codes(batch.categories)[batch.touch_category]
        known = category != 0
        rows["category"][touched[known]] = category[known]

    def count_pairs(self, rows: Rows, batch: PairBatch, owner: Int64s) -> None:
        """Count the pairs of a batch; `owner` (p,) are the rows of their owners."""
        distance = batch.distance.astype(np.int64)
        grown = self._weights.increments(batch.time, rows["epoch"][owner])
        updates = PairUpdates(
            owner=owner,
            partner=batch.hashes[batch.partner],
            direction=np.where(distance > 0, FORWARD, BACKWARD),
            direct=distance == 1,
            amount=(grown * batch.weight / np.abs(distance)).astype(np.float32),
        )
        count_pairs(rows, updates)


def category_codes(categories: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return (c,) hashes of category names, 0 where unknown."""
    return np.array([hash_id(name) if name else 0 for name in categories], np.uint64)


def _move(rows: Rows, epoch: Int64s, changed: Int64s, epoch_field: str, fields: Sequence[str]) -> None:
    if (epoch == rows[epoch_field][changed]).all():
        return
    moved, first = np.unique(changed, return_index=True)
    shift = (rows[epoch_field][moved] - epoch[first]).astype(np.int32)
    rows[epoch_field][moved] = epoch[first]
    for field in fields:
        held = rows[field][moved]
        rows[field][moved] = np.ldexp(held, shift.reshape(-1, *[1] * (held.ndim - 1)))
