"""Bounded partner slots: where a row keeps its partners, and which one gives way to a new one."""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from online_models.events import Int64s, UInt64s
from online_models.items.pairs import Floats32

FORWARD: Final = 0
BACKWARD: Final = 1
LAG1: Final = 2
WEIGHTS: Final = 3
"""Kinds of weight a slot keeps: partner after, partner before, partner directly after."""

Bools = npt.NDArray[np.bool_]


class PairUpdates(NamedTuple):
    """Additions to slots, in log order.

    Parameters
    ----------
    owner
        (p,) row whose slots change.
    partner
        (p,) hash of the other item.
    direction
        (p,) `FORWARD` or `BACKWARD`.
    direct
        (p,) whether the partner came directly after the owner.
    amount
        (p,) what to add.
    """

    owner: Int64s
    partner: UInt64s
    direction: Int64s
    direct: Bools
    amount: Floats32

    def take(self, rows: Any) -> "PairUpdates":
        """Return the given updates."""
        return PairUpdates(*(column[rows] for column in self))


class _Placement(NamedTuple):
    """Where updates go: their slots, the slots to be opened, and per full row the update that must evict."""

    slot: Int64s
    opened: Int64s
    cuts: Int64s


def count_pairs(rows: npt.NDArray[Any], updates: PairUpdates) -> None:
    """Add updates to the slots of their owners, as if one by one in order.

    A partner without a slot takes a free one, else that of the weakest partner (least forward plus backward
    weight), as in the space-saving sketch, but without inheriting its count: scores stay lower bounds
    instead of carrying over what another item earned. Owners are independent of each other, so every pass
    serves each owner up to its next eviction.

    Parameters
    ----------
    rows
        Structured rows with the fields ``used``, ``partner`` (slots,) and ``weights`` (slots, 3).
    updates
        What to add.

    References
    ----------
    Metwally, Agrawal, El Abbadi: Efficient computation of frequent and top-k elements in data streams, 2005.
    """
    pending = updates
    if (pending.owner[1:] < pending.owner[:-1]).any():
        pending = updates.take(np.argsort(updates.owner, kind="stable"))
    while pending.owner.size:
        slot, opened, cuts = _place(rows, pending)
        if opened.size:
            owners, slots = pending.owner[opened], slot[opened]
            rows["partner"][owners, slots] = pending.partner[opened]
            np.maximum.at(rows["used"], owners, slots + 1)
        if not cuts.size:
            _add(rows, pending, slot)
            return
        waits = _from_cut(pending.owner, cuts)
        _add(rows, pending.take(~waits), slot[~waits])
        _evict(rows, pending.owner[cuts], pending.partner[cuts])
        pending = pending.take(waits)


def _place(rows: npt.NDArray[Any], updates: PairUpdates) -> _Placement:
    owner, partner = updates.owner, updates.partner
    match = rows["partner"][owner] == partner[:, None]
    slot = match.argmax(axis=1)
    missing = np.flatnonzero(~match[np.arange(owner.size), slot])
    nothing = missing[:0]
    if not missing.size:
        return _Placement(slot, nothing, nothing)
    by = missing[np.lexsort((partner[missing], owner[missing]))]
    is_first = np.ones(by.size, np.bool_)
    is_first[1:] = (owner[by[1:]] != owner[by[:-1]]) | (partner[by[1:]] != partner[by[:-1]])
    appeared = np.sort(by[is_first])
    owners = owner[appeared]
    place = np.arange(appeared.size)
    rank = place - np.searchsorted(owners, owners)
    slot[appeared] = rows["used"][owners] + rank
    slot[by] = slot[by[is_first]][np.cumsum(is_first) - 1]
    slots = match.shape[1]
    full = appeared[slot[appeared] >= slots]
    cuts = full[np.unique(owner[full], return_index=True)[1]] if full.size else nothing
    return _Placement(slot, appeared[slot[appeared] < slots], cuts)


def _from_cut(owner: Int64s, cuts: Int64s) -> Bools:
    """Return which updates wait: those of a full row from its first eviction on."""
    blocked = owner[cuts]
    at = np.minimum(np.searchsorted(blocked, owner), blocked.size - 1)
    waits: Bools = (blocked[at] == owner) & (np.arange(owner.size) >= cuts[at])
    return waits


def _add(rows: npt.NDArray[Any], updates: PairUpdates, slot: Int64s) -> None:
    weights = rows["weights"]
    np.add.at(weights, (updates.owner, slot, updates.direction), updates.amount)
    direct = updates.direct
    lag1 = weights[:, :, LAG1]
    np.add.at(lag1, (updates.owner[direct], slot[direct]), updates.amount[direct])


def _evict(rows: npt.NDArray[Any], owner: Int64s, partner: UInt64s) -> None:
    held = rows["weights"][owner]
    weakest = (held[:, :, FORWARD] + held[:, :, BACKWARD]).argmin(axis=1)
    rows["partner"][owner, weakest] = partner
    rows["weights"][owner, weakest] = 0.0
