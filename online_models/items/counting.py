"""How an item's row grows by touches and pairs."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from online_models.events import Floats, Int64s, UInt64s, hash_id
from online_models.items.decay import increment
from online_models.items.pairs import Floats32, PairBatch
from online_models.items.rows import lately_decay, weight_decay
from online_models.items.settings import CooccurrenceSettings
from online_models.items.slots import BLOCK, WEIGHTS, Pairs, SlotPool
from online_models.items.source import Int32s
from online_models.kernels import kernel

Rows = npt.NDArray[Any]


class ItemCounter:
    """Adds touches and pairs to rows of items, with two half-lives.

    Parameters
    ----------
    settings
        Half-lives.
    """

    def __init__(self, settings: CooccurrenceSettings) -> None:
        weights, lately = weight_decay(settings.half_life_ms), lately_decay(settings.lately_half_life_ms)
        self._half_lives = np.array([weights.half_life_ms, lately.half_life_ms])
        self._spans = np.array([weights.span_ms, lately.span_ms])
        self._steps = np.array([weights.step, lately.step])

    def advance(self, rows: Rows, slots: SlotPool, changed: Int64s, time: Int64s) -> None:
        """Move rows to the epochs of their latest updates.

        Parameters
        ----------
        rows, slots
            All rows and their partners, changed in place.
        changed, time
            (n,) row and event time of every update.
        """
        epochs = (rows["epoch"], rows["lately_epoch"], self._spans, self._steps)
        sums = (rows["popularity"], rows["lately"], rows["used"])
        _advance(changed, time, rows["last_ms"], *epochs, *sums, slots.blocks, slots.weights)

    def count_touches(self, rows: Rows, batch: PairBatch, touched: Int64s, category: UInt64s) -> None:
        """Count the touches of a batch; `touched` and `category` (t,) are their rows and category codes."""
        told = (touched, batch.touch_time, batch.touch_price, category, self._half_lives)
        sums = (rows["touches"], rows["popularity"], rows["lately"], rows["epoch"], rows["lately_epoch"])
        _count_touches(*told, *sums, rows["price"], rows["category"])

    def count_pairs(self, rows: Rows, slots: SlotPool, batch: PairBatch, owner: Int64s) -> None:
        """Count the pairs of a batch; `owner` (p,) are the rows of their owners."""
        partner = batch.hashes[batch.partner]
        pairs = Pairs(owner, partner, batch.distance, batch.weight, batch.time)
        slots.count_pairs(rows["used"], rows["epoch"], pairs, int(self._half_lives[0]))


def category_codes(categories: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return (c,) hashes of category names, 0 where unknown."""
    return np.array([hash_id(name) if name else 0 for name in categories], np.uint64)


@kernel(
    "void(i8[::1], i8[::1], i8[:], i4[:], i4[:], i8[::1], i8[::1], f8[:], f8[:], i8[:], i4[:,::1], f4[:,::1])"
)
def _advance(  # noqa: PLR0917  # a kernel takes columns one by one
    changed: Int64s,
    time: Int64s,
    last_ms: Int64s,
    epoch: Int32s,
    lately_epoch: Int32s,
    spans: Int64s,
    steps: Int64s,
    popularity: Floats,
    lately: Floats,
    used: Int64s,
    blocks: Int32s,
    weights: Floats32,
) -> None:
    """Let the latest update of a row decide its epochs: sums move by powers of two, so exactly."""
    for number in range(changed.size):
        row = changed[number]
        last_ms[row] = max(last_ms[row], time[number])
        reached = last_ms[row] // spans[0] * steps[0]
        if reached != epoch[row]:
            shift = np.int64(epoch[row]) - reached
            epoch[row] = reached
            popularity[row] = math.ldexp(popularity[row], shift)
            for slot in range(used[row]):
                place = np.int64(blocks[row, slot // BLOCK]) * BLOCK + slot % BLOCK
                for kind in range(WEIGHTS):
                    moved = math.ldexp(np.float64(weights[place, kind]), shift)
                    weights[place, kind] = np.float32(moved)
        reached = last_ms[row] // spans[1] * steps[1]
        if reached != lately_epoch[row]:
            lately[row] = math.ldexp(lately[row], np.int64(lately_epoch[row]) - reached)
            lately_epoch[row] = reached


@kernel("void(i8[::1], i8[::1], f8[::1], u8[::1], i8[::1], i8[:], f8[:], f8[:], i4[:], i4[:], f8[:], u8[:])")
def _count_touches(  # noqa: PLR0917  # a kernel takes columns one by one
    touched: Int64s,
    time: Int64s,
    told_price: Floats,
    told_category: UInt64s,
    half_lives: Int64s,
    touches: Int64s,
    popularity: Floats,
    lately: Floats,
    epoch: Int32s,
    lately_epoch: Int32s,
    price: Floats,
    category: UInt64s,
) -> None:
    """Count touches in order; the latest known price and category stay."""
    for number in range(touched.size):
        row = touched[number]
        touches[row] += 1
        popularity[row] += increment(time[number], half_lives[0], epoch[row])
        lately[row] += increment(time[number], half_lives[1], lately_epoch[row])
        if not math.isnan(told_price[number]):
            price[row] = told_price[number]
        if told_category[number] != 0:
            category[row] = told_category[number]
