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
from online_models.ragged import RaggedColumns

UInt16s = npt.NDArray[np.uint16]
UInt32s = npt.NDArray[np.uint32]

_TOUCH_S: Final = 28 * 86_400
_MOST: Final = 13
_FULL: Final = 65_535

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
    users, width = own.items.shape
    before = own.take(np.zeros(wanted.size, np.int64)) if users else own
    if not user.size or not width:
        return before
    place = np.full(user.size, -1)
    place[wanted] = np.arange(wanted.size)
    filled = np.count_nonzero(own.items, axis=1)
    # Who has room for all and of whom nothing is to be told needs no order of touches.
    ordered = filled + np.bincount(user, minlength=users) > width
    ordered[user[wanted]] = True
    apart = ~ordered[user]
    if apart.any():
        _add(own, filled, user[apart], item[apart], time_ms[apart] // 1000)
        left = ~apart
        user, item, time_ms, place = user[left], item[left], time_ms[left], place[left]
        if not user.size:
            return before
    starts = np.flatnonzero(np.r_[True, user[1:] != user[:-1]])
    nth = np.arange(user.size) - np.repeat(starts, np.diff(np.append(starts, user.size)))
    order = np.argsort(nth, kind="stable")
    # The first touch of every user at once, then the second of those who have one, and so on.
    for turn in np.split(order, np.flatnonzero(np.diff(nth[order])) + 1):
        known = turn[place[turn] >= 0]
        seen = own.take(user[known])
        before.items[place[known]] = seen.items
        before.counts[place[known]] = seen.counts
        before.last_s[place[known]] = seen.last_s
        _touch(own, user[turn], item[turn], time_ms[turn] // 1000)
    return before


def _add(own: OwnItems, filled: Int64s, user: Int64s, item: UInt64s, second: Int64s) -> None:
    """Count touches, grouped by user, of users who have room for all; `filled` (g,) places are taken."""
    width = own.items.shape[1]
    match = own.items[user] == item[:, None]
    slot = match.argmax(axis=1)
    new = np.flatnonzero(~match.any(axis=1))
    slot[new] = _free_places(filled, user[new], item[new])
    cell, first, group, touches = np.unique(
        user * width + slot, return_index=True, return_inverse=True, return_counts=True
    )
    at = np.divmod(cell, width)
    latest = own.last_s[at].astype(np.int64)
    np.maximum.at(latest, group, np.clip(second, 0, 2**32 - 1))
    own.items[at] = item[first]
    own.counts[at] = np.minimum(own.counts[at].astype(np.int64) + touches, _FULL)
    own.last_s[at] = latest


def _free_places(filled: Int64s, user: Int64s, item: UInt64s) -> Int64s:
    """Return (n,) the places of new items, behind those that are taken, by their first touches."""
    order = np.lexsort((item, user))
    fresh = np.append(True, (np.diff(user[order]) != 0) | (np.diff(item[order]) != 0))[: order.size]
    firsts = np.sort(order[fresh])
    owner = user[firsts]
    begins = np.flatnonzero(np.append(True, np.diff(owner) != 0)[: owner.size])
    nth = np.arange(owner.size) - np.repeat(begins, np.diff(np.append(begins, owner.size)))
    places = np.empty(user.size, np.int64)
    places[firsts] = filled[owner] + nth
    places[order] = places[order[fresh]][np.cumsum(fresh) - 1]
    return places


def _touch(own: OwnItems, user: Int64s, item: UInt64s, second: Int64s) -> None:
    """Count one touch of each of some users."""
    items, counts, last_s = own.take(user)
    match = items == item[:, None]
    held = match.any(axis=1)
    worth = last_s.astype(np.int64) + _TOUCH_S * np.minimum(counts, _MOST).astype(np.int64)
    slot = np.where(held, match.argmax(axis=1), worth.argmin(axis=1))
    at = (user, slot)
    count = np.where(held, own.counts[at], 0).astype(np.int64)
    latest = np.where(held, own.last_s[at], 0).astype(np.int64)
    own.items[at] = item
    own.counts[at] = np.minimum(count + 1, _FULL)
    own.last_s[at] = np.maximum(latest, np.clip(second, 0, 2**32 - 1))
