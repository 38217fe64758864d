"""The items a user keeps coming back to: a bounded memory over all sessions, with counts and times.

People re-buy and return: what somebody touched before is the best candidate a basket has. Up to a fixed
number of items are kept of a user; then a new one takes the place of the item whose worth is least: the time
of its last touch, and four weeks more for every touch, up to a year.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from online_models.events import Int64s, UInt64s
from online_models.kernels import kernel
from online_models.ragged import RaggedColumns

UInt16s = npt.NDArray[np.uint16]
UInt32s = npt.NDArray[np.uint32]

_TOUCH_S: Final = 28 * 86_400
_MOST: Final = 13
_FULL: Final = 65_535
_LAST_SECOND: Final = 2**32 - 1

OWN_FIELDS: Final = ("own", "own_count", "own_s")
"""Items, counts and times in a user's row. Items are replaced, never taken out, so they lie at the front."""


class OwnItems(NamedTuple):
    """What users touched, (n, k) each.

    Parameters
    ----------
    items
        Hashes, 0 for a free place; in no order, free places last.
    counts
        Touches since the item came in, at most 65,535.
    last_s
        Event time of the latest touch, epoch seconds.
    """

    items: UInt64s
    counts: UInt16s
    last_s: UInt32s

    def take(self, rows: Any) -> "OwnItems":
        """Return the given users' items."""
        return OwnItems(self.items[rows], self.counts[rows], self.last_s[rows])

    @classmethod
    def none(cls, users: int) -> "OwnItems":
        """Return no items for a number of users."""
        nothing = np.zeros((users, 0), np.uint64)
        return cls(nothing, nothing.astype(np.uint16), nothing.astype(np.uint32))

    @classmethod
    def concat(cls, parts: Sequence["OwnItems"]) -> "OwnItems":
        """Return the items of several groups of users, as wide as the widest."""
        width = max((part.items.shape[1] for part in parts), default=0)
        columns = zip(*(part.widened(width) for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns)) if parts else cls.none(0)

    def widened(self, width: int) -> "OwnItems":
        """Return the same with free places up to a width."""
        short = ((0, 0), (0, width - self.items.shape[1]))
        if not short[1][1]:
            return self
        return OwnItems(np.pad(self.items, short), np.pad(self.counts, short), np.pad(self.last_s, short))


@dataclass(frozen=True, slots=True)
class OwnMemory:
    """Where the own items of g users are kept.

    Parameters
    ----------
    columns
        `OWN_FIELDS` of all users.
    rows
        (g,) where these users are; each once.
    """

    columns: RaggedColumns
    rows: Int64s

    def of(self, users: Int64s) -> Self:
        """Return the memory of some of the users."""
        return type(self)(self.columns, self.rows[users])

    def touch(self, user: Int64s, item: UInt64s, time_ms: Int64s, wanted: Int64s) -> OwnItems:
        """Take touches in and return what was known just before some of them; parameters as of `remember`."""
        starts = np.flatnonzero(np.append(True, user[1:] != user[:-1])[: user.size])
        touches = np.diff(np.append(starts, user.size))
        rows = self.rows[user[starts]]
        own = OwnItems(*self.columns.take(rows, room=touches))
        before = remember(own, np.repeat(np.arange(rows.size), touches), item, time_ms, wanted)
        self.columns.put(rows, own)
        return before


def remember(own: OwnItems, user: Int64s, item: UInt64s, time_ms: Int64s, wanted: Int64s) -> OwnItems:
    """Take touches in, in place, and return what was known just before some of them.

    Parameters
    ----------
    own
        (g, k) what each user touched so far. There is a free place for every touch, or k is all that is kept.
    user, item, time_ms
        (n,) touches, grouped by user, in log order within.
    wanted
        (w,) ascending touches before which the state is returned.

    Examples
    --------
    >>> own = OwnItems(np.zeros((1, 2), np.uint64), np.zeros((1, 2), np.uint16), np.zeros((1, 2), np.uint32))
    >>> touches = np.array([7, 8, 7, 9], np.uint64)
    >>> before = remember(own, np.zeros(4, np.int64), touches, np.arange(4) * 1000, np.array([3]))
    >>> before.items.tolist(), own.items.tolist(), own.counts.tolist()
    ([[7, 8]], [[7, 9]], [[2, 1]])
    """
    before = own.take(np.zeros(wanted.size, np.int64)) if len(own.items) else own
    if user.size and own.items.shape[1]:
        place = np.full(user.size, -1)
        place[wanted] = np.arange(wanted.size)
        _remember(*own, user, item, time_ms // 1000, place, *before)
    return before


@kernel("void(u8[:,:], u2[:,:], u4[:,:], i8[:], u8[:], i8[::1], i8[::1], u8[:,:], u2[:,:], u4[:,:])")
def _remember(  # noqa: PLR0917  # a kernel takes columns one by one
    items: UInt64s,
    counts: UInt16s,
    last_s: UInt32s,
    user: Int64s,
    item: UInt64s,
    second: Int64s,
    place: Int64s,
    items_before: UInt64s,
    counts_before: UInt16s,
    last_before: UInt32s,
) -> None:
    """Take touches in one by one; what was known before one goes to its place, where it has one."""
    for touch in range(user.size):
        row = user[touch]
        if place[touch] >= 0:
            items_before[place[touch]] = items[row]
            counts_before[place[touch]] = counts[row]
            last_before[place[touch]] = last_s[row]
        latest = min(max(int(second[touch]), 0), _LAST_SECOND)
        slot, worth = -1, 0
        for number in range(items.shape[1]):
            if items[row, number] == item[touch]:
                slot = number
                break
        if slot >= 0:
            counts[row, slot] = min(int(counts[row, slot]) + 1, _FULL)
            last_s[row, slot] = max(int(last_s[row, slot]), latest)
            continue
        for number in range(items.shape[1]):
            held = int(last_s[row, number]) + _TOUCH_S * min(int(counts[row, number]), _MOST)
            if slot < 0 or held < worth:
                slot, worth = number, held
        items[row, slot], counts[row, slot], last_s[row, slot] = item[touch], 1, latest
