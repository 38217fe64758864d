"""Bounded partner slots: where a row keeps its partners, and which one gives way to a new one."""

from array import array
from collections.abc import Iterable
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
    instead of carrying over what another item earned. One vectorised pass serves each owner up to its first
    eviction; what follows it is added in order.

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
    if (updates.owner[1:] < updates.owner[:-1]).any():
        updates = updates.take(np.argsort(updates.owner, kind="stable"))
    if not updates.owner.size:
        return
    slot, opened, cuts = _place(rows, updates)
    if opened.size:
        owners, slots = updates.owner[opened], slot[opened]
        rows["partner"][owners, slots] = updates.partner[opened]
        np.maximum.at(rows["used"], owners, slots + 1)
    if not cuts.size:
        _add(rows, updates, slot)
        return
    waits = _from_cut(updates.owner, cuts)
    _add(rows, updates.take(~waits), slot[~waits])
    _add_in_order(rows, updates.take(waits))


def strongest(rows: npt.NDArray[Any], count: int) -> Int64s:
    """Return (n, count) the slots of rows' strongest partners, in the order they have; free slots come last.

    Those that stay are the ones that evictions would have spared.
    """
    weights = rows["weights"]
    order = np.argsort(-(weights[:, :, FORWARD] + weights[:, :, BACKWARD]), axis=1, kind="stable")
    return np.sort(order[:, :count], axis=1)


def _add_in_order(rows: npt.NDArray[Any], updates: PairUpdates) -> None:
    """Add updates to full rows one by one.

    Each eviction depends on all additions before it, so arrays gain nothing here: a pass over them per
    eviction would take quadratic time for the popular items of a large batch.
    """
    bounds = np.flatnonzero(np.diff(updates.owner)) + 1
    starts, ends = np.append(0, bounds).tolist(), np.append(bounds, updates.owner.size).tolist()
    columns = [column.tolist() for column in updates]
    for start, end in zip(starts, ends, strict=True):
        owner, *additions = (column[start:end] for column in columns)
        _add_to_full_row(rows[owner[0]], zip(*additions, strict=True))


def _add_to_full_row(row: Any, additions: Iterable[tuple[int, int, bool, float]]) -> None:
    """Add (partner, direction, direct, amount) to a row without free slots, in order.

    The columns are single-precision arrays, so every sum is rounded as the rows themselves would round it.
    """
    partners = row["partner"].tolist()
    slot_of = {partner: slot for slot, partner in enumerate(partners)}
    weights = tuple(array("f", row["weights"][:, kind].tobytes()) for kind in range(WEIGHTS))
    forward, backward, direct_weight = weights
    sums = array("f", (row["weights"][:, FORWARD] + row["weights"][:, BACKWARD]).tobytes())
    for partner, direction, direct, amount in additions:
        slot = slot_of.get(partner)
        if slot is None:
            slot = sums.index(min(sums))
            del slot_of[partners[slot]]
            partners[slot], slot_of[partner] = partner, slot
            forward[slot] = backward[slot] = direct_weight[slot] = 0.0
        weights[direction][slot] += amount
        sums[slot] = forward[slot] + backward[slot]
        if direct:
            direct_weight[slot] += amount
    row["partner"] = partners
    for kind, column in enumerate(weights):
        row["weights"][:, kind] = column


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
