"""Bounded partner slots: where a row keeps its partners, and which one gives way to a new one."""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from online_models.events import Floats, Int8s, Int64s, UInt64s
from online_models.items.decay import increment
from online_models.items.pairs import Floats32
from online_models.items.source import Int32s
from online_models.kernels import kernel

FORWARD: Final = 0
BACKWARD: Final = 1
LAG1: Final = 2
WEIGHTS: Final = 3
"""Kinds of weight a slot keeps: partner after, partner before, partner directly after."""

BLOCK: Final = 8
"""Slots that a row takes and gives back at once."""

_FIRST_BLOCKS: Final = 128

Bools = npt.NDArray[np.bool_]


class Pairs(NamedTuple):
    """Pairs in log order, by the rows of their owners.

    Parameters
    ----------
    owner
        (p,) row whose slots change.
    partner
        (p,) hash of the other item.
    distance, weight, time
        (p,) as in `PairBatch`.
    """

    owner: Int64s
    partner: UInt64s
    distance: Int8s
    weight: Floats32
    time: Int64s


class SlotPool:
    """Slots of n rows, each with up to `width` of them, taking as much memory as they use.

    All rows share one pool of blocks of eight slots; a row has as many blocks as it needs, wherever they are.
    Unused slots are zero. How many of its slots a row uses is a column of the caller's.

    Parameters
    ----------
    width
        Slots that a row may have.
    capacity
        Rows to make room for.
    kind
        What tells a partner: its hash, or a smaller number of the caller's.

    Attributes
    ----------
    partner
        (s,) the partner, by place in the pool.
    weights
        (s, 3) its weights.
    blocks
        (n, b) the blocks of rows; 0, a block that nobody uses, where they have fewer.
    free, ends
        (f,) blocks that were given back; the first block never taken, and how many were given back.
    """

    def __init__(self, width: int, capacity: int, kind: type[np.integer[Any]] = np.uint64) -> None:
        self.width = width
        self.blocks = np.zeros((capacity, -(-width // BLOCK)), np.int32)
        self.partner: npt.NDArray[Any] = np.zeros(_FIRST_BLOCKS * BLOCK, kind)
        self.weights = np.zeros((_FIRST_BLOCKS * BLOCK, WEIGHTS), np.float32)
        self.free = np.zeros(_FIRST_BLOCKS, np.int32)
        self.ends = np.array([1, 0])

    @property
    def nbytes(self) -> int:
        """Bytes of the pool, free blocks included, and of what tells where rows lie in it."""
        return self.blocks.nbytes + self.partner.nbytes + self.weights.nbytes + self.free.nbytes

    def make_room(self, capacity: int) -> None:
        """Take in further rows, up to a number; they use no slots."""
        more = capacity - len(self.blocks)
        if more > 0:
            self.blocks = np.concatenate((self.blocks, np.zeros((more, self.blocks.shape[1]), np.int32)))

    def count_pairs(self, used: Int64s, epoch: Int32s, pairs: Pairs, half_life_ms: int) -> None:
        """Add pairs to the slots of their owners, one by one in order.

        A partner without a slot takes a free one, else that of the weakest partner (least forward plus
        backward weight), as in the space-saving sketch, but without inheriting its count: scores stay lower
        bounds instead of carrying over what another item earned.

        Parameters
        ----------
        used, epoch
            (n,) slots in use, changed in place, and epochs of all rows.
        pairs
            What to add.
        half_life_ms
            Of the weights.

        References
        ----------
        Metwally, Agrawal, El Abbadi: Efficient computation of frequent and top-k elements in data streams,
        2005.
        """
        done = 0
        while done < pairs.owner.size:
            pool = (self.blocks, self.partner, self.weights, self.free, self.ends)
            done = int(_count_pairs(done, self.width, used, epoch, *pairs, half_life_ms, *pool))
            if done < pairs.owner.size:
                self.grow(1)

    def strongest(
        self, rows: Int64s, used: Int64s, scale: Floats32, popularity: Floats, width: int
    ) -> tuple[UInt64s, Floats32]:
        """Return the strongest partners of rows (n,), of equal ones those of earlier slots first.

        Parameters
        ----------
        rows, used
            (n,) rows, and how many slots they use.
        scale, popularity
            (n,) factor of forward and backward weights; what a lag-1 weight is a share of.
        width
            Partners wanted.

        Returns
        -------
        tuple
            (n, width) hashes, 0 where there are fewer; (n, width, 3) forward weight, backward weight, and the
            share of touches that the partner directly followed.
        """
        partner = np.zeros((rows.size, width), np.uint64)
        weights = np.zeros((rows.size, width, WEIGHTS), np.float32)
        pool = (self.blocks, self.partner, self.weights)
        _strongest(rows, used, scale, popularity, *pool, partner, weights)
        return partner, weights

    def take(self, rows: Int64s, used: Int64s) -> tuple[UInt64s, Floats32]:
        """Return (n, width) partners and (n, width, 3) weights of rows (n,) that use so many slots (n,)."""
        partner = np.zeros((rows.size, self.width), np.uint64)
        weights = np.zeros((rows.size, self.width, WEIGHTS), np.float32)
        self.take_into(rows, used, partner, weights)
        return partner, weights

    def take_into(self, rows: Int64s, used: Int64s, partner: UInt64s, weights: Floats32) -> None:
        """Write what `take` returns into zeroed columns."""
        _take(rows, used, self.blocks, self.partner, self.weights, partner, weights)

    def put(self, rows: Int64s, used: Int64s, partner: UInt64s, weights: Floats32) -> None:
        """Let different rows (n,) use their first (n,) slots, with what `take` returns."""
        self.drop(rows)
        row, number = np.nonzero(np.arange(self.blocks.shape[1]) * BLOCK < used[:, None])
        self.blocks[rows[row], number] = self._take_blocks(row.size)
        row, slot = np.nonzero(np.arange(self.width) < used[:, None])
        places = self.blocks[rows[row], slot // BLOCK] * np.int64(BLOCK) + slot % BLOCK
        self.partner[places] = partner[row, slot]
        self.weights[places] = weights[row, slot]

    def drop(self, rows: Int64s) -> None:
        """Let rows (n,) use no slots."""
        held = self.blocks[rows]
        given = held[held > 0]
        self.blocks[rows] = 0
        places = (given[:, None] * np.int64(BLOCK) + np.arange(BLOCK)).ravel()
        self.partner[places] = 0
        self.weights[places] = 0
        free = int(self.ends[1])
        self.free[free : free + given.size] = given
        self.ends[1] += given.size

    def _take_blocks(self, count: int) -> Int64s:
        again = min(count, int(self.ends[1]))
        self.ends[1] -= again
        used_before = self.free[self.ends[1] : self.ends[1] + again].astype(np.int64)
        fresh = self.ends[0] + np.arange(count - again)
        if fresh.size:
            self.grow(int(fresh[-1]) + 1 - self.free.size)
            self.ends[0] += fresh.size
        return np.concatenate((used_before, fresh))

    def grow(self, blocks: int) -> None:
        """Make room for so many more blocks: by a quarter at least, so that little lies idle."""
        if blocks > 0:
            more = max(blocks, self.free.size // 4, _FIRST_BLOCKS)
            self.free = _longer(self.free, more)
            self.partner = _longer(self.partner, more * BLOCK)
            self.weights = _longer(self.weights, more * BLOCK)


def strongest(rows: npt.NDArray[Any], count: int) -> Int64s:
    """Return (n, count) the slots of rows' strongest partners, in the order they have; free slots come last.

    Those that stay are the ones that evictions would have spared.
    """
    weights = rows["weights"]
    order = np.argsort(-(weights[:, :, FORWARD] + weights[:, :, BACKWARD]), axis=1, kind="stable")
    return np.sort(order[:, :count], axis=1)


def _longer(column: npt.NDArray[Any], more: int) -> npt.NDArray[Any]:
    grown = np.zeros((len(column) + more, *column.shape[1:]), column.dtype)
    grown[: len(column)] = column
    return grown


@kernel("void(i8[::1], i8[::1], i4[:,::1], u8[::1], f4[:,::1], u8[:,:], f4[:,:,:])")
def _take(  # noqa: PLR0917  # a kernel takes columns one by one
    rows: Int64s,
    used: Int64s,
    blocks: Int32s,
    partner: UInt64s,
    weights: Floats32,
    taken: UInt64s,
    sums: Floats32,
) -> None:
    """Copy the slots that rows use, in order."""
    for number in range(rows.size):
        for slot in range(used[number]):
            place = np.int64(blocks[rows[number], slot // BLOCK]) * BLOCK + slot % BLOCK
            taken[number, slot] = partner[place]
            for kind in range(WEIGHTS):
                sums[number, slot, kind] = weights[place, kind]


@kernel("i8(u8, i8, i8, i4[:,::1], u8[::1])")
def _place_of(wanted: Any, row: int, used: int, blocks: Int32s, partner: UInt64s) -> int:
    """Return the place of a partner among the used slots of a row, -1 where it has none."""
    for number in range((used + BLOCK - 1) // BLOCK):
        begin = np.int64(blocks[row, number]) * BLOCK
        for place in range(begin, begin + min(BLOCK, used - number * BLOCK)):
            if partner[place] == wanted:
                return place
    return -1


@kernel("i8(i8, i8, i4[:,::1], f4[:,::1])")
def _weakest(row: int, used: int, blocks: Int32s, weights: Floats32) -> int:
    """Return the place of the partner with the least forward plus backward weight, the first of equals."""
    least, found = np.float32(np.inf), -1
    for slot in range(used):
        place = int(blocks[row, slot // BLOCK]) * BLOCK + slot % BLOCK
        both = weights[place, FORWARD] + weights[place, BACKWARD]
        if both < least or found < 0:
            least, found = both, place
    return found


@kernel(
    "i8(i8, i8, i8[:], i4[:], i8[::1], u8[::1], i1[::1], f4[::1], i8[::1], i8, "
    "i4[:,::1], u8[::1], f4[:,::1], i4[::1], i8[::1])"
)
def _count_pairs(  # noqa: PLR0917  # a kernel takes columns one by one
    begin: int,
    width: int,
    used: Int64s,
    epoch: Int32s,
    owner: Int64s,
    other: UInt64s,
    distance: Int8s,
    weight: Floats32,
    time: Int64s,
    half_life_ms: int,
    blocks: Int32s,
    partner: UInt64s,
    weights: Floats32,
    free: Int32s,
    ends: Int64s,
) -> int:
    """Add pairs from `begin` on; return the first that was not added, because the pool has no block left.

    Sums are of single precision, each rounded as a row's own fields round it.
    """
    for pair in range(begin, owner.size):
        row, taken = owner[pair], used[owner[pair]]
        place = _place_of(other[pair], row, taken, blocks, partner)
        if place < 0 and taken == width:
            place = _weakest(row, taken, blocks, weights)
            weights[place] = 0.0
        elif place < 0:
            if taken % BLOCK == 0:
                if ends[1] > 0:
                    ends[1] -= 1
                    blocks[row, taken // BLOCK] = free[ends[1]]
                elif ends[0] < free.size:
                    blocks[row, taken // BLOCK] = ends[0]
                    ends[0] += 1
                else:
                    return pair
            place = np.int64(blocks[row, taken // BLOCK]) * BLOCK + taken % BLOCK
            used[row] += 1
        partner[place] = other[pair]
        steps = np.float64(abs(np.int64(distance[pair])))
        amount = np.float32(increment(time[pair], half_life_ms, epoch[row]) * weight[pair] / steps)
        weights[place, FORWARD if distance[pair] > 0 else BACKWARD] += amount
        if distance[pair] == 1:
            weights[place, LAG1] += amount
    return owner.size


@kernel("void(i8[::1], i8[::1], f4[::1], f8[::1], i4[:,::1], u8[::1], f4[:,::1], u8[:,::1], f4[:,:,::1])")
def _strongest(  # noqa: PLR0917  # a kernel takes columns one by one
    rows: Int64s,
    used: Int64s,
    scale: Floats32,
    popularity: Floats,
    blocks: Int32s,
    partner: UInt64s,
    weights: Floats32,
    best: UInt64s,
    found: Floats32,
) -> None:
    """Keep the best so far in order, and let every slot's partner find its place among them."""
    width = best.shape[1]
    both = np.empty(width, np.float32)
    place_of = np.empty(width, np.int64)
    for number in range(rows.size):
        kept = 0
        for slot in range(used[number]):
            place = np.int64(blocks[rows[number], slot // BLOCK]) * BLOCK + slot % BLOCK
            forward = weights[place, FORWARD] * scale[number]
            total = np.float32(forward + weights[place, BACKWARD] * scale[number])
            if kept == width and not total > both[width - 1]:
                continue
            at = min(kept, width - 1)
            while at > 0 and both[at - 1] < total:
                both[at], place_of[at] = both[at - 1], place_of[at - 1]
                at -= 1
            both[at], place_of[at] = total, place
            kept = min(kept + 1, width)
        whole = max(popularity[number], 1e-30)
        for at in range(kept):
            place = place_of[at]
            best[number, at] = partner[place]
            found[number, at, FORWARD] = weights[place, FORWARD] * scale[number]
            found[number, at, BACKWARD] = weights[place, BACKWARD] * scale[number]
            found[number, at, LAG1] = np.float32(min(weights[place, LAG1] / whole, 1.0))
