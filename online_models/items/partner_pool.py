"""The partners of items as they are broadcast: replaced whole, read whole, in as much memory as they take."""

import numpy as np

from online_models.events import Int64s
from online_models.items.pairs import Floats32
from online_models.items.slots import BLOCK, WEIGHTS, SlotPool
from online_models.items.source import Int32s
from online_models.kernels import kernel


class PartnerPool:
    """Partners of n rows, strongest first, as the numbers of other rows.

    Parameters
    ----------
    width
        Partners that a row may have.
    capacity
        Rows to make room for.

    Examples
    --------
    >>> pool = PartnerPool(width=3, capacity=2)
    >>> pool.write(np.array([1]), np.array([2]), np.array([7, 5]), np.ones((2, 3), np.float32))
    >>> pool.read(np.array([0, 1]))[0].tolist()
    [[-1, -1, -1], [7, 5, -1]]
    """

    def __init__(self, width: int, capacity: int) -> None:
        self.width = width
        self._slots = SlotPool(width, capacity, np.int32)
        self._count = np.zeros(capacity, np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes of the columns."""
        return self._slots.nbytes + self._count.nbytes

    def make_room(self, capacity: int) -> None:
        """Take in further rows, up to a number; they have no partners."""
        self._slots.make_room(capacity)
        more = capacity - self._count.size
        if more > 0:
            self._count = np.concatenate((self._count, np.zeros(more, np.int64)))

    def read(self, rows: Int64s | Int32s, most: int | None = None) -> tuple[Int32s, Floats32]:
        """Return (n, p) partners of rows (n,), -1 where there are fewer, and (n, p, 3) their weights."""
        width = self.width if most is None else min(most, self.width)
        partners = np.full((rows.size, width), -1, np.int32)
        weights = np.zeros((rows.size, width, WEIGHTS), np.float32)
        pool = self._slots
        held = (self._count, pool.blocks, pool.partner, pool.weights)
        _read(rows.astype(np.int64, copy=False), *held, partners, weights)
        return partners, weights

    def write(self, rows: Int64s, counts: Int64s, partners: Int64s, weights: Floats32) -> None:
        """Let rows have other partners.

        Parameters
        ----------
        rows, counts
            (n,) different rows, and how many partners they have now, at most the width.
        partners, weights
            (p,) these, one row after the other; (p, 3) their weights.
        """
        pool, weights = self._slots, np.ascontiguousarray(weights, np.float32)
        while rows.size:
            held = (self._count, pool.blocks, pool.partner, pool.weights, pool.free, pool.ends)
            done = int(_write(rows, counts, partners, weights, *held))
            begin = int(counts[:done].sum())
            rows, counts, partners, weights = rows[done:], counts[done:], partners[begin:], weights[begin:]
            if rows.size:
                pool.grow(pool.blocks.shape[1])

    def clear(self, rows: Int64s) -> None:
        """Let different rows (n,) have no partners."""
        self.write(rows, np.zeros(rows.size, np.int64), rows[:0], np.zeros((0, WEIGHTS), np.float32))


@kernel("void(i8[::1], i8[::1], i4[:,::1], i4[::1], f4[:,::1], i4[:,::1], f4[:,:,::1])")
def _read(  # noqa: PLR0917  # a kernel takes columns one by one
    rows: Int64s,
    count: Int64s,
    blocks: Int32s,
    partner: Int32s,
    weights: Floats32,
    found: Int32s,
    sums: Floats32,
) -> None:
    """Copy the first partners of rows."""
    for number in range(rows.size):
        row = rows[number]
        for slot in range(min(count[row], found.shape[1])):
            place = np.int64(blocks[row, slot // BLOCK]) * BLOCK + slot % BLOCK
            found[number, slot] = partner[place]
            for kind in range(WEIGHTS):
                sums[number, slot, kind] = weights[place, kind]


@kernel("i8(i8[::1], i8[::1], i8[::1], f4[:,::1], i8[::1], i4[:,::1], i4[::1], f4[:,::1], i4[::1], i8[::1])")
def _write(  # noqa: PLR0917  # a kernel takes columns one by one
    rows: Int64s,
    counts: Int64s,
    partners: Int64s,
    sums: Floats32,
    count: Int64s,
    blocks: Int32s,
    partner: Int32s,
    weights: Floats32,
    free: Int32s,
    ends: Int64s,
) -> int:
    """Replace the partners of rows; return the first row that was not, because the pool has no block left."""
    entry = 0
    for number in range(rows.size):
        row = rows[number]
        have, need = (count[row] + BLOCK - 1) // BLOCK, (counts[number] + BLOCK - 1) // BLOCK
        if need - have > ends[1] + free.size - ends[0]:
            return number
        for block in range(need, have):
            free[ends[1]] = blocks[row, block]
            ends[1] += 1
            blocks[row, block] = 0
        for block in range(have, need):
            if ends[1] > 0:
                ends[1] -= 1
                blocks[row, block] = free[ends[1]]
            else:
                blocks[row, block] = ends[0]
                ends[0] += 1
        count[row] = counts[number]
        for slot in range(counts[number]):
            place = np.int64(blocks[row, slot // BLOCK]) * BLOCK + slot % BLOCK
            partner[place] = partners[entry]
            for kind in range(WEIGHTS):
                weights[place, kind] = sums[entry, kind]
            entry += 1
    return rows.size
