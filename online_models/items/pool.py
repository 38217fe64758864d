"""Everything that is offered to users, with what speaks for it.

What the source knows is gathered for many users at once, and added up user by user: sums do not depend on how
many users there are.
"""

from typing import Final, NamedTuple

import numpy as np

from online_models.events import Floats, Int64s
from online_models.items.evidence import CandidateSettings, WeightedNeighbours, two_steps, weighted_neighbours
from online_models.items.histories import Histories
from online_models.items.pairs import Floats32
from online_models.items.slots import BACKWARD, FORWARD, LAG1, Bools
from online_models.items.source import Int32s, NeighbourSource
from online_models.kernels import kernel

SCORE, BASKET, TWO_STEPS, TOUCHED = range(4)
"""Columns of `Pool.sums`: pair weights with the newest touches, the same whatever their order, the share that
is reached in two steps, and 3 / position of every touch of the candidate itself."""

ROW, SUPPORT, OWN, NEWEST, TOUCHES, HELD = range(6)
"""Columns of `Pool.places`: row of the item, newest touches whose partner it is, its place among own items of
all users (-1 = none), position of its latest touch in this session (-1 = none), how many it has there, and
whether an event that goes on holds it."""

_MIXED: Final = 0x9E3779B1
_SHIFT: Final = 15


class Pool(NamedTuple):
    """Everything that is offered to n users, with what speaks for each of the c candidates.

    Parameters
    ----------
    begin
        (n + 1,) the candidates of user i are ``begin[i]:begin[i + 1]``, each row once, what was offered last
        first: partners, partners' partners, touches, own items, the category's and popular items.
    sums, places
        (c, 4) and (c, 6) by the columns named above.
    near
        The partners of the newest touches, of which user i has ``touches[i]:touches[i + 1]``.
    touches
        (n + 1,) where they begin.
    entry_of
        (m * p,) the candidate that each of these partners is, -1 for none.
    """

    begin: Int64s
    sums: Floats
    places: Int32s
    near: WeightedNeighbours
    touches: Int64s
    entry_of: Int32s


class Evidence(NamedTuple):
    """What partners say for k candidates.

    Parameters
    ----------
    shares
        (k, 7) shares of touches after which the candidate came, one column for the last item, the one before
        it and the older ones; three columns for those before which it came; and the share of the last item's
        touches that it directly followed.
    by, after
        (k,) position of the touch that speaks most for it (-1 = none), and whether it came after that touch
        rather than before.
    """

    shares: Floats
    by: Int64s
    after: Bools


def collect(
    settings: CandidateSettings,
    touched: Int64s,
    histories: Histories,
    source: NeighbourSource,
    now_ms: int,
) -> Pool:
    """Return everything that is offered, candidates for which nothing speaks included.

    Parameters
    ----------
    settings
        Sources and normalisation.
    touched
        (n, r) rows of the newest touches, newest first, -1 where unknown.
    histories
        The n users.
    source
        Where partners and popularity are read.
    now_ms
        Present event time, epoch milliseconds.
    """
    near = weighted_neighbours(settings, touched, source, now_ms)
    steps = two_steps(settings, near, source, now_ms)
    own = source.rows_of(histories.own.items)
    alike = source.of_same_category(touched[:, 0]) if touched.shape[1] else touched
    popular = source.popular()[: settings.popular]
    held = _held(histories, source)
    users = np.arange(len(touched) + 1)
    touches, reached = np.searchsorted(near.user, users), np.searchsorted(steps.owner, users)
    wide = touched.size + own.size + alike.size + held.size + popular.size * len(touched)
    most = near.partners.size + steps.partners.size + wide
    begin, entry_of = np.zeros(users.size, np.int64), np.empty(near.partners.size, np.int32)
    sums, places = np.empty((most, 4)), np.empty((most, 6), np.int32)
    _collect(
        touches,
        near.position,
        near.partners,
        near.weights,
        near.scale,
        reached,
        steps.partners,
        steps.weights,
        steps.scale,
        touched,
        histories.in_session,
        own,
        alike,
        popular,
        held,
        begin,
        sums,
        places,
        entry_of,
    )
    count = begin[-1]
    return Pool(begin, sums[:count], places[:count], near, touches, entry_of)


def _held(histories: Histories, source: NeighbourSource) -> Int64s:
    """Return (n, w) rows of the items that an event that goes on holds: it holds each once."""
    width = int(histories.in_event.max(initial=0))
    within = np.arange(width) < histories.in_event[:, None]
    return (
        source.rows_of(np.where(within, histories.items[:, :width], 0)) if width else within.astype(np.int64)
    )


@kernel("i8(i8[::1], i4[:, ::1], i8)")
def _number(offered: Int64s, places: Int32s, end: int) -> int:
    """Put the numbers of candidates in place of offered rows, from `end` on, and return the new end.

    From the back, so that of two candidates the one that was offered last has the smaller number.
    """
    size = 2
    # Twice as many slots as offers at least: a row is found within a few steps.
    while size < 2 * offered.size:
        size *= 2
    slots = np.full(size, -1, np.int32)
    for at in range(offered.size - 1, -1, -1):
        row = offered[at]
        if row < 0:
            continue
        slot = (row * _MIXED >> _SHIFT) & (size - 1)
        while slots[slot] >= 0 and places[slots[slot], ROW] != row:
            slot = (slot + 1) & (size - 1)
        if slots[slot] < 0:
            slots[slot] = end
            places[end] = 0
            places[end, ROW] = row
            places[end, OWN] = places[end, NEWEST] = -1
            end += 1
        offered[at] = slots[slot]
    return end


@kernel(
    "void(i8[::1], i8[::1], i4[:, ::1], f4[:, :, ::1], f8[::1], i8[::1], i4[:, ::1], f4[:, :, ::1], f8[::1], "
    "i8[:, ::1], i8[::1], i8[:, ::1], i8[:, ::1], i8[::1], i8[:, ::1], "
    "i8[::1], f8[:, ::1], i4[:, ::1], i4[::1])"
)
def _collect(  # noqa: PLR0917, C901, PLR0912
    touches: Int64s,
    position: Int64s,
    partners: Int32s,
    weights: Floats32,
    scale: Floats,
    reached: Int64s,
    far: Int32s,
    far_weights: Floats32,
    far_scale: Floats,
    touched: Int64s,
    in_session: Int64s,
    own: Int64s,
    alike: Int64s,
    popular: Int64s,
    held: Int64s,
    begin: Int64s,
    sums: Floats,
    places: Int32s,
    entry_of: Int32s,
) -> None:
    """Write down each user's offers one after the other, give equal rows a number, and add up by number."""
    end = 0
    for user in range(touched.shape[0]):
        first, last = touches[user], touches[user + 1]
        near_end = (last - first) * partners.shape[1]
        far_end = near_end + (reached[user + 1] - reached[user]) * far.shape[1]
        touch_end = far_end + touched.shape[1]
        own_end = touch_end + own.shape[1]
        alike_end = own_end + alike.shape[1]
        popular_end = alike_end + popular.size
        offered = np.empty(popular_end + held.shape[1], np.int64)
        offered[:near_end] = partners[first:last].ravel()
        offered[near_end:far_end] = far[reached[user] : reached[user + 1]].ravel()
        offered[far_end:touch_end] = touched[user]
        offered[touch_end:own_end] = own[user]
        offered[own_end:alike_end] = alike[user]
        offered[alike_end:popular_end] = popular
        offered[popular_end:] = held[user]
        start, end = end, _number(offered, places, end)
        begin[user + 1] = end
        sums[start:end] = 0.0
        at = 0
        for touch in range(first, last):
            for partner in range(partners.shape[1]):
                one = offered[at]
                at += 1
                entry_of[touch * partners.shape[1] + partner] = one
                if one >= 0:
                    both = (weights[touch, partner, FORWARD] + weights[touch, partner, BACKWARD]) * scale[
                        touch
                    ]
                    sums[one, SCORE] += both
                    sums[one, BASKET] += both * (position[touch] + 1)
                    places[one, SUPPORT] += 1
        for step in range(reached[user], reached[user + 1]):
            for partner in range(far.shape[1]):
                one = offered[at]
                at += 1
                if one >= 0:
                    both = far_weights[step, partner, FORWARD] + far_weights[step, partner, BACKWARD]
                    sums[one, TWO_STEPS] += both * far_scale[step]
        for place in range(touched.shape[1]):
            one = offered[at + place]
            if one >= 0:
                sums[one, TOUCHED] += 3.0 / (place + 1)
                if place < in_session[user]:
                    places[one, TOUCHES] += 1
                    if places[one, NEWEST] < 0:
                        places[one, NEWEST] = place
        for place in range(own.shape[1]):
            one = offered[touch_end + place]
            if one >= 0:
                places[one, OWN] = user * own.shape[1] + place
        for place in range(held.shape[1]):
            one = offered[popular_end + place]
            if one >= 0:
                places[one, HELD] = 1


def weigh(pool: Pool, kept: Int64s) -> Evidence:
    """Return what partners say for the candidates that are kept.

    Parameters
    ----------
    pool
        Everything offered.
    kept
        (k,) candidates of the pool.
    """
    near = pool.near
    found = Evidence(np.zeros((kept.size, 7)), np.full(kept.size, -1), np.zeros(kept.size, np.bool_))
    place = np.full(len(pool.places), -1, np.int32)
    place[kept] = np.arange(kept.size, dtype=np.int32)
    _weigh(near.position, near.weights, near.scale, near.share_scale, pool.entry_of, place, *found)
    return found


@kernel("void(i8[::1], f4[:, :, ::1], f8[::1], f8[::1], i4[::1], i4[::1], f8[:, ::1], i8[::1], b1[::1])")
def _weigh(  # noqa: PLR0917  # columns
    position: Int64s,
    weights: Floats32,
    scale: Floats,
    share_scale: Floats,
    entry_of: Int32s,
    place: Int32s,
    shares: Floats,
    by: Int64s,
    after: Bools,
) -> None:
    """Add up the shares of each kept candidate, touch by touch, and remember the strongest, newest touch."""
    most = np.zeros(by.size)
    for touch in range(weights.shape[0]):
        column = min(position[touch], 2)
        for partner in range(weights.shape[1]):
            one = entry_of[touch * weights.shape[1] + partner]
            kept = place[one] if one >= 0 else -1
            if kept < 0:
                continue
            forward, backward = weights[touch, partner, FORWARD], weights[touch, partner, BACKWARD]
            shares[kept, column] += forward * share_scale[touch]
            shares[kept, 3 + column] += backward * share_scale[touch]
            if column == 0:
                shares[kept, 6] = weights[touch, partner, LAG1]
            total = (forward + backward) * scale[touch]
            if total > most[kept]:
                most[kept], by[kept], after[kept] = total, position[touch], forward >= backward
